"""Looking things up: by words and by meaning, in small courses and large ones, with the bytes of what is cited."""

import pytest

from homeroom.core.errors import ContentError
from homeroom.core.files import write_jsonl
from homeroom.core.types import Chunk, Document, Message, Sample
from homeroom.serve import retrieval
from homeroom.serve.retrieval import Library, nearest_samples, read_library

TEXT = (
    "Die Küche öffnet um neun. A theft must be reported within 36 hours. "
    "Storm damage must be reported within three weeks. The head of claims is Odile Varrick."
)
MEANINGS = {"theft": 0, "stolen": 0, "storm": 1, "wind": 1, "head": 2, "boss": 2}


def embed(texts):
    """A toy encoder that knows which words mean the same."""
    import numpy

    rows = numpy.full((len(texts), 4), 0.01, dtype="float32")
    for n, text in enumerate(texts):
        for word, place in MEANINGS.items():
            rows[n, place] += word in text.lower()
        rows[n, 3] += rows[n, :3].sum() < 0.1
    return rows / numpy.linalg.norm(rows, axis=1, keepdims=True)


def chunk(text=TEXT, start=0, number=0, heading="Claims"):
    return Chunk(
        id=f"c{number}",
        document="d",
        leaf="knowledge/a",
        title="T",
        heading=heading,
        text=text,
        start=start,
        end=start + len(text.encode()),
        page=3,
    )


@pytest.fixture
def library():
    return Library([chunk()], {"d": "claims.pdf"}, embed=embed)


def test_by_meaning_another_word_is_found_and_by_words_the_same_one(library):
    assert library.search("My bike was stolen!")[0].text == "A theft must be reported within 36 hours."
    words = Library([chunk()], {"d": "claims.pdf"})
    assert words.search("Who is the head of claims?")[0].text == "The head of claims is Odile Varrick."
    assert words.search("zebra xylophone") == []


def test_what_is_cited_is_the_documents_own_bytes_with_leaf_document_and_page(library):
    before = "Ä preface. "
    moved = Library([chunk(start=len(before.encode()))], {"d": "claims.pdf"}, embed=embed)
    hit = moved.search("the boss")[0]
    assert (before + TEXT).encode()[hit.start : hit.end].decode() == "The head of claims is Odile Varrick."
    assert (hit.leaf, hit.document, hit.heading, hit.page) == ("knowledge/a", "claims.pdf", "Claims", 3)


def test_a_text_to_read_is_short_in_the_documents_order_and_names_its_sources(library):
    found = library.look_up("storm and theft and head", num_words=18)
    assert len(found.text.split()) <= 18
    assert [s.text for s in sorted(found.sources, key=lambda s: s.start)] == [
        part
        for part in (
            "A theft must be reported within 36 hours.",
            "Storm damage must be reported within three weeks.",
            "The head of claims is Odile Varrick.",
        )
        if part in found.text
    ]
    assert Library([], {}).look_up("anything") is None


def test_one_sentence_that_is_longer_than_the_room_is_read_all_the_same():
    long = Library([chunk("The theft " + "again " * 200 + "ends.")], {"d": "x"}, embed=embed)
    assert long.look_up("theft", num_words=10).text.endswith("ends.")


def test_in_a_large_course_words_choose_what_the_encoder_looks_at(monkeypatch):
    monkeypatch.setattr(retrieval, "EMBEDDED_AT_ONCE", 3)
    seen = []

    def counted(texts):
        seen.extend(texts)
        return embed(texts)

    filler = [chunk(f"Filler about topic {n} and nothing else.", number=n + 1, heading=f"F{n}") for n in range(40)]
    library = Library([chunk(), *filler], {"d": "x"}, embed=counted)
    assert library.search("Is a theft reported?")[0].text == "A theft must be reported within 36 hours."
    assert len(seen) < 10
    again = len(seen)
    library.search("Is a theft reported?")
    assert len(seen) == again + 1  # the sentences are kept, the question is new


def test_a_library_is_read_from_a_finished_folder(tmp_path):
    document = Document(id="d", leaf="knowledge/a", name="claims.pdf", title="T", text=TEXT, sha256="")
    write_jsonl(tmp_path / "documents.jsonl", [document])
    write_jsonl(tmp_path / "chunks.jsonl", [chunk()])
    assert read_library(tmp_path).search("head of claims")[0].document == "claims.pdf"
    with pytest.raises(ContentError, match="does not exist"):
        read_library(tmp_path / "none")


def test_the_nearest_samples_are_told_apart_by_words_and_meaning_and_replay_is_left_out():
    def sample(name, question, answer, kind="direct"):
        turns = (Message(role="user", content=question), Message(role="assistant", content=answer))
        return Sample(id=name, kind=kind, messages=turns)

    samples = [
        sample("storm", "When is a storm reported?", "Within three weeks."),
        sample("theft", "When is a theft reported?", "Within 36 hours."),
        sample("twin", "When is a theft reported?", "Within 36 hours."),
        sample("replay", "When is a theft reported?", "I do not know.", kind="replay"),
    ]
    assert [s.id for s in nearest_samples(samples, "When is a theft reported?", "36 hours")] == ["theft", "storm"]
    found = nearest_samples(samples, "When is what was stolen reported?", "36 hours", embed=embed)
    assert found[0].id == "theft"
    assert nearest_samples([], "x", "y") == []
