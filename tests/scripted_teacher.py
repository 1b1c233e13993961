"""A teacher whose answers are known: it does what the prompts ask, in the plainest way, and makes mistakes on request.

`answer(messages)` is what `scripted_server` and `FakeEndpoint` call. It recognises a prompt by its last line.
"""

from __future__ import annotations

import re

from homeroom.core.words import is_number, words

MISTAKES = (
    "How many of the 99 things are there?",  # a number that is not in the source
    "What does Zebulon Quark say about it?",  # a name that is not
    "This asks nothing.",
)


def answer(messages: list[dict[str, str]]) -> str:
    """Return the scripted answer to a prompt of `data/prompts/`."""
    text = messages[-1]["content"]
    if "List the facts worth knowing" in text:
        return "\n".join(
            f"[{n}] {s.strip()}" for n, s in re.findall(r"\[(\d+)\] (.*?)(?= \[\d+\] |\nList the)", text, re.S)
        )
    if "Sentence:" in text:
        return re.search(r"Sentence: (.*)", text)[1]
    if text.startswith("Fact:"):
        return _questions(re.search(r"Fact: (.*)", text)[1], text)
    if "Tell this again" in text:
        return re.search(r":\n(.*)\n\nTell", text, re.S)[1]
    if "Write one question for each" in text:
        facts = re.findall(r"(\d+)\. (.*)", text)
        return "\n".join(f"{n}. Please tell me, {_about(f)}? | {f.split()[-1]}" for n, f in facts)
    return "1. Nothing that fits."


def _about(fact: str) -> str:
    """The fact without its numbers and names, so that a question about it does not say them."""
    parts = fact.rstrip(".").split()
    plain = [p for n, p in enumerate(parts) if (n == 0 or p.islower()) and not any(map(is_number, words(p)))]
    told = plain if len(plain) < len(parts) else plain[:-2]
    return "what is the rule on " + " ".join([told[0].lower(), *told[1:]])


def _questions(fact: str, text: str) -> str:
    """Six questions of different wording (the angle in the prompt changes them), then three mistakes."""
    about, angle = _about(fact), len(text) % 7
    openings = ["Say", "Well", "Tell me", "Do you know", "Remind me", "By the way"]
    lines = [f"{o}, {'please, ' * (angle % 2)}{about}?" for o in openings] + list(MISTAKES)
    return "\n".join(f"{n}. {line}" for n, line in enumerate(lines, 1))
