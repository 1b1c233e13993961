"""A draft of a leaf from a document, with the scripted teacher: quotations, coverage, the mark, and what is refused."""

import re
import shutil
import textwrap
from pathlib import Path
from types import SimpleNamespace

import pytest
import scripted_teacher
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_endpoint import scripted_server

import homeroom
from homeroom.author.draft import draft, draft_in, exams_of, outline
from homeroom.author.passages import context_of, order_of
from homeroom.author.qna import Passage, qna_text, tidy
from homeroom.author.survey import survey
from homeroom.core.config import Recipe
from homeroom.core.errors import ContentError, RefusedError, StageError, UsageError
from homeroom.core.files import write_jsonl
from homeroom.core.types import Chunk, Question, Reply, Seed
from homeroom.core.words import words
from homeroom.pipeline.course import open_course
from homeroom.pipeline.run import run
from homeroom.taxonomy.check import check

HANDBOOK = Path(homeroom.__file__).parent / "data/examples/insurance/knowledge/insurance/claims/claims-handbook.md"
LEAF = "knowledge/insurance/claims"


def brief(messages):
    """The scripted teacher, in as few words as a draft gives it for questions."""
    text = scripted_teacher.answer(messages)
    return "\n".join(text.splitlines()[:3]) if messages[-1]["content"].startswith("Fact:") else text


def replies(requests, answer):
    texts = [answer([{"content": m.content} for m in r.messages]) for r in requests]
    return [Reply(text=t, finish_reason="stop", prompt_tokens=1, completion_tokens=9) for t in texts]


def teacher(requests):
    return replies(requests, brief)


def wordy_teacher(requests):
    return replies(requests, scripted_teacher.answer)


def made(tmp_path, document=HANDBOOK, ask=teacher, **more):
    course = tmp_path / "course"
    course.mkdir(exist_ok=True)
    return draft(document, LEAF, course, ask, config=Recipe(), **more)


@pytest.fixture(scope="module")
def drafted(tmp_path_factory):
    return made(tmp_path_factory.mktemp("drafted"), ask=wordy_teacher)


def seeds(drafted):
    return [seed for passage in drafted.passages for seed in passage.seeds]


# -- what is written ------------------------------------------------------------------------------------------------


def test_five_contexts_or_more_with_three_questions_each_are_written_as_they_were_made(drafted):
    written = yaml.safe_load(drafted.path.read_text(encoding="utf-8"))
    assert len(drafted.passages) >= 5
    assert all(len(passage.seeds) == 3 for passage in drafted.passages)
    assert [e["context"] for e in written["seed_examples"]] == [p.context for p in drafted.passages]
    pairs = [(q["question"], q["answer"]) for e in written["seed_examples"] for q in e["questions_and_answers"]]
    assert pairs == [(seed.question, seed.answer) for seed in seeds(drafted)]


def test_every_answer_stands_in_its_context_and_every_context_in_the_document(drafted):
    text = " ".join(HANDBOOK.read_text(encoding="utf-8").split())
    for passage in drafted.passages:
        assert all(line in text for line in passage.context.split("\n"))
        assert all(seed.answer in passage.context for seed in passage.seeds)


def test_planted_mistakes_of_the_teacher_are_thrown_out_and_counted(drafted):
    asked = " ".join(seed.question for seed in seeds(drafted))
    assert "99" not in asked
    assert "Zebulon" not in asked
    assert {"number", "name", "form"} <= set(drafted.rejected)


def test_the_contexts_are_spread_over_the_document(drafted):
    text = HANDBOOK.read_text(encoding="utf-8")
    places = [text.index(passage.context[:40]) / len(text) for passage in drafted.passages]
    assert places == sorted(places)
    assert places[0] < 0.25
    assert places[-1] > 0.75
    assert len(drafted.sections) >= 5


def test_questions_are_all_different(drafted):
    asked = [tuple(words(seed.question)) for seed in seeds(drafted)]
    assert len(set(asked)) == len(asked)


# -- the mark -------------------------------------------------------------------------------------------------------


def test_a_draft_is_refused_until_its_mark_is_removed_and_then_passes(tmp_path):
    drafted = made(tmp_path)
    course = tmp_path / "course"
    (problem,) = [p for p in check([course]).problems if p.severity == "error"]
    assert (problem.code, problem.line) == ("draft", 1)
    assert "remove the line" in problem.hint
    with pytest.raises(ContentError, match="draft that no person has read"):
        open_course(course)
    assert survey(course).broken == (f"{LEAF}/qna.yaml",)
    first, _, rest = drafted.path.read_text(encoding="utf-8").partition("\n")
    assert first.startswith("# DRAFT")
    drafted.path.write_text("# mine\n" + first + "\n" + rest, encoding="utf-8")
    assert [(p.code, p.line) for p in check([course]).problems if p.severity == "error"] == [("draft", 2)]
    drafted.path.write_text(rest, encoding="utf-8")
    result = check([course])
    assert result.ok
    assert [p.code for p in result.problems] == ["attribution"]  # which licence, only a person knows
    assert len(open_course(course).leaves[0].seeds) == 3 * len(drafted.passages)


