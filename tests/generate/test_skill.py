"""The skill recipe: what the examples exchange is exchanged, and nothing else."""

import re

from homeroom.core.config import Samples
from homeroom.core.types import Leaf, Question, Reply, Seed
from homeroom.generate.skill import Edit, edits_of, rewrite, skill_samples

SEEDS = tuple(
    Seed(question=f"Rewrite this text ({n}).", context=c, answer=a)
    for n, (c, a) in enumerate(
        [
            ("The chairman spoke.", "The chairperson spoke."),
            ("A man-made lake is near.", "An artificial lake is near."),
            ("Firemen eat, said Fireman Ott.", "Firemen eat, said Firefighter Ott."),
            ("Our mailman rang twice.", "Our mail carrier rang twice."),
            ("The waitress smiled at a policeman.", "The server smiled at a police officer."),
        ]
    )
)
LEAF = Leaf(path="compositional_skills/x", kind="grounded_skill", seeds=SEEDS, task="Rewrite.")


def teacher(requests):
    def one(request):
        wanted = re.search(r'contains the words? "(.+?)"', request.messages[-1].content)
        if not wanted:
            return "1. Number 1:** Rewrite the text, please.\n2. Put it into our style."
        word = wanted[1]
        return (
            f"1. Yesterday a {word} came to our town.\n2. Nobody is here today at all.\n3. The {word} was seen near us."
        )

    return [Reply(text=one(r), finish_reason="stop", prompt_tokens=1, completion_tokens=9) for r in requests]


def test_the_examples_say_what_becomes_what():
    assert {(e.old, e.new) for e in edits_of(SEEDS)} == {
        ("chairman", "chairperson"),
        ("man-made", "artificial"),
        ("fireman", "firefighter"),
        ("mailman", "mail carrier"),
        ("waitress", "server"),
        ("policeman", "police officer"),
    }


def test_examples_that_do_more_than_exchange_words_are_no_edits():
    assert (
        edits_of([*SEEDS, Seed(question="q", context="A b c d.", answer="Something else entirely, is it not.")]) == []
    )
    assert edits_of([Seed(question="q", answer="a")]) == []


def test_capitals_articles_and_neighbours_survive():
    edits = [Edit(old="man-made", new="artificial"), Edit(old="chairman", new="chairperson")]
    assert rewrite("A man-made hill; the Chairman.", edits) == "An artificial hill; the Chairperson."
    assert rewrite("An un-chairman and chairmanship stay.", edits) == "An un-chairman and chairmanship stay."


def test_samples_hold_the_exchange_and_bad_texts_are_rejected_with_a_reason():
    sifted = skill_samples(LEAF, teacher, config=Samples(skill_samples=20), exam=(), teacher="t")
    made = [s for s in sifted.samples if s.kind == "skill"]
    assert len(made) >= 6
    assert sum(s.kind == "seed" for s in sifted.samples) == len(SEEDS)
    edits = edits_of(SEEDS)
    for sample in made:
        text = sample.messages[0].content.split("\n\n", 1)[1]
        assert sample.messages[1].content == rewrite(text, edits) != text
    assert any("does not contain" in r.reason for r in sifted.rejected)


def test_an_instruction_that_asks_for_something_else_is_not_used():
    sifted = skill_samples(LEAF, teacher, config=Samples(skill_samples=60), exam=(), teacher="t")
    asked = {s.messages[0].content.split("\n\n")[0] for s in sifted.samples}
    assert asked <= {s.question for s in SEEDS} | {"Rewrite the text, please."}


def test_a_copy_of_an_example_is_no_new_sample():
    def copying(requests):
        text = "1. The chairman spoke.\n2. Yesterday our chairman came to see the town."
        return [Reply(text=text, finish_reason="stop", prompt_tokens=1, completion_tokens=9) for _ in requests]

    sifted = skill_samples(LEAF, copying, config=Samples(skill_samples=20), exam=(), teacher="t")
    made = [s.messages[0].content.split("\n\n")[1] for s in sifted.samples if s.kind == "skill"]
    assert "The chairman spoke." not in made


def test_an_exam_text_never_becomes_a_sample():
    exam = [Question(id="q", question="Fix it.", context="Yesterday a chairman came to our town.", answer="x")]
    sifted = skill_samples(LEAF, teacher, config=Samples(skill_samples=20), exam=exam, teacher="t")
    assert not any(exam[0].context == s.messages[0].content.split("\n\n")[-1] for s in sifted.samples)
    assert any(r.check == "exam" for r in sifted.rejected)


def test_a_skill_without_exchanges_is_answered_by_the_teacher():
    seeds = tuple(Seed(question=f"Name {n} birds.", answer=f"{n} birds: a, b.") for n in range(5))
    leaf = Leaf(path="compositional_skills/y", kind="freeform_skill", seeds=seeds, task="List things.")

    def answers(requests):
        def one(text):
            if "Answer yes or no" in text:
                return "yes"
            return "1. Name four fish.\n2. Name six trees." if "more tasks" in text else f"{text[5:-1]}: a, b."

        return [
            Reply(text=one(r.messages[-1].content), finish_reason="stop", prompt_tokens=1, completion_tokens=5)
            for r in requests
        ]

    made = list(skill_samples(leaf, answers, config=Samples(skill_samples=5), exam=(), teacher="t").samples)
    assert {s.messages[0].content for s in made if s.kind == "skill"} == {"Name four fish.", "Name six trees."}
