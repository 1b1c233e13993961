"""Grounded and freeform skills: as many as are wanted, in the manner of the examples, graded, and none for ever."""

import itertools
import re

import pytest

from homeroom.core.config import Samples
from homeroom.core.types import Leaf, Reply, Seed
from homeroom.generate.judge import claim_request, says_yes, yes_share
from homeroom.generate.manner import manner_fault, manner_of
from homeroom.generate.skill import skill_samples

NOTES = [
    ("The boiler in room 4 leaks. Ask Mr Ott.", "room 4: boiler leaks"),
    ("A pane in the hall is broken since Monday.", "hall: pane broken"),
    ("In the cellar the lamp flickers when it rains.", "cellar: lamp flickers"),
    ("The lift stops between two floors again.", "lift: stops between floors"),
    ("The gate to the yard does not lock any more.", "yard: gate does not lock"),
]
GROUNDED = Leaf(
    path="compositional_skills/notes",
    kind="grounded_skill",
    task="note a fault in a few words",
    seeds=tuple(Seed(question="Note the fault.", context=c, answer=a) for c, a in NOTES),
)
FREEFORM = Leaf(
    path="compositional_skills/rhymes",
    kind="freeform_skill",
    task="name things",
    seeds=tuple(
        Seed(question=f"Name two {w}.", answer=f"- {a}\n- {b}")
        for w, a, b in [
            ("birds", "owl", "wren"),
            ("trees", "oak", "elm"),
            ("towns", "Rome", "Bern"),
            ("cars", "a", "b"),
        ]
    ),
)


class Teacher:
    """Writes what it is told to, and remembers what it was asked."""

    def __init__(self, new, answer, grade=lambda text: "yes"):
        self.new, self.answer, self.grade, self.asked = new, answer, grade, []
        self.count = itertools.count()

    def __call__(self, requests, share=1.0):
        self.asked += requests
        return [
            Reply(text=self.one(r.messages[-1].content), finish_reason="stop", prompt_tokens=1, completion_tokens=5)
            for r in requests
        ]

    def one(self, text):
        if "Answer yes or no" in text:
            return self.grade(text)
        return self.new(next(self.count)) if re.search(r"Write \d more", text) else self.answer(text)


def contexts(n):
    return f"1. The door of house {n} squeaks in the wind.\n2. The roof of shed {n} leaks when it rains."


def noted(text):
    number = re.search(r"(?:house|shed) (\d+)", text)[1]
    return f"house {number}: door squeaks" if "door" in text else f"shed {number}: roof leaks"


def test_a_grounded_skill_gets_new_contexts_until_as_many_are_accepted_as_are_wanted():
    teacher = Teacher(contexts, noted)
    sifted = skill_samples(GROUNDED, teacher, config=Samples(skill_samples=20), exam=(), teacher="t")
    made = [s for s in sifted.samples if s.kind == "skill"]
    assert len(made) == 20
    assert len({s.messages[0].content for s in made}) == 20
    assert made[0].messages[0].content.startswith("Note the fault.\n\nThe door of house 0")
    assert made[0].recipe.startswith("skill/grounded@")
    assert sum("Write 3 more" in r.messages[-1].content for r in teacher.asked) == 12  # three rounds of four
    assert any("other subjects, such as" in r.messages[-1].content for r in teacher.asked)


@pytest.mark.parametrize(
    ("answer", "check", "reason"),
    [
        (lambda t: "", "form", "empty"),
        (lambda t: noted(t) + "\nand more", "manner", "one line"),
        (lambda t: f"{noted(t)} 977", "manner", "numbers of its own"),
        (lambda t: "nothing that anybody wrote", "manner", "words of its context"),
        (lambda t: "As an AI language model, I note it", "steering", "of itself"),
        (
            lambda t: noted(t) + " in the dark wet night when nobody goes out to look at it and the owls call",
            "manner",
            "words",
        ),
    ],
)
def test_an_answer_in_another_manner_than_every_example_is_thrown_out(answer, check, reason):
    sifted = skill_samples(GROUNDED, Teacher(contexts, answer), config=Samples(skill_samples=4), exam=(), teacher="t")
    assert not [s for s in sifted.samples if s.kind == "skill"]
    assert {r.check for r in sifted.rejected} >= {check}
    assert any(reason in r.reason for r in sifted.rejected)


def test_a_teacher_that_gives_nothing_new_is_left_alone_after_three_rounds():
    teacher = Teacher(lambda n: "1. " + NOTES[0][0], lambda t: NOTES[0][1])
    sifted = skill_samples(GROUNDED, teacher, config=Samples(skill_samples=20), exam=(), teacher="t")
    assert not [s for s in sifted.samples if s.kind == "skill"]
    assert sum("Write 3 more" in r.messages[-1].content for r in teacher.asked) == 12
    assert {r.check for r in sifted.rejected} == {"duplicate"}


