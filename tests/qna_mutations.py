"""Thousands of `qna.yaml` files from four good ones: each rule kept and broken, values changed, YAML written oddly.

`single_faults` lists every rule's breakings one at a time; `some_files` (hypothesis) mixes several, in many styles of
YAML, and spoils the text itself. What comes out may be good, faulty or no YAML at all.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from typing import Any

import yaml
from hypothesis import strategies as st

PAIRS = [{"question": f"What is {n}?", "answer": f"It is {n}."} for n in range(3)]
KNOWLEDGE: dict[str, Any] = {
    "version": 3,
    "created_by": "me",
    "domain": "boats",
    "document_outline": "About boats",
    "seed_examples": [{"context": f"Boat {n} is red.", "questions_and_answers": PAIRS} for n in range(5)],
    "document": {"repo": "https://example.org/a.git", "commit": "abc", "patterns": ["*.md", "b.pdf"]},
}
SKILL: dict[str, Any] = {
    "version": 3,
    "created_by": "me",
    "task_description": "Make it kind",
    "seed_examples": [{"question": f"Say {n}.", "answer": f"Please, {n}.", "context": f"c{n}"} for n in range(5)],
}
OLD_KNOWLEDGE: dict[str, Any] = {
    "version": 2,
    "created_by": "me",
    "domain": "boats",
    "task_description": "About boats",
    "seed_examples": [{"question": f"q{n}", "answer": f"a{n}"} for n in range(5)],
    "document": KNOWLEDGE["document"],
}
SMALL_SKILL: dict[str, Any] = {
    "created_by": "me",
    "task_description": "",
    "seed_examples": [{"question": "q", "answer": "a"}],
}
BASES = {
    "knowledge/a": [KNOWLEDGE, OLD_KNOWLEDGE, SKILL],
    "compositional_skills/a": [SKILL, SKILL | {"version": 2}, SMALL_SKILL, KNOWLEDGE],
    "elsewhere/a": [KNOWLEDGE, SKILL],
}
VALUES: list[Any] = [None, "", " ", "text", "3", "2", True, False, 0, 1, 2, 3, 3.0, 3.5, 4, -1, 10**30, float("inf")]
VALUES += [[], {}, [[]], ["a"], ["a", "a"], [""], [None], [3], {"a": 1}, {"question": "q", "answer": "a"}]
KEYS = ["version", "context", "task_description", "document", "document_outline", "domain", "question", "extra", "1"]


def paths(value: Any, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where everything inside a value is; of long lists the first two and the last."""
    if here:
        yield here
    inner = (
        list(value.items()) if isinstance(value, dict) else list(enumerate(value)) if isinstance(value, list) else []
    )
    for key, item in inner if isinstance(value, dict) else [*inner[:2], *inner[4:5]]:
        yield from paths(item, (*here, key))


def changed(value: Any, path: tuple[Any, ...], action: str, new: Any = None) -> Any:
    """Return a copy in which one thing is removed, replaced, doubled, or has a key added."""
    value = copy.deepcopy(value)
    owner = value
    for key in path[:-1]:
        owner = owner[key]
    if action == "remove":
        del owner[path[-1]]
    elif action == "replace":
        owner[path[-1]] = copy.deepcopy(new)
    elif action == "double" and isinstance(owner, list):
        owner.append(copy.deepcopy(owner[path[-1]]))
    elif action == "add" and isinstance(owner, dict):
        owner[new] = "added"
    return value


def single_faults(base: Any) -> Iterator[tuple[str, Any]]:
    """Yield each breaking of each rule, alone, with its name; some of them leave the file good."""
    yield "as it is", base
    for path in paths(base):
        if path[:2] in (("seed_examples", 1), ("seed_examples", 4)) and len(path) > 3:
            continue  # the same rules as in the first seed example
        name = "/".join(map(str, path))
        for action in ("remove", "double"):
            yield f"{action} {name}", changed(base, path, action)
        for new in KEYS[:: 1 if len(path) == 1 else 4]:
            if path[-1] in ("created_by", "question", "repo"):
                yield f"add {new} beside {name}", changed(base, path, "add", new)
        for number, new in enumerate(VALUES):
            if len(path) == 1 or number % 5 == len(name) % 5:
                yield f"{name} is {new!r}", changed(base, path, "replace", new)


class NoAliases(getattr(yaml, "CSafeDumper", yaml.SafeDumper)):
    """Writes equal lists twice rather than with an anchor."""

    def ignore_aliases(self, data: Any) -> bool:
        """Return that nothing is written as an alias."""
        return True


def dump(value: Any, **options: Any) -> str:
    """Write a value as YAML, in the order of its keys."""
    return yaml.dump(value, Dumper=NoAliases, sort_keys=False, allow_unicode=True, **options)


