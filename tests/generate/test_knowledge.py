"""The knowledge recipe: even coverage, answers that are the fact, and every rejected sample with its reason."""

import dataclasses
import re
from collections import Counter

import pytest
from scripted_teacher import answer

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Question, Reply, Sample
from homeroom.core.words import words
from homeroom.generate import knowledge
from homeroom.generate.coverage import TEACHER_TOKENS, TRAINING_TOKENS, cover
from homeroom.generate.details import alike, details, key_details
from homeroom.generate.exam_questions import exam_asks, read_exam
from homeroom.generate.facts import read_facts, weigh
from homeroom.generate.knowledge import REWRITE_SHARE, knowledge_samples
from homeroom.generate.sifted import sifted

TEXT = (
    "Water damage must be reported within five days. Storm damage must be reported within three weeks. "
    "The senior inspector is Maren Dussault. A bicycle is insured for at most 1,400 tallens. "
    "Boat claims are made on a purple form. The archive with closed files is at Nettle Hill."
)
CHUNK = Chunk(
    id="c", document="d", leaf="knowledge/x", title="Claims Handbook", heading="Rules", text=TEXT, start=0,
    end=len(TEXT),
)  # fmt: skip
FACTS = weigh(read_facts(CHUNK, None), [])
SAME = (  # details of one kind, so that one can stand for another
    "Water damage must be reported within five days. Storm damage must be reported within nine days. "
    "Theft must be reported within two days. Fire damage must be reported within seven days. "
    "Boat claims are made on a purple form. Car claims are made on a green form. Bike claims are made on a red form."
)
ALIKE = dataclasses.replace(CHUNK, text=SAME, end=len(SAME))


class Teacher:
    """The scripted teacher with a budget of requests, and everything it was asked."""

    def __init__(self, requests: int = 10**6) -> None:
        self.left, self.asked, self.shares = requests, [], []

    def __call__(self, requests, share: float = 1.0) -> list[Reply | None]:
        now = list(requests)[: self.left]
        self.left -= len(now)
        self.asked += now
        self.shares.append(share)
        texts = [answer([{"content": m.content} for m in r.messages]) for r in now]
        replies = [Reply(text=t, finish_reason="stop", prompt_tokens=1, completion_tokens=9) for t in texts]
        return [*replies, *[None] * (len(requests) - len(now))]


def made(config: Samples, exam=(), teacher=None, chunk=CHUNK):
    ask, facts = teacher or Teacher(), weigh(read_facts(chunk, None), [])
    items = knowledge_samples(facts, [chunk], ask, config=config, all_facts=facts, exam=exam, teacher="scripted")
    return sifted(items)


def direct(sifted) -> list[Sample]:
    return [s for s in sifted.samples if s.kind == "direct"]


def test_every_fact_gets_questions_whose_answers_end_with_the_fact_and_are_traced_to_its_words():
    samples = direct(made(Samples(manners=2, rewrites=1)))
    statements = {f.id: f.statement for f in FACTS}
    assert {f for s in samples for f in s.facts} == set(statements)
    assert all(s.messages[-1].content.endswith(statements[s.facts[0]]) for s in samples)
    assert all(s.teacher == "scripted" and TEXT[s.start : s.end] == s.quote for s in samples)


def test_planted_mistakes_are_rejected_each_with_its_reason():
    rejected = made(Samples(manners=1, rewrites=0)).rejected
    found = {r.check for r in rejected}
    assert {"number", "name", "form"} <= found
    assert all(r.reason for r in rejected)
    assert any("99" in r.reason for r in rejected)


def test_a_fact_is_asked_about_until_it_has_enough_questions_and_no_longer():
    teacher = Teacher()
    samples = direct(made(Samples(questions=7, manners=6, rewrites=0), teacher=teacher))
    per_fact = Counter(s.facts[0] for s in samples)
    waves = Counter(statement_of(r) for r in teacher.asked)
    assert {per_fact[f.id] for f in FACTS} == {6, 12}  # the scripted teacher repeats itself about some facts
    assert all((waves[f.statement] < 6) == (per_fact[f.id] == 12) for f in FACTS)
    assert len(set(teacher.asked)) == len(teacher.asked)


def statement_of(request) -> str:
    return re.search(r"Fact: (.*)", request.messages[-1].content)[1]


def test_the_first_wave_asks_about_all_facts_in_order_and_then_for_a_retelling():
    teacher = Teacher()
    made(Samples(manners=2, rewrites=1), teacher=teacher)
    assert [statement_of(r) for r in teacher.asked[: len(FACTS)]] == [f.statement for f in FACTS]
    assert "Tell this again" in teacher.asked[len(FACTS)].messages[-1].content
    assert teacher.shares == [1.0, REWRITE_SHARE, 1.0]


def test_a_budget_that_ends_early_still_teaches_every_fact_something():
    sifted = made(Samples(manners=2, rewrites=0), teacher=Teacher(requests=2))
    assert {s.facts[0] for s in direct(sifted)} == {f.id for f in FACTS[:2]}
    assert {s.facts[0] for s in sifted.samples if s.kind == "yes_no"} == {f.id for f in FACTS}