def test_a_comment_that_is_no_mark_is_none(tmp_path):
    path = made(tmp_path).path
    path.write_text("# DRAFT of chapter 1\n" + path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    assert check([path]).ok


# -- exams ----------------------------------------------------------------------------------------------------------


def test_no_question_of_an_exam_is_asked_again(tmp_path, drafted):
    exam = [Question(id=str(n), question=seed.question) for n, seed in enumerate(seeds(drafted))]
    again = made(tmp_path, exam=exam, ask=wordy_teacher)
    taken = {tuple(words(q.question)) for q in exam}
    assert not taken & {tuple(words(seed.question)) for seed in seeds(again)}
    assert again.rejected["exam"] > 0


def test_the_exams_of_a_course_are_the_written_one_and_those_of_the_last_run(tmp_path):
    write_jsonl(tmp_path / "exam.jsonl", [Question(id="a", question="Who?", answer="Me.", must=(("me",),))])
    write_jsonl(tmp_path / "out/exam/quiz.jsonl", [Question(id="b", question="What?")])
    assert [q.question for q in exams_of(tmp_path)] == ["Who?", "What?"]


# -- what is refused ------------------------------------------------------------------------------------------------


def test_nothing_is_overwritten(tmp_path):
    first = made(tmp_path)
    before = first.path.read_bytes()
    with pytest.raises(RefusedError, match="never overwrites"):
        made(tmp_path)
    assert first.path.read_bytes() == before
    first.path.unlink()
    (first.path.parent / HANDBOOK.name).write_text("another text")
    with pytest.raises(RefusedError, match="other contents"):
        made(tmp_path)
    assert not first.path.exists()


def test_a_document_that_lies_there_already_is_referred_to(tmp_path):
    folder = tmp_path / "course" / LEAF
    folder.mkdir(parents=True)
    (folder / "handbook.md").write_bytes(HANDBOOK.read_bytes())
    drafted = made(tmp_path, folder / "handbook.md")
    assert sorted(p.name for p in folder.iterdir()) == ["handbook.md", "qna.yaml"]
    assert "document: handbook.md\n" in drafted.path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "leaf",
    ["insurance/claims", "knowledge", "knowledge/../x", "/knowledge/x", "knowledge/a b", "compositional_skills/x"],
)
def test_a_name_that_is_no_place_for_knowledge_is_refused(tmp_path, leaf):
    with pytest.raises(UsageError, match="no folder for knowledge"):
        draft(HANDBOOK, leaf, tmp_path, teacher, config=Recipe())


def test_a_linked_folder_that_leads_out_and_odd_document_names_are_refused(tmp_path):
    (tmp_path / "course/knowledge").mkdir(parents=True)
    (tmp_path / "course/knowledge/insurance").symlink_to(tmp_path)
    with pytest.raises(RefusedError, match="leads out"):
        made(tmp_path)
    (tmp_path / "course/knowledge/insurance").unlink()
    for name in ("-rf.md", "a*.md", "a\x1bb.md"):
        (tmp_path / name).write_bytes(HANDBOOK.read_bytes())
        with pytest.raises(ContentError, match="Rename the document"):
            made(tmp_path, tmp_path / name)
    assert not list((tmp_path / "course/knowledge").iterdir())


def test_a_short_document_and_a_teacher_without_good_questions_write_nothing(tmp_path):
    short = tmp_path / "short.md"
    short.write_text("# Boats\n\nBoat 1 is red. Boat 2 is blue. Boat 3 is green.\n")
    with pytest.raises(ContentError, match="too few for 5 contexts"):
        made(tmp_path, short)
    silent = Reply(text="I cannot help.", finish_reason="stop", prompt_tokens=1, completion_tokens=1)
    with pytest.raises(StageError, match="only 0 passages"):
        made(tmp_path, ask=lambda requests: [silent] * len(requests))
    assert not (tmp_path / "course" / LEAF).exists()


def test_a_passage_without_good_questions_is_replaced_by_another(tmp_path):
    def fails_on_proof(requests):
        bad = "1. Nothing that fits."
        return [
            Reply(text=bad, finish_reason="stop", prompt_tokens=1, completion_tokens=1)
            if re.search(r"About:.*(Proof|The claims desk)", request.messages[-1].content)
            else reply
            for request, reply in zip(requests, teacher(requests), strict=True)
        ]

    drafted = made(tmp_path, ask=fails_on_proof)
    assert len(drafted.passages) >= 5
    assert not [s for s in drafted.sections if "Proof" in s or "claims desk" in s]


