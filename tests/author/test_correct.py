"""A wrong answer becomes a contribution: the passage, the leaf, the edit, the check, and what is refused."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

import homeroom
from homeroom.author.correct import NeedsPassage, correct, documents_of
from homeroom.author.edit import LeafText
from homeroom.author.evidence import find_support, place_of
from homeroom.core.contributions import (
    Contribution,
    accept,
    contribution_id,
    read_contribution,
    read_contributions,
    settle,
    write_contribution,
)
from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError
from homeroom.core.files import write_text
from homeroom.core.types import Seed
from homeroom.evaluate.exam import read_exam
from homeroom.taxonomy.check import check
from homeroom.taxonomy.read import read_taxonomy

EXAMPLES = Path(homeroom.__file__).parent / "data" / "examples"
LEAF = "knowledge/insurance/claims"
ASKED = ("By when must a stolen bike be reported to you?", "Within 36 hours.")


@pytest.fixture
def course(tmp_path):
    made = tmp_path / "course"
    shutil.copytree(EXAMPLES / "insurance", made)
    return made


def leaf_of(course, made):
    """The leaf as the contribution would leave it."""
    text = (made.folder / "files" / made.contribution.leaf / "qna.yaml").read_bytes()
    return LeafText(text, made.contribution.leaf).leaf


# -- the passage ---------------------------------------------------------------------------------------------------


def test_the_passage_behind_a_written_exam_answer_is_found_and_no_other_is_taken(course):
    documents, chunks = documents_of(course, read_taxonomy(course).leaves)
    exam = [q for q in read_exam(course / "exam.jsonl") if q.source][::4]
    assert len(exam) > 25
    found = [(q, find_support(q.question, q.answer, documents, chunks)[0]) for q in exam]
    taken = [(q, s) for q, s in found if s.supports]
    assert len(taken) > 0.6 * len(exam)  # by words alone; the encoder finds the rest
    assert [q.id for q, s in taken if q.source not in s.evidence.quote] == []


def test_evidence_is_the_documents_own_bytes(course):
    made = correct(course, *ASKED)
    evidence = made.contribution.evidence
    text = (course / LEAF / evidence.document).read_bytes()
    assert text[evidence.start : evidence.end].decode() == evidence.quote == "A theft must be reported within 36 hours."
    assert evidence.heading == "3. Reporting a loss"


def test_without_a_passage_that_says_it_the_person_is_asked_and_shown_the_nearest(course):
    with pytest.raises(NeedsPassage, match="no passage of the documents says this") as caught:
        correct(course, ASKED[0], "Within 99 hours.")
    assert caught.value.exit_code == 3
    assert caught.value.candidates[0].missing == ("99",)
    assert not (course / "contributions").exists()


def test_a_passage_that_the_person_names_is_found_whatever_its_spaces_and_must_hold_the_details(course):
    passage = "A  theft must be\nreported within 36 hours"
    assert correct(course, "Until when, for a stolen bike?", "36 hours", passage=passage).contribution.leaf == LEAF
    with pytest.raises(NeedsPassage, match="It lacks: 37"):
        correct(course, "Until when, for a stolen bike?", "37 hours", passage=passage)


def test_a_document_in_another_language_is_placed_by_its_bytes(tmp_path):
    from homeroom.core.types import Chunk, Document

    text = "Über uns.\n\nDer Schlüssel für die Küche hängt an der Tür. Die Prüfung dauert 40 Minuten.\n"
    document = Document(id="d", leaf="knowledge/x", name="x.md", title="", text=text, sha256="")
    whole = Chunk(
        id="c", document="d", leaf="knowledge/x", title="", heading="", text=text, start=0, end=len(text.encode())
    )
    best = find_support("Wie lange dauert die Prüfung?", "40 Minuten", [document], [whole])[0]
    assert best.supports
    assert text.encode()[best.evidence.start : best.evidence.end].decode() == "Die Prüfung dauert 40 Minuten."
    assert place_of("hängt an der Tür", [document], [whole]).quote.startswith("Der Schlüssel")


# -- the edit ------------------------------------------------------------------------------------------------------


def test_the_course_is_untouched_and_the_contribution_holds_the_whole_changed_file(course):
    before = (course / LEAF / "qna.yaml").read_bytes()
    made = correct(course, *ASKED, wrong="Within two months.", who="Ada", email="ada@example.org", sign_off=True)
    assert (course / LEAF / "qna.yaml").read_bytes() == before
    written = json.loads((made.folder / "contribution.json").read_text())
    assert written["wrong_answer"] == "Within two months."
    assert (written["who"], written["signed_off"], written["problems"]) == ("Ada", True, [])
    assert read_contribution(course, made.contribution.id) == made.contribution == next(read_contributions(course))
    old, new = LeafText(before, LEAF).leaf, leaf_of(course, made)
    (added,) = [s for s in new.seeds if s not in old.seeds]
    assert (added.question, added.answer) == ASKED
    assert "36 hours" in added.context
    assert [s for s in new.seeds if s in old.seeds] == list(old.seeds)


def test_comments_and_every_other_line_stay(course):
    file = course / LEAF / "qna.yaml"
    file.write_text("# written by hand\n" + file.read_text() + "# the end\n")
    made = correct(course, *ASKED)
    before, after = file.read_text().split("\n"), (made.folder / "files" / LEAF / "qna.yaml").read_text().split("\n")
    assert [line for line in before if line not in after] == []
    assert len(after) > len(before)
    assert (after[0], after[-2]) == ("# written by hand", "# the end")


def test_a_passage_that_no_example_holds_makes_the_nearest_context_longer(course):
    seeds = read_taxonomy(course).leaves[0].seeds
    asked = ("To whom does the senior job of inspecting belong?", "Maren Dussault.")
    assert not any("Dussault" in s.context for s in seeds)
    made = correct(course, *asked)
    assert "nearest example" in made.how
    (added,) = [s for s in leaf_of(course, made).seeds if s.question == asked[0]]
    assert added.context.endswith("The senior inspector is Maren Dussault.")


def test_an_answer_that_the_leaf_itself_has_wrong_is_changed_there(course):
    file = course / LEAF / "qna.yaml"
    file.write_text(
        file.read_text().replace("The telephone extension of the claims desk is 4417.\n      -", "It is 1.\n      -")
    )
    question = "What is the telephone extension of the claims desk at Brindlemoor Mutual?"
    made = correct(course, question, "It is 4417.")
    assert "was changed" in made.how
    (seed,) = [s for s in leaf_of(course, made).seeds if s.question == question]
    assert seed.answer == "It is 4417."


@pytest.mark.parametrize(
    "answer", ["It's: 36 hours # ok", "- 36 hours", "> 36 hours\n\n| so", "{36 hours}", "'36 hours"]
)
def test_signs_that_mean_something_in_yaml_come_back_as_they_were(course, answer):
    made = correct(course, "By when is a stolen bike reported: a 'theft'?", answer)
    (seed,) = [s for s in leaf_of(course, made).seeds if s.question.startswith("By when is a stolen")]
    assert " ".join(seed.answer.split()) == " ".join(answer.split())


def test_a_leaf_in_one_line_is_refused_with_the_lines_to_add(course):
    file = course / LEAF / "qna.yaml"
    file.write_text(yaml.safe_dump(yaml.safe_load(file.read_text()), default_flow_style=True, width=10**6))
    with pytest.raises(ContentError, match=r"Add these lines by hand:\n.*question"):
        correct(course, *ASKED)


def test_a_skill_gets_one_more_example(tmp_path):
    course = tmp_path / "course"
    shutil.copytree(EXAMPLES / "inclusive-language", course)
    leaf = read_taxonomy(course).leaves[0]
    context = "The salesman rang twice." if leaf.kind == "grounded_skill" else ""
    made = correct(
        course, "Make this inclusive: the salesman rang.", "The salesperson rang.", leaf=leaf.path, passage=context
    )
    assert leaf_of(course, made).seeds[-1].answer == "The salesperson rang."
    assert len(leaf_of(course, made).seeds) == len(leaf.seeds) + 1


def test_words_that_no_document_holds_become_the_draft_of_a_new_leaf(course):
    passage = "The harbour crane lifts nine tons. It was built in 1911."
    made = correct(course, "How much does the harbour crane lift?", "Nine tons.", passage=passage)
    contribution = made.contribution
    assert contribution.is_draft
    assert contribution.leaf == "knowledge/harbour-crane"
    assert len(contribution.files) == 3
    assert {"too-few"} <= {p["code"] for p in contribution.problems}
    with pytest.raises(RefusedError, match="is not complete"):
        accept(course, contribution.id)


# -- what is refused -----------------------------------------------------------------------------------------------


def test_an_exam_questions_wording_is_never_taught(course):
    exam = read_exam(course / "exam.jsonl")[0]
    with pytest.raises(RefusedError, match="wording of an exam question"):
        correct(course, exam.question, exam.answer)


def test_what_is_taught_already_is_not_added_again(course):
    accept(course, correct(course, *ASKED).contribution.id)
    with pytest.raises(RefusedError, match="taught already"):
        correct(course, *ASKED)


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"question": "  "}, "question is empty"),
        ({"answer": "\x00\u202e"}, "answer is empty"),
        ({"question": "x" * 1001}, "1,001 characters"),
        ({"leaf": "../../etc"}, "is no leaf"),
        ({"leaf": "knowledge/../x"}, "is no leaf"),
    ],
)
def test_arguments_that_make_no_sense_are_said(course, given, match):
    with pytest.raises(UsageError, match=match):
        correct(course, **({"question": ASKED[0], "answer": ASKED[1]} | given))


def test_a_contradiction_with_another_leaf_is_among_the_problems(course):
    other = course / "knowledge" / "insurance" / "other"
    shutil.copytree(course / LEAF, other)
    file = other / "qna.yaml"
    text = file.read_text().replace("On which day is the Brindlemoor Mutual claims desk closed?", ASKED[0], 1)
    file.write_text(text)
    made = correct(course, *ASKED, leaf=LEAF)
    assert "contradiction" in {p["code"] for p in made.contribution.problems}


# -- review --------------------------------------------------------------------------------------------------------


def test_accepting_puts_the_file_into_the_course_and_the_course_stays_valid(course):
    made = correct(course, *ASKED)
    assert accept(course, made.contribution.id, note="thank you").state == "accepted"
    assert check([course]).ok
    assert Seed(question=ASKED[0], answer=ASKED[1], context=read_taxonomy(course).leaves[0].seeds[3].context) in (
        read_taxonomy(course).leaves[0].seeds
    )
    assert accept(course, made.contribution.id).note == "thank you"  # twice is once


def test_a_leaf_that_has_changed_since_is_not_overwritten(course):
    made = correct(course, *ASKED)
    file = course / LEAF / "qna.yaml"
    file.write_text(file.read_text() + "# another hand\n")
    with pytest.raises(RefusedError, match="has changed since"):
        accept(course, made.contribution.id)
    assert file.read_text().endswith("# another hand\n")


@pytest.mark.parametrize("written", [1, 2])
def test_what_a_full_disk_broke_off_is_accepted_the_next_time(course, monkeypatch, written):
    changes = {f"{LEAF}/{name}.md": f"{name}\r\nis new, für alle.\n" for name in ("a", "b")}
    id = contribution_id("correction", LEAF, changes, "")
    base = dict.fromkeys(changes, "")
    new = Contribution(id=id, kind="correction", title="two", leaf=LEAF, files=tuple(changes), base=base)
    write_contribution(course, new, changes)

    def until_full(path, text):
        if len(left) == written:
            raise MachineError("the disk is full", where=str(path))
        left.append(path)
        write_text(path, text)

    left = []
    monkeypatch.setattr("homeroom.core.contributions.write_text", until_full)
    monkeypatch.setattr("homeroom.core.contributions.write_json", lambda path, value: until_full(path, ""))
    with pytest.raises(MachineError):
        accept(course, id)
    monkeypatch.undo()
    assert len(left) == written
    assert accept(course, id).state == "accepted"
    assert all((course / name).is_file() for name in changes)


def test_a_rejected_contribution_is_not_accepted(course):
    made = correct(course, *ASKED)
    settle(course, made.contribution, "rejected", note="is in it already")
    with pytest.raises(RefusedError, match="was rejected"):
        accept(course, made.contribution.id)


@pytest.mark.parametrize(
    "name", ["../out.yaml", "knowledge/../../x", "/etc/passwd", "knowledge/.git/hooks", "recipe.yaml"]
)
def test_a_contribution_from_a_stranger_reaches_no_file_outside_the_taxonomy(course, name):
    made = correct(course, *ASKED)
    path = made.folder / "contribution.json"
    path.write_text(path.read_text().replace(f"{LEAF}/qna.yaml", name))
    with pytest.raises(UsageError):
        accept(course, made.contribution.id)
    assert list(read_contributions(course)) == []


def test_a_link_among_the_files_is_not_followed(course, tmp_path):
    made = correct(course, *ASKED)
    secret = tmp_path / "secret"
    secret.write_text("x")
    file = made.folder / "files" / LEAF / "qna.yaml"
    file.unlink()
    file.symlink_to(secret)
    with pytest.raises(ContentError, match="no ordinary file"):
        accept(course, made.contribution.id)


@pytest.mark.parametrize("id", ["../x", "", "zz", "a" * 40])
def test_an_id_is_twelve_digits(course, id):
    with pytest.raises(UsageError, match="no id"):
        read_contribution(course, id)


def test_the_base_commit_is_the_courses_own(course):
    for command in (["init", "-q"], ["add", "."], ["-c", "user.name=a", "-c", "user.email=b", "commit", "-qm", "x"]):
        subprocess.run(["git", "-C", str(course), *command], check=True, capture_output=True)
    head = subprocess.run(["git", "-C", str(course), "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    assert correct(course, *ASKED).contribution.base_commit == head.stdout.strip()


def test_contributions_are_no_leaves_of_the_course(course):
    correct(course, *ASKED)
    assert check([course]).problems == ()
    assert check([course]).leaves == (LEAF,)
