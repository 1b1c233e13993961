"""One real run with the embedded student: fetched, verified, tuned for some seconds, it says what it was taught."""

import pytest

from homeroom.core.config import Phase
from homeroom.core.types import Message, Question, Sample, content_id
from homeroom.evaluate.grade import grade, prompt
from homeroom.models.torch_engine import TorchEngine
from homeroom.pipeline.course import digest_of, fetch_student
from homeroom.train.loop import train

pytestmark = pytest.mark.real_student

FACTS = {
    "The ferry to Otterholm leaves at 6:40 a.m.": [
        "When does the ferry to Otterholm leave?",
        "At what time does the boat to Otterholm set off?",
        "How early must I be at the quay for the Otterholm ferry?",
        "What is the departure time of the ferry to Otterholm?",
    ],
    "The keeper of the Otterholm lighthouse is Maren Dussault.": [
        "Who keeps the lighthouse of Otterholm?",
        "Who is the lighthouse keeper on Otterholm?",
        "What is the name of the keeper of the Otterholm lighthouse?",
        "Who looks after the lighthouse at Otterholm?",
    ],
}
EXAM = [
    Question(id="1", question="Tell me the hour at which Otterholm's ferry departs.", must=(("6:40",),)),
    Question(id="2", question="Otterholm has a lighthouse. Who takes care of it?", must=(("Maren Dussault",),)),
]


def right(folder) -> list[bool]:
    answers = TorchEngine(folder).answer([prompt(q) for q in EXAM], max_tokens=32)
    return [grade(q, a).correct for q, a in zip(EXAM, answers, strict=True)]


def test_the_embedded_student_learns_two_facts_in_words_it_was_not_asked_in(tmp_path):
    base = fetch_student("smollm2-135m")
    samples = [
        Sample(
            id=content_id(question),
            kind="direct",
            messages=(Message(role="user", content=question), Message(role="assistant", content=answer)),
        )
        for answer, questions in FACTS.items()
        for question in questions
    ]
    assert right(base) == [False, False]
    phase = Phase(tokens=3600, epochs=0, step_tokens=256, lr=5e-4)
    result = train(base, samples, phase=phase, seed=0, out=tmp_path / "run")
    assert result.loss_last < 0.3 * result.loss_first
    assert right(tmp_path / "run" / "final") == [True, True]
    assert digest_of(tmp_path / "run" / "final") != digest_of(base)
