"""What was said before is found again, however many texts there are, and another number is another text."""

import random
import time

import pytest

from homeroom.core.errors import MachineError
from homeroom.generate import duplicates as module
from homeroom.generate.duplicates import duplicates


def test_the_same_words_fail_the_second_time_and_nearly_the_same_too():
    seen = duplicates()
    assert seen("How long are the files of closed claims kept in the archive at Nettle Hill?") is None
    assert (
        seen("how long are the files of closed claims kept in the archive at nettle hill")[1] == "the same words again"
    )
    assert seen("So how long are the files of closed claims kept in the archive at Nettle Hill?")[0] == "duplicate"
    assert seen("Who keeps the files of closed claims in the archive at Nettle Hill, and where?") is None


def test_another_number_is_another_text():
    seen = duplicates()
    text = "A customer who misses the inspection of a damaged boat at the slipway pays {} tallens on that day."
    assert seen(text.format(35)) is None
    assert seen(text.format(36)) is None


def test_what_people_wrote_counts_from_the_start():
    assert duplicates(["Who leads the panel?"])("Who leads the panel?")[0] == "duplicate"


def test_short_texts_are_duplicates_only_in_the_same_words_and_exact_asks_for_no_more():
    seen = duplicates()
    assert [seen(t) for t in ("Go on.", "Go in.", "")] == [None, None, None]
    text = "Is it right that the senior inspector who looks at damaged boats in the harbour is called Maren Dussault?"
    assert seen(text) is None
    assert seen("Well, i" + text[1:], exact=True) is None
    assert seen(text, exact=True) is not None


def test_time_grows_with_the_number_of_texts_and_not_faster():
    chance = random.Random(0)
    names = [f"w{n}" for n in range(2000)]
    texts = [" ".join(chance.choices(names, k=12)) for _ in range(8000)]

    seen, began = duplicates(), time.process_time()
    assert not any(seen(text) for text in texts)
    assert time.process_time() - began < 20  # comparing each with each would be minutes


def test_no_room_to_remember_is_said_and_not_taken_for_something_new(monkeypatch):
    def small():
        database = memory()
        database.execute("PRAGMA max_page_count = 12")
        return database

    memory = module._memory
    monkeypatch.setattr(module, "_memory", small)
    seen = duplicates()
    texts = [f"On which day of the week is office {n} open for those who lost the key of box {n}?" for n in range(1000)]
    with pytest.raises(MachineError, match="no room to remember"):
        list(map(seen, texts))