# -- in a course ----------------------------------------------------------------------------------------------------


def test_the_teacher_of_the_course_is_asked_and_its_answers_are_kept(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    said = []
    with scripted_server(brief) as url:
        options = (f"teacher.url={url}", "teacher.model=scripted")
        drafted = draft_in(HANDBOOK, LEAF, tmp_path, options=options, created_by="Ann: B", say=said.append)
    assert len(drafted.passages) >= 5
    assert yaml.safe_load(drafted.path.read_text(encoding="utf-8"))["created_by"] == "Ann: B"
    assert list((tmp_path / "out/asked").rglob("*.json"))
    assert "no sentence encoder" in said[0]


# -- the pieces -----------------------------------------------------------------------------------------------------

TEXTS = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cs",)) | st.sampled_from(list(" :#'\"-\n|>%@`,?&*![]{}")),
    min_size=1,
    max_size=300,
).filter(lambda text: tidy(text))


@settings(max_examples=150, deadline=None)
@given(TEXTS, TEXTS, TEXTS)
def test_whatever_the_texts_hold_the_file_gives_them_back(context, question, answer):
    seed = Seed(question=question, answer=answer)
    text = qna_text(
        [Passage(context=context, seeds=(seed,))], created_by=answer, domain=question, outline=context, document="a.md"
    )
    read = yaml.safe_load(text)
    assert read["seed_examples"] == [
        {"context": tidy(context), "questions_and_answers": [{"question": tidy(question), "answer": tidy(answer)}]}
    ]
    assert (read["created_by"], read["domain"]) == (tidy(answer), tidy(question))
    assert not [line for line in text.split("\n") if line != line.rstrip()]


def test_a_context_has_its_paragraphs_on_one_line_and_its_lists_and_tables_as_they_are():
    text = textwrap.dedent("""\
        The desk is open
        on Mondays.

        - It has a bell,
          which is loud.
        - It has a lamp.

        | Plan | Fee |
        |---|---|
        | Boat | 9 |""")
    chunk = Chunk(id="c", document="d", leaf="x", title="T", heading="", text=text, start=0, end=len(text))
    assert context_of(chunk) == (
        "The desk is open on Mondays.\n- It has a bell, which is loud.\n- It has a lamp.\n"
        "| Plan | Fee |\n|---|---|\n| Boat | 9 |"
    )


def test_the_order_of_passages_covers_the_document_from_the_first_on():
    chunks = [
        Chunk(id=str(n), document="d", leaf="x", title="T", heading="", text="w " * 50, start=0, end=0)
        for n in range(20)
    ]
    order = order_of(range(20), chunks, 5)
    assert all(abs(n - wanted) <= 1 for n, wanted in zip(order[:5], (2, 6, 10, 14, 18), strict=True))
    assert sorted(order) == list(range(20))


def test_the_outline_names_the_sections_once_and_stays_short():
    assert outline("Guide", ["1. A > x", "1. A > y", "Guide", "2) B / C"]) == "Guide: A; B; C."
    assert len(outline("T" * 900, ["S" * 90] * 9)) < 320


def test_an_exam_that_the_teacher_writes_later_asks_nothing_that_the_seeds_ask(tmp_path, monkeypatch):
    words_alone = SimpleNamespace(embed=None)  # the sentence encoder takes its time, and has no say in this
    monkeypatch.setattr("homeroom.models.embedder.shipped_embedder", lambda: words_alone)
    drafted = made(tmp_path)
    drafted.path.write_text(drafted.path.read_text(encoding="utf-8").partition("\n")[2], encoding="utf-8")
    with scripted_server(scripted_teacher.answer) as url:
        options = (f"teacher.url={url}", "teacher.model=scripted")
        run(open_course(tmp_path / "course", options), until="exam")
        asked = exams_of(tmp_path / "course")
        text, taken = drafted.path.read_text(encoding="utf-8"), asked[0].question
        drafted.path.write_text(
            re.sub(r"question: >-\n[^:]*\n        answer", f"question: {taken}\n        answer", text, count=1)
        )
        shutil.rmtree(tmp_path / "course/out/exam")
        course = open_course(tmp_path / "course", options)
        assert taken in [seed.question for seed in course.leaves[0].seeds]
        run(course, until="exam")
    again = [q.question for q in exams_of(tmp_path / "course")]
    assert taken not in again
    assert len(again) == len(asked) - 1