STYLES: list[dict[str, Any]] = [
    {},
    {"indent": 4},
    {"default_style": '"'},
    {"default_style": "'"},
    {"default_style": "|"},
    {"default_style": ">"},
    {"default_flow_style": True, "width": 60},
    {"default_flow_style": None},
    {"explicit_start": True, "explicit_end": True},
    {"version": (1, 1)},
]
INSERTS = [
    "\t",
    " ",
    "  ",
    "\n",
    "\n\n\n\n",
    "\r\n",
    "\r",
    ":",
    ": ",
    " :",
    "- ",
    "-",
    "?",
    "? ",
    "#",
    " # c",
    "[",
    "]",
]
INSERTS += ["{", "}", ",", "&a ", "*a ", "!", "!!str ", "!!int ", "!x ", "|", ">", "'", '"', "%", "@", "`", "---\n"]
INSERTS += ["...\n", "\u2028", "\x85", "\ufeff", "\u00a0", "é", "😀", "\\", "<<: ", "=", "~", "1", "0x", "\x7f", "\x00"]
INSERTS += ["# yamllint disable\n", " # yamllint disable-line rule:colons", "no", "2024-13-01", "1e3", "version: 2\n"]


@st.composite
def some_values(draw: st.DrawFn, base: Any) -> Any:
    """Draw a value that differs from a good one in up to three places."""
    value = copy.deepcopy(base)
    for _ in range(draw(st.sampled_from([0, 0, 0, 0, 1, 2, 3]))):
        places = list(paths(value))
        if not places:
            break
        action = draw(st.sampled_from(["remove", "replace", "replace", "double", "add"]))
        new = draw(st.sampled_from(KEYS if action == "add" else VALUES))
        value = changed(value, draw(st.sampled_from(places)), action, new)
    return value


@st.composite
def some_files(draw: st.DrawFn) -> tuple[str, str]:
    """Draw the folder and the text of one file."""
    folder = draw(st.sampled_from(sorted(BASES)))
    bases = [BASES[folder][0]] * 4 + BASES[folder]  # the first is at home there, the others are mostly refused
    value = draw(some_values(draw(st.sampled_from(bases))))
    style = draw(st.sampled_from([*STYLES, "json"]))
    text = json.dumps(value, indent=draw(st.sampled_from([None, 2]))) if style == "json" else dump(value, **style)
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 3]))):
        at = draw(st.integers(0, len(text)))
        text = text[:at] + draw(st.sampled_from(INSERTS)) + text[at + draw(st.sampled_from([0, 0, 1, 3])) :]
    ends = draw(st.sampled_from(["\n"] * 6 + ["\r\n", "\r"]))
    return folder, text.replace("\n", ends)


SPACED = [  # what is looked for, and what may stand there instead without changing what is said
    (r": ", [":  ", " : ", ":\n                "]),
    (r"- ", ["-  ", "-\n        "]),
    (r"\n", ["\n\n", "\n\n\n\n", " \n", "\n# c\n"]),
    (
        r"\n",
        [
            " # yamllint disable-line\n",
            "\n# yamllint disable rule:colons\n",
            "\n# yamllint disable-line rule:hyphens\n",
        ],
    ),
    (r"(?m)^document:\n(  .*\n|- .*\n)+", ["document: {repo:  r, commit: 'c' ,patterns: [a,b,  c]}\n"]),
    (r"(?m)^  patterns:\n(  - .*\n)+", ["  patterns: [ a, b ]\n", "  patterns:\n    [\n      a,\n    b\n    ]\n"]),
    (r"(?m)^  patterns:\n(  - .*\n)+", ["  patterns: [a,\n    b]\n", "  patterns: [a,\n             b\n  ]\n"]),
    (
        r"(?m)^  patterns:\n(  - .*\n)+",
        ["  patterns:\n    - a\n    - b\n", "  patterns: [  a]\n", "  patterns: [a\n    , b]\n"],
    ),
    (r"(?m)^domain: .*\n", ["domain: |\n     two  :  -  x \n\n\n\n", "domain:\n   b\n", "domain: 'a\n  b'\n"]),
    (r"(?m)^", [" ", "  "]),
    (r"\Z", ["\n", "\n\n\n", "# end", "# yamllint enable\n"]),
    (r"\A", ["\n", "# yamllint disable-file\n", "---\n", "# yamllint disable\n"]),
]


@st.composite
def some_spacing(draw: st.DrawFn) -> str:
    """Draw a good knowledge file whose white space a lint may dislike."""
    style = draw(
        st.sampled_from([{"indent": 2}, {"indent": 2}, {"indent": 4}, {"default_flow_style": True, "width": 50}])
    )
    text = dump(KNOWLEDGE, **style)
    if draw(st.booleans()):  # lists one step in, as most people write them
        text = re.sub(r"(?m)^( *)(?=- |  )", r"\1  ", text) if draw(st.booleans()) else re.sub(r"(?m)^", "  ", text)
    for _ in range(draw(st.sampled_from([0, 1, 1, 2, 3]))):
        pattern, others = draw(st.sampled_from(SPACED))
        places = list(re.finditer(pattern, text))
        if places:
            place = draw(st.sampled_from(places))
            text = text[: place.start()] + draw(st.sampled_from(others)) + text[place.end() :]
    return text
