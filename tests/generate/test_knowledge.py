"""The knowledge recipe: even coverage, answers that are the fact, and every rejected sample with its reason."""

from scripted_teacher import answer

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Question, Reply
from homeroom.generate.coverage import TEACHER_TOKENS, TRAINING_TOKENS, cover
from homeroom.generate.exam_questions import exam_asks, read_exam
from homeroom.generate.facts import read_facts, weigh
from homeroom.generate.knowledge import key_details, knowledge_asks, read_knowledge

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


def replies(asks) -> list[Reply]:
    texts = [answer([{"content": m.content} for m in a.request.messages]) for a in asks]
    return [Reply(text=t, finish_reason="stop", prompt_tokens=1, completion_tokens=9) for t in texts]


def made(config: Samples, exam=()):
    asks = knowledge_asks(FACTS, [CHUNK], config=config)
    return read_knowledge(asks, replies(asks), FACTS, [CHUNK], all_facts=FACTS, exam=exam, teacher="scripted")


def test_every_fact_gets_questions_and_the_answer_is_the_fact():
    sifted = made(Samples(manners=2, rewrites=1))
    statements = {f.id: f.statement for f in FACTS}
    direct = [s for s in sifted.samples if s.kind == "direct"]
    assert {f for s in direct for f in s.facts} == set(statements)
    assert all(s.messages[-1].content == statements[s.facts[0]] for s in direct)
    assert all(s.teacher == "scripted" and TEXT[s.start : s.end] == s.quote for s in direct)


def test_planted_mistakes_are_rejected_each_with_its_reason():
    rejected = made(Samples(manners=1, rewrites=0)).rejected
    found = {r.check for r in rejected}
    assert {"number", "name", "form"} <= found
    assert all(r.reason for r in rejected)
    assert any("99" in r.reason for r in rejected)


def test_a_wave_treats_all_facts_alike_before_the_next_begins():
    asks = knowledge_asks(FACTS, [CHUNK], config=Samples(manners=3, rewrites=2))
    order = [a.fact.id if a.fact else a.chunk.id for a in asks]
    ids = [f.id for f in FACTS]
    assert order == [*ids, "c", *ids, "c", *ids]
    assert len({a.request for a in asks}) == len(asks)


def test_exam_wording_never_reaches_the_samples_and_every_fact_keeps_some():
    plain = [s for s in made(Samples(manners=1)).samples if s.kind == "direct"]
    exam = [Question(id="q", question=plain[0].messages[0].content)]
    sifted = made(Samples(manners=1), exam)
    assert exam[0].question not in {s.messages[0].content for s in sifted.samples if s.messages}
    assert any(r.check == "exam" for r in sifted.rejected)
    assert {f for s in sifted.samples for f in s.facts} == {f.id for f in FACTS}


def test_a_wrong_twin_differs_from_the_fact_and_has_the_same_unit():
    pairs = [s for s in made(Samples(manners=1)).samples if s.kind == "yes_no" and s.messages[1].content[:2] == "No"]
    for sample in pairs:
        asked, told = sample.messages[0].content, sample.messages[1].content
        assert told[len("No. ") :] not in asked


def test_a_choice_has_the_right_detail_once_among_like_ones():
    rows = [s for s in made(Samples(manners=1)).samples if s.kind == "choice"]
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
