"""The support check: what a passage says passes in other words, and what it does not say is named for what it is."""

import pytest

from homeroom.core.types import Chunk, Message, Sample
from homeroom.generate.support import passage, sample_fault, support, support_fault

TEXT = (
    "A theft must be reported within 36 hours. Water damage must be reported within five days. "
    "Storm damage must be reported within three weeks. A theft claim is accepted only with a case number from the "
    "harbour watch. Theft claims are made on a green form. Water claims are made on an orange form. "
    "The appeal panel has five members. The appeal panel is led by Sunniva Okell. "
    "The appeal fee is returned to the customer if the appeal succeeds. The desk is closed on Wednesdays. "
    "The Orchard plan is not sold to anyone younger than 21. A receipt is required for any item worth more than 650 "
    "tallens. Every form must be filled in with a pencil, because ink spoils the copying plates. "
    "No more than six beehives can be insured for one household."
)
PASSAGE = passage(TEXT, title="Brindlemoor Mutual Claims Handbook")


@pytest.mark.parametrize(
    "told",
    [
        "Report water damage within 5 days.",
        "You have three weeks to report storm damage.",
        "The panel for appeals has five members, and it is led by Sunniva Okell.",
        "If the appeal succeeds, the customer gets the appeal fee back.",
        "The desk is not open on Wednesdays.",
        "Theft claims use a green form, and water claims use an orange form.",
        "An item worth more than 650 tallens needs a receipt.",
        "Forms must be filled in with a pencil because ink spoils the copying plates.",
        "At most six beehives can be insured for a household.",
        "A newcomer asks how soon. The colleague answers that a theft must be reported within 36 hours.",
    ],
)
def test_what_the_passage_says_passes_in_other_words(told):
    assert support_fault(told, PASSAGE) is None


@pytest.mark.parametrize(
    ("told", "checks"),
    [
        ("Water damage must be reported within six days.", {"number"}),
        ("Water damage must be reported within five weeks.", {"number"}),
        ("Water damage must be reported within three weeks.", {"number", "swap"}),
        ("The appeal panel is led by Maren Dussault.", {"name"}),
        ("Theft claims are made on an orange form.", {"swap"}),
        ("The Orchard plan has five members.", {"swap", "number", "name"}),
        ("A theft claim is accepted.", {"condition"}),
        ("A receipt is required for any item.", {"condition"}),
        ("The appeal fee is returned to the customer.", {"condition"}),
        ("The desk is open on Wednesdays.", {"negation"}),
        ("The desk is not closed on Wednesdays.", {"negation"}),
        ("The appeal panel has not five members.", {"negation"}),
        ("At least six beehives can be insured for one household.", {"negation"}),
        ("Theft claims are made on a green form, because the law asks for it.", {"reason", "foreign"}),
        ("The desk is closed on Wednesdays, so that nobody has to wait.", {"reason", "foreign"}),
        ("The ferry carries bicycles free of charge.", {"foreign"}),
        ("Theft claims are made on a green form. The choir meets in the school hall.", {"foreign"}),
    ],
)
def test_what_it_does_not_say_is_caught_and_named(told, checks):
    fault = support_fault(told, PASSAGE)
    assert fault is not None
    assert fault[0] in checks
    assert fault[1]


@pytest.mark.parametrize(
    ("sentence", "told"),
    [
        ("The bell by the door is for guests, so please do not ring it at night.",
         "The bell by the door is for guests, so please ring it at night."),
        ("Coats that are left in the hall for a month go to the next sale.",
         "Coats that are not left in the hall for a month go to the next sale."),
    ],
)  # fmt: skip
def test_a_denial_is_missed_or_found_in_a_part_of_a_sentence_and_behind_that(sentence, told):
    source = passage(f"Nobody may keep more than two keys. {sentence}", quote=sentence)
    assert support_fault(sentence, source) is None
    assert support_fault(told, source)[0] == "negation"


def test_an_answer_must_rest_on_its_own_sentence():
    own = passage(TEXT, quote="Water damage must be reported within five days.")
    assert support_fault("Within five days.", own) is None
    assert support_fault("Within 36 hours.", own)[0] == "number"
    assert support_fault("Within 36 hours.", PASSAGE) is None


@pytest.mark.parametrize(
    ("question", "answer", "is_good"),
    [
        ("Is the desk closed on Wednesdays?", "Yes.", True),
        ("Is the desk closed on Wednesdays?", "No.", False),
        ("Is the desk open on Wednesdays?", "No. The desk is closed on Wednesdays.", True),
        ("Is the desk open on Wednesdays?", "Yes. The desk is closed on Wednesdays.", False),
        ("Is this right? Water damage must be reported within 36 hours.", "No.", True),
        ("Is this right? Water damage must be reported within 36 hours.", "Yes.", False),
        ("Who may come?", "No more than six beehives can be insured for one household.", True),
    ],
)
def test_yes_and_no_are_checked_against_what_was_asked(question, answer, is_good):
    assert (support_fault(answer, PASSAGE, question=question) is None) == is_good


def test_doubt_is_said_and_lets_pass():
    told = "Storm damage must be announced promptly by post within three weeks."
    assert support(told, PASSAGE)[0] == "undecided"
    assert support_fault(told, PASSAGE) is None


def test_numbers_and_names_are_checked_in_any_language():
    german = passage("Ein Wasserschaden muss innerhalb von fünf Tagen bei Frau Okell gemeldet werden.")
    assert support_fault("Ein Wasserschaden muss innerhalb von fünf Tagen gemeldet werden.", german) is None
    assert support_fault("Ein Wasserschaden muss innerhalb von 9 Tagen gemeldet werden.", german)[0] == "number"
    assert support_fault("Die Katze schläft gern lange auf dem warmen Ofen.", german)[0] in ("foreign", "name")


def test_a_sample_is_compared_with_the_bytes_that_it_quotes():
    chunk = Chunk(
        id="c", document="d", leaf="l", title="Handbook", heading="3. Rules", text=TEXT, start=0, end=len(TEXT)
    )
    quote = "Water damage must be reported within five days."

    def sample(answer):
        turns = (Message(role="user", content="How soon?"), Message(role="assistant", content=answer))
        return Sample(id="s", kind="direct", messages=turns, chunk="c", quote=quote)

    assert sample_fault(sample(f"Within five days. {quote}"), chunk) is None
    assert sample_fault(sample(f"Within 36 hours. {quote}"), chunk)[0] == "number"
    assert sample_fault(sample("Within 3 days."), chunk)[0] == "number"  # the heading's number is no source
