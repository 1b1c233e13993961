import html.parser
import re

import pytest

from homeroom.core.types import Question, Score
from homeroom.evaluate.page import MAX_CHARACTERS, MAX_ROWS, clock, page
from homeroom.evaluate.report import Outcome, make_report

ATTACKS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</style><style>*{display:none}",
    "{{ 7 * 191 }}{% raw %}",
    "javascript:alert(1)' onmouseover='alert(1)",
    "<!-- --><base href=//evil.example>",
]


def item(text="Nine weeks", *, part="final", before=False, after=True, **fields):
    texts = dict.fromkeys(("question", "gold", "before", "after", "source", "context", "reason", "leaf", "kind"), text)
    return {
        "set": part,
        "id": text,
        **texts,
        "choices": [text],
        "correct_before": before,
        "correct_after": after,
        **fields,
    }


def report(leaf="a", retention=(), **fields):
    question = Question(id="q", question="?", leaf=leaf)
    right, wrong = (Score(question="q", answer="", correct=correct) for correct in (True, False))
    final = [Outcome(question=question, before=wrong, after=right)] * 12
    final += [Outcome(question=Question(id="p", question="?", leaf="b", kind="choice"), before=wrong, after=wrong)]
    return make_report(base={"name": "b"}, tuned={"name": "t"}, final=final, retention=retention, **fields)


ABOUT = {
    "course": "insurance",
    "title": "Claims handbook",
    "machine": "2 cores",
    "models": {"base": {"name": "SmolLM2", "digest": "b179", "licence": "Apache-2.0", "quantised": "4 bits"}},
    "funnel": {"made": 10, "kept": 6, "rejected": {"said before": 3, "too long": 1}},
    "taught": {"facts": 62, "covered": 60, "samples": 6, "documents": 1},
    "sources": [
        {
            "leaf": "knowledge/claims",
            "author": "ann",
            "documents": "handbook.md",
            "licence": "MIT",
            "samples": 6,
            "share": 0.75,
        }
    ],
    "settings": [{"phase": "flat", "method": "full", "told": "lr 0.0003"}],
    "again": {
        "command": "homeroom run insurance -o train.seed=1",
        "versions": "homeroom 0.1",
        "inputs": {"exam": "1f0a"},
    },
    "stages": [{"name": "train", "seconds": 966, "note": "160,000 tokens"}],
    "budget": {"limit_s": 2700, "teacher_tokens": 21499, "train_tokens": 160000},
}


class Tags(html.parser.HTMLParser):
    """Every tag and attribute name that a browser would see."""

    def __init__(self, text):
        super().__init__()
        self.open, self.seen, self.attributes, self.faults = [], set(), set(), []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}
        if tag not in ("meta", "link", "br", "rect", "path"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.add(tag)
        self.attributes |= {name for name, _ in attributes}

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.faults.append(tag)


def hostile(value, text):
    if isinstance(value, dict):
        return {
            (text if key in ("said before", "too long") else key): hostile(part, text) for key, part in value.items()
        }
    if isinstance(value, list):
        return [hostile(part, text) for part in value]
    return text if isinstance(value, str) else value


@pytest.mark.parametrize("text", ATTACKS)
def test_hostile_text_in_any_place_stays_text(text):
    items = [item(text), item(text, after=False), item(text, part="retention", before=True, after=False)]
    old = [
        Outcome(
            question=Question(id=text, question=text),
            before=Score(question=text, answer=text, correct=True),
            after=Score(question=text, answer=text, correct=False),
        )
    ]
    calm = Tags(
        page(
            report(retention=old), [item(), item(after=False), item(part="retention", before=True, after=False)], ABOUT
        )
    )
    attacked = page(report(text, retention=old), items, hostile(ABOUT, text))
    found = Tags(attacked)
    assert found.seen == calm.seen
    assert found.attributes == calm.attributes
    assert not found.faults
    assert not found.open
    assert "1337" not in attacked
    assert not any(name.startswith("on") for name in found.attributes)


def test_the_page_forbids_scripts_and_loads_nothing():
    text = page(report(), [item()], ABOUT)
    assert "default-src 'none'; style-src 'unsafe-inline'; img-src data:" in text
    assert {"script", "img", "iframe", "form", "a", "object", "base"}.isdisjoint(Tags(text).seen)
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.index("Content-Security-Policy") < text.index("<style>") < text.index("insurance")


def test_the_page_tells_the_whole_story():
    text = page(report(), [item(), item("Lost one", part="retention", before=True, after=False)], ABOUT)
    for words in (
        "0.0\u202f%",
        "92.3\u202f%",
        "60 of 62 facts",
        "said before",
        "21,499 tokens",
        "45 min",
        "16 min",
        "de-quantised from 4 bits",
        "handbook.md",
        "75.0\u202f%",
        "homeroom run insurance -o train.seed=1",
        "The exam: sha256 1f0a.",
    ):
        assert words in text
    assert "Source: “Nine weeks”" in text
    assert "✗ wrong" in text
    assert "✓ right" in text
    assert "nothing about training again" in text


def test_lost_abilities_are_listed():
    old = [
        Outcome(
            question=Question(id="r", question="Capital?"),
            before=Score(question="r", answer="Paris", correct=True),
            after=Score(question="r", answer="Rome", correct=False),
        )
    ]
    text = page(report(retention=old), [item("Capital of France", part="retention", before=True, after=False)], ABOUT)
    assert "What was forgotten" in text
    assert "Capital of France" in text
    assert "Worse" in text


def test_a_page_needs_nothing_but_the_report():
    text = page(report(), [], {})
    assert "de-quantised" not in text
    assert "What was taught" not in text
    assert not Tags(text).faults


def test_long_texts_and_many_questions_are_cut():
    text = page(report(), [item("x" * 10 * MAX_CHARACTERS)] + [item()] * (MAX_ROWS + 5), ABOUT)
    assert "x" * (MAX_CHARACTERS + 1) not in text
    assert "And 6 more, in items.jsonl" in text


def test_durations_are_for_people():
    assert [clock(s) for s in (0.4, 89, 95, 3600, 7260)] == ["0 s", "89 s", "2 min", "60 min", "2 h 1 min"]