def test_exam_wording_never_reaches_the_samples_and_every_fact_keeps_some():
    plain = direct(made(Samples(manners=1)))
    exam = [Question(id="q", question=plain[0].messages[0].content)]
    sifted = made(Samples(manners=1), exam)
    assert exam[0].question not in {s.messages[0].content for s in sifted.samples if s.messages}
    assert any(r.check == "exam" for r in sifted.rejected)
    assert {f for s in sifted.samples for f in s.facts} == {f.id for f in FACTS}


def test_an_exam_that_asks_as_a_drill_does_keeps_that_drill_out():
    drill = next(s for s in made(Samples(manners=1)).samples if s.kind == "yes_no").messages[0].content
    sifted = made(Samples(manners=1), [Question(id="q", question=drill)])
    assert drill not in {s.messages[0].content for s in sifted.samples if s.messages}
    assert drill in {r.sample.messages[0].content for r in sifted.rejected if r.check == "exam" and r.sample.messages}


def test_a_wrong_twin_differs_from_the_fact_and_has_the_same_unit():
    samples = made(Samples(manners=1), chunk=ALIKE).samples
    pairs = [s for s in samples if s.kind == "yes_no" and s.messages[1].content[:2] == "No"]
    assert pairs
    for sample in pairs:
        asked, told = sample.messages[0].content, sample.messages[1].content
        assert told[len("No. ") :] not in asked
        assert ("days" in asked) == ("days" in told)


def test_a_choice_has_the_right_detail_once_among_like_ones():
    rows = [s for s in made(Samples(manners=1), chunk=ALIKE).samples if s.kind == "choice"]
    assert rows
    for sample in rows:
        listed = sample.messages[0].content.split("\n\n")[1].splitlines()
        assert listed.count(sample.messages[1].content) == 1
        assert 3 <= len(listed) <= 4


def test_details_are_numbers_with_units_and_names():
    assert key_details("Water damage must be reported to Odile Varrick within five days.") == [
        "Odile Varrick",
        "five days",
    ]
    assert key_details("Forms are filled in with a pencil.") == []


@pytest.mark.parametrize(
    ("statement", "told"),
    [
        ("Water claims are made on an orange form.", ["an orange form"]),
        ("Every form must be filled in with a pencil, because ink spoils it.", ["a pencil"]),
        ("Damage done by squirrels is never paid for.", ["by squirrels"]),
        ("The office does not accept videos as proof.", ["videos"]),
        ("The fee is returned if the appeal succeeds.", ["if the appeal succeeds"]),
        (
            "The Orchard plan insures gardens, fruit trees and beehives.",
            ["Orchard", "gardens, fruit trees and beehives"],
        ),
        ("It is in Castrel Bay, and it was founded by a group of pilots.", ["Castrel Bay", "a group of pilots"]),
        ("A claim below 120 tallens is settled without an inspection.", ["120 tallens", "without an inspection"]),
        ("Damaged items must be kept for 40 days.", ["40 days"]),
        ("It rains.", []),
    ],
)
def test_behind_numbers_and_names_a_thing_can_be_asked_for(statement, told):
    assert details(statement) == told


def test_things_are_alike_when_they_begin_alike():
    assert alike(words("an orange form"), words("a green form"))
    assert not alike(words("a green form"), words("by seven days"))
    assert not alike(words("if it succeeds"), words("Old Rope Loft"))


def test_coverage_takes_the_most_important_facts_that_the_budget_can_teach_well():
    covered = cover(FACTS, teacher_tokens=3 * TEACHER_TOKENS, training_tokens=9 * TRAINING_TOKENS)
    assert covered.facts == tuple(FACTS[:3])
    assert covered.share == 3 / len(FACTS)
    more = cover(FACTS, teacher_tokens=10**6, training_tokens=10**6)
    assert more.facts[:3] == covered.facts
    assert more.share == 1.0


def test_teacher_made_exam_questions_carry_a_key_from_the_fact_and_fill_only_missing_splits():
    from homeroom.core.config import Exam

    asks = exam_asks(FACTS, config=Exam())
    texts = [answer([{"content": m.content} for m in r.messages]) for _, r in asks]
    given = [Reply(text=t, finish_reason="stop", prompt_tokens=1, completion_tokens=1) for t in texts]
    written = [Question(id="w", question="What is asked by hand?", split="final", answer="x")]
    questions = read_exam(asks, given, all_facts=FACTS, written=written, config=Exam())
    assert questions
    assert {q.split for q in questions} <= {"quiz", "dev"}
    assert all(q.must[0][0] in q.source for q in questions)


def test_samples_are_passed_on_while_the_teacher_is_asked_and_how_many_facts_at_once_changes_nothing(monkeypatch):
    config = Samples(manners=2, rewrites=1)
    whole = made(config)
    monkeypatch.setattr(knowledge, "BLOCK", 1)
    teacher = Teacher()
    items = knowledge_samples(FACTS, [CHUNK], teacher, config=config, all_facts=FACTS, exam=(), teacher="scripted")
    first = next(items)
    assert len(FACTS) > 2
    assert len(teacher.asked) == 1
    rest = sifted(items)
    every = sifted([first, *rest.samples, *rest.rejected])
    assert (every.samples, every.rejected) == (whole.samples, whole.rejected)
    assert len(teacher.asked) > len(FACTS)