def test_freeform_answers_are_graded_and_keep_the_form_of_a_list():
    def answer(text):
        number = int(re.search(r"(\d+)", text)[1])
        return "- a\n- b" if number % 3 else "- a\n- b\n- c"

    teacher = Teacher(
        lambda n: f"1. Name two things of drawer {n}.\n2. Name two things of box {n}.",
        answer,
        grade=lambda text: "no" if "box" in text else "yes",
    )
    sifted = skill_samples(FREEFORM, teacher, config=Samples(skill_samples=6), exam=(), teacher="t")
    made = [s for s in sifted.samples if s.kind == "skill"]
    assert len(made) == 6
    assert all("drawer" in s.messages[0].content and s.messages[1].content == "- a\n- b" for s in made)
    found = {r.check: r.reason for r in sifted.rejected}
    assert "3 items, where every example has 2" in found["manner"]
    assert "grade" in found
    assert made[0].recipe.startswith("skill/freeform@")


def test_an_exam_task_never_becomes_a_sample():
    from homeroom.core.types import Question

    exam = [Question(id="q", question="Name two things of drawer 1.", answer="x")]
    teacher = Teacher(lambda n: f"1. Name two things of drawer {n}.", lambda t: "- a\n- b")
    sifted = skill_samples(FREEFORM, teacher, config=Samples(skill_samples=3), exam=exam, teacher="t")
    assert not any("drawer 1." in s.messages[0].content for s in sifted.samples)
    assert "exam" in {r.check for r in sifted.rejected}


def test_a_budget_that_ends_early_keeps_what_is_good():
    teacher = Teacher(contexts, noted)
    left = itertools.count()

    def ask(requests, share=1.0):
        return [teacher([r])[0] if next(left) < 9 else None for r in requests]

    sifted = skill_samples(GROUNDED, ask, config=Samples(skill_samples=20), exam=(), teacher="t")
    assert sum(s.kind == "skill" for s in sifted.samples) == 5


def test_examples_of_one_word_have_a_manner_too():
    seeds = [Seed(question=f"Sort: {w}", answer=a) for w, a in [("owl", "bird"), ("oak", "tree"), ("elm", "tree")]]
    manner = manner_of(seeds)
    assert manner_fault(Seed(question="Sort: wren", answer="bird"), manner) is None
    assert (
        manner_fault(Seed(question="Sort: wren", answer="It is a bird, and a small one at that."), manner)[0]
        == "manner"
    )


@pytest.mark.parametrize(("judge", "verdict", "kept"), [(False, "no", 1), (True, "no", 0), (True, "yes", 1)])
def test_a_judge_decides_on_a_retelling_that_code_cannot_tell_only_where_it_is_asked_for(judge, verdict, kept):
    from homeroom.core.types import Chunk
    from homeroom.generate.facts import read_facts, weigh
    from homeroom.generate.knowledge import knowledge_samples
    from homeroom.generate.sifted import sifted

    text = "Storm damage must be reported within three weeks. The desk is on Cooper's Stair. Files stay nine years."
    chunk = Chunk(id="c", document="d", leaf="l", title="T", heading="", text=text, start=0, end=len(text))
    told = text.replace("Storm damage must be reported", "Storm damage must be announced promptly by post")
    asked = []

    def ask(requests, share=1.0):
        asked.extend(requests)
        said = [verdict if "Claim:" in r.messages[-1].content else told for r in requests]
        return [Reply(text=t, finish_reason="stop", prompt_tokens=1, completion_tokens=1) for t in said]

    facts = weigh(read_facts(chunk, None), [])
    config = Samples(manners=0, rewrites=1, judge=judge)
    made = sifted(knowledge_samples(facts, [chunk], ask, config=config, all_facts=facts, exam=(), teacher="t"))
    assert sum(s.kind == "rewrite" for s in made.samples) == kept
    assert [r.check for r in made.rejected] == ["judge"] * (1 - kept)
    assert sum("Claim:" in r.messages[-1].content for r in asked) == judge


def test_a_judge_is_read_by_its_log_probabilities_or_else_by_its_word():
    def reply(text, top=None):
        made = Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=1)
        return type("Told", (), {"text": text, "top": top})() if top is not None else made

    assert says_yes(reply("Yes"))
    assert not says_yes(reply("no"))
    assert not says_yes(reply("I think so"))
    assert says_yes(reply("no", {"no": -0.9, " Yes": -0.6, "Yes": -3.0}))
    assert yes_share(reply("", {"yes": -1.0, "no": -1.0})) == 0.5
    asked = claim_request("It opens at 7.", "It opens early.")
    assert asked.max_tokens == 1
    assert "Text: It opens at 7.\nClaim: It opens early." in asked.messages[-1].content
