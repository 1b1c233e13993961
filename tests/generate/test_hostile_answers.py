"""What a teacher writes is read in a time that grows with its length, whatever it is made of."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from homeroom.core.config import Exam
from homeroom.core.types import Chunk, Reply, Seed
from homeroom.generate.exam_questions import exam_asks, read_exam
from homeroom.generate.facts import clear_fact, read_facts
from homeroom.generate.manner import manner_fault, manner_of
from homeroom.generate.questions import read_questions
from homeroom.generate.tasks import lines_of

TEXT = "The harbour office opens at 7:30 a.m. It closes at 4 p.m. on every day of the week."
CHUNK = Chunk(
    id="c", document="d", leaf="knowledge/x", title="Guide", heading="Hours", text=TEXT, start=0, end=len(TEXT)
)  # fmt: skip
FACTS = read_facts(CHUNK, None)
LISTS = [Seed(question="Name two.", answer=answer) for answer in ("- one\n- two", "- red\n- blue")]


def reply(text: str) -> Reply:
    return Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)


def exam(said: Reply) -> object:
    return read_exam(exam_asks(FACTS, config=Exam()), [said], all_facts=FACTS, written=(), config=Exam())


READERS: dict[str, Callable[[Reply], object]] = {
    "facts": lambda said: read_facts(CHUNK, said),
    "clear": lambda said: clear_fact(FACTS[1], CHUNK, said),
    "exam": exam,
    "questions": lambda said: list(read_questions(said, FACTS[0], "Guide", "t")),
    "tasks": lines_of,
    "answers": lambda said: manner_fault(Seed(question="Name two.", answer=said.text), manner_of(LISTS)),
}
BLANK = " " * 60_000


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(
    "text", [f"1.{BLANK}x", f"1. a{BLANK}b |{BLANK}", f"[1] a{BLANK}b", "- a" + "\n" * 60_000 + "- b", f"**{BLANK}"]
)
def test_a_run_of_blanks_is_read_at_once(name: str, text: str):
    began = time.process_time()
    READERS[name](reply(text))
    assert time.process_time() - began < 5


def test_lines_with_runs_of_spaces_say_the_same():
    facts = read_facts(CHUNK, reply("  - [1]   The harbour office\topens   at 7:30 a.m.  "))
    assert [(f.statement, f.origin) for f in facts[:1]] == [("The harbour office opens at 7:30 a.m.", "teacher")]
    [question] = read_questions(reply("  **1.**   When does the   office open? "), FACTS[0], "Guide", "t")
    assert question.messages[0].content == "When does the office open?"
    made = exam(reply(" 1 )  From when on is the harbour's office open?  |  7:30  \n2.|x\n1. Who?|"))
    assert [q.question for q in made] == ["From when on is the harbour's office open?"]
    twice = exam(
        reply("1. From when on is the harbour's office open? | 7:30\n1. At what time is the harbour let in? | 7:30")
    )
    assert [q.question for q in twice] == ["From when on is the harbour's office open?"]  # one a fact
    assert lines_of(reply(' Task 1 :  "do  it" \n\n-   and this\nnot this')) == ["do it", "and this"]
