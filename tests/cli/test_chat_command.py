"""`homeroom chat` on a small course with real weights (a tiny student): what can be typed besides questions."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from tiny_student import make_tiny_student

import homeroom
from homeroom.author.correct import documents_of
from homeroom.author.qna import tidy
from homeroom.cli import chat as cli
from homeroom.cli.serve import serve
from homeroom.core.errors import RefusedError, UsageError
from homeroom.core.files import write_jsonl
from homeroom.core.types import Message, Sample
from homeroom.taxonomy.read import read_taxonomy

EXAMPLE = Path(homeroom.__file__).parent / "data" / "examples" / "insurance"
ASKED = "By when must a stolen bike be reported to you?"


@pytest.fixture(scope="module")
def course(tmp_path_factory):
    folder = tmp_path_factory.mktemp("chat") / "course"
    shutil.copytree(EXAMPLE, folder)
    student = make_tiny_student(tmp_path_factory.mktemp("tiny") / "student")
    (folder / "recipe.yaml").write_text(f"student: {{model: {student}}}\n")
    shutil.copytree(student, folder / "out" / "model")
    documents, chunks = documents_of(folder, read_taxonomy(folder).leaves)
    write_jsonl(folder / "out" / "documents" / "documents.jsonl", documents)
    write_jsonl(folder / "out" / "documents" / "chunks.jsonl", chunks)
    pairs = [("What form is for boats?", "A purple form."), ("By when is theft reported?", "Within 36 hours.")]
    samples = [
        Sample(
            id=f"s{n}",
            kind="direct",
            leaf="knowledge/insurance/claims",
            quote=f"quote {n}",
            messages=(Message(role="user", content=q), Message(role="assistant", content=a)),
        )
        for n, (q, a) in enumerate(pairs)
    ]
    write_jsonl(folder / "out" / "dataset" / "train.jsonl", [*samples, Sample(id="r", kind="replay", text=ASKED)])
    return folder


@pytest.fixture
def talk(course, tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))  # without the encoder: by words
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")

    def open_talk(*, compare=False, sources=False):
        return cli.Talk(str(course), compare, sources, system="", max_tokens=5, temperature=0.0)

    yield open_talk
    shutil.rmtree(course / "contributions", ignore_errors=True)


def test_sources_name_leaf_document_and_bytes_of_the_last_answer(talk, capsys):
    open_talk = talk(sources=True)
    cli._do(open_talk, ASKED)
    cli._do(open_talk, "/sources")
    text = capsys.readouterr().out
    assert '"A theft must be reported within 36 hours."' in text
    assert "knowledge/insurance/claims: claims-handbook.md, bytes 911-952" in text
    assert open_talk.tuned.turns[0].content == ASKED  # what was looked up is not remembered as the person's words


def test_sources_are_searched_for_afterwards_where_none_were_read(talk, capsys):
    open_talk = talk()
    cli._do(open_talk, "Who is the head of claims?")
    cli._do(open_talk, "/sources")
    assert "The head of claims is Odile Varrick." in capsys.readouterr().out


def test_why_shows_the_nearest_training_samples_and_no_replay(talk, capsys):
    open_talk = talk()
    cli._do(open_talk, "By when is a theft reported?")
    cli._do(open_talk, "/why")
    text = capsys.readouterr().out
    assert text.index("s1  direct") >= 0
    assert 'rests on: "quote 1"' in text
    assert "r  replay" not in text


def test_correct_asks_for_the_right_answer_and_leaves_a_contribution(talk, course, capsys, monkeypatch):
    open_talk = talk()
    cli._do(open_talk, ASKED)
    monkeypatch.setattr("builtins.input", lambda prompt: "Within 36 hours.")
    cli._do(open_talk, "/correct")
    (folder,) = (course / "contributions").iterdir()
    written = json.loads((folder / "contribution.json").read_text())
    assert (written["question"], written["answer"]) == (ASKED, "Within 36 hours.")
    assert written["wrong_answer"] == tidy(open_talk.tuned.last()[1])
    assert "It rests on" in capsys.readouterr().out


def test_correct_asks_for_a_passage_where_none_supports_it_and_may_be_given_up(talk, course, monkeypatch, capsys):
    open_talk = talk()
    cli._do(open_talk, ASKED)
    said = iter(["Within 77 hours.", ""])
    monkeypatch.setattr("builtins.input", lambda prompt: next(said))
    cli._do(open_talk, "/correct")
    assert "no passage of the documents says this" in capsys.readouterr().out
    assert not (course / "contributions").exists()


def test_save_writes_what_was_said_and_overwrites_nothing(talk, tmp_path, capsys):
    open_talk = talk()
    cli._do(open_talk, f"/save {tmp_path / 'talk.md'}")
    assert "nothing was asked yet" in capsys.readouterr().err
    cli._do(open_talk, ASKED)
    cli._do(open_talk, f"/save {tmp_path / 'talk.md'}")
    assert f"**user**: {ASKED}" in (tmp_path / "talk.md").read_text()
    cli._do(open_talk, f"/save {tmp_path / 'talk.md'}")
    assert "is there already" in capsys.readouterr().err


def test_two_answers_stand_in_columns_on_a_wide_terminal_and_below_each_other_elsewhere(talk, capsys, monkeypatch):
    open_talk = talk(compare=True)
    cli._do(open_talk, ASKED)
    assert " | " not in capsys.readouterr().out
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "100")
    cli._do(open_talk, ASKED)
    first = capsys.readouterr().out.splitlines()[0]
    assert first.split() == ["base", "|", "tuned"]


@pytest.mark.parametrize(("term", "columns"), [("dumb", "100"), ("dumb", "40"), ("xterm", "100"), ("xterm", "40")])
def test_a_dumb_terminal_gets_plain_lines(term, columns, talk, capsys, monkeypatch):
    for stream in (sys.stdout, sys.stderr):
        monkeypatch.setattr(stream, "isatty", lambda: True, raising=False)
    monkeypatch.setenv("TERM", term)
    monkeypatch.setenv("COLUMNS", columns)
    open_talk = talk(compare=True)
    capsys.readouterr()
    cli._do(open_talk, ASKED)
    cli._do(open_talk, "/why")
    said = capsys.readouterr()
    assert ("\x1b" in said.out + said.err) == (term != "dumb")
    assert "base" in said.out
    assert "tuned" in said.out


def test_an_unknown_command_shows_what_there_is_and_new_forgets(talk, capsys):
    open_talk = talk()
    cli._do(open_talk, ASKED)
    cli._do(open_talk, "/new")
    cli._do(open_talk, "/wy")
    out = capsys.readouterr().out
    assert "There is no /wy." in out
    assert "/correct" in out
    assert open_talk.tuned.last() == ("", "")


def test_a_model_that_is_no_course_has_no_documents(tmp_path, monkeypatch):
    monkeypatch.setenv("HOMEROOM_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("HOMEROOM_OFFLINE", "1")
    student = make_tiny_student(tmp_path / "student")
    with pytest.raises(UsageError, match="no documents"):
        cli.Talk(str(student), False, True, system="", max_tokens=5, temperature=0.0)


# -- what serve opens of the same course ---------------------------------------------------------------------------


def test_a_course_is_served_with_its_documents_and_its_proof(talk, course):
    from homeroom.pipeline.serving import open_served

    models, embed = open_served(str(course))
    assert list(models) == ["tuned", "base"]
    assert embed is None
    assert models["tuned"].library.search("Who is the head of claims?")[0].document == "claims-handbook.md"
    assert models["tuned"].proof.startswith("not proved")
    report = course / "out" / "report"
    said = models["tuned"].engine.answer([(Message(role="user", content="Q?"),)], max_tokens=64)[0]
    item = {"set": "final", "kind": "short", "question": "Q?", "before": "other", "after": said}
    write_jsonl(report / "items.jsonl", [item])
    (report / "record.json").write_text('{"kind": "report", "format": 1}')
    try:
        assert open_served(str(course))[0]["tuned"].proof == "1 of 1 answers are the tuned student's, 0 the base's"
        write_jsonl(report / "items.jsonl", [item | {"before": said, "after": "other"}])
        with pytest.raises(RefusedError, match="not the tuned weights"):
            open_served(str(course))
    finally:
        shutil.rmtree(report)


def test_a_key_that_is_too_short_is_refused(course, tmp_path):
    (tmp_path / "key").write_text("short\n")
    done = CliRunner().invoke(serve, [str(course), "--key-file", str(tmp_path / "key")])
    assert isinstance(done.exception, UsageError)
    assert "shorter than 16" in str(done.exception)
