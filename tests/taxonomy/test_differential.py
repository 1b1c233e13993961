"""The same verdict as InstructLab's own tools, file by file: generated files, and every real one at hand.

Where the verdicts may differ is named in `STRICTER` and `KINDER`, and nowhere else. Real taxonomies can be added:
HOMEROOM_TAXONOMIES=/path/to/folders make differential.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, Phase, given, settings

pytest.importorskip("instructlab.schema.taxonomy", reason="needs instructlab-schema: make setup")

from qna_mutations import BASES, dump, single_faults, some_files, some_spacing
from upstream import Verdict, verdict, whole_verdict

from homeroom.taxonomy.check import check

ROOT = Path(__file__).parents[2]
FULL = os.environ.get("HOMEROOM_DIFFERENTIAL") == "full"  # what `make differential` asks for: some minutes

STRICTER = {  # our code -> why we refuse what InstructLab's tools take
    "anchor": "a few hundred bytes can unfold into gigabytes",
    "complex-key": "a key that is a list or a mapping is a slip",
    "control-character": "escapes for control characters end up in prompts and terminals",
    "document": "a local folder of documents that is not there, or lies outside the course",
    "duplicate-key": "PyYAML keeps the last without a word; InstructLab's lint refuses it in version 2 and 3",
    "hidden-character": "text that a reader cannot see would be taught",
    "tag": "sets, ordered maps, bytes and merge keys have no place in a qna.yaml",
    "too-deep": "16 levels and 100,000 values are enough",
    "too-large": "1 MiB is enough",
}
KINDER = {  # what we take and InstructLab's tools refuse
    "document": "the name or the address of a document, or a list of them, instead of a repository",
}


def is_our_document(text: str) -> bool:
    """Return whether a file uses our own forms of `document`."""
    try:
        value = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError):
        return False
    document = value.get("document") if isinstance(value, dict) else None
    ours = isinstance(document, dict) and bool({"path", "url"} & set(document))
    return isinstance(document, str | list) or ours


def difference(path: Path) -> tuple[str, Verdict]:
    """Return what differs between our verdict and theirs without being wanted ("" where nothing does), and theirs."""
    theirs = verdict(path)
    ours = check([path])
    errors = {p.code for p in ours.problems if p.severity == "error"} - {"missing-document"}
    if theirs.accepted and errors and not errors <= STRICTER.keys():
        return f"they accept, we say {errors}", theirs
    if not theirs.accepted and not errors and not is_our_document(path.read_text(encoding="utf-8")):
        return f"we accept, they say {theirs.text}", theirs
    return "", theirs


def lint_difference(path: Path, theirs: Verdict) -> str:
    """Return how `--strict instructlab` differs from their lint, place by place."""
    names = {"trailing-spaces": "trailing-space", "new-line-at-end-of-file": "final-newline"}
    wanted = {(line, names.get(rule, rule)) for line, rule in theirs.lint}
    found = [p for p in check([path], strict=True).problems if p.severity == "error" and p.code != "missing-document"]
    ours = {(p.line, p.code) for p in found}
    if path.read_text(encoding="utf-8").lstrip("\ufeff\n -").startswith("{") and bool(wanted) == bool(ours):
        return ""  # a whole file in braces over many lines: the verdict is the same, the lines need not be
    return f"lint: only they {sorted(wanted - ours)}, only we {sorted(ours - wanted)}" if wanted != ours else ""


def write(folder: Path, name: str, text: str) -> Path:
    """Write one file where a taxonomy has it."""
    path = folder / name / "qna.yaml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    return path


def broken_alone() -> Iterator[tuple[str, str, Any]]:
    """Yield the folder, the name and the value of each file that breaks at most one rule."""
    for folder, bases in BASES.items():
        for number, base in enumerate(bases):
            for index, (name, value) in enumerate(single_faults(base)):
                if (
                    index == 0
                    or FULL
                    or (number == 0 and folder != "elsewhere/a" and (index % 3 == 1 or "/" not in name))
                ):
                    yield folder, f"{folder} {number}: {name}", value


def test_each_rule_kept_and_broken_alone_has_the_same_verdict(tmp_path):
    seen: Counter[bool] = Counter()
    for folder, name, value in broken_alone():
        differs, theirs = difference(write(tmp_path, folder, dump(value)))
        assert not differs, (name, differs)
        seen[theirs.accepted] += 1
    assert seen[True] > 50
    assert seen[False] > 150
    assert seen.total() > 250


SEEN: Counter[str] = Counter()
MANY = settings(
    max_examples=5000 if FULL else 260,
    derandomize=not FULL,
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@MANY
@given(some_files())
def test_files_with_several_faults_and_odd_yaml_have_the_same_verdict(tmp_path_factory, drawn):
    folder, text = drawn
    path = write(tmp_path_factory.getbasetemp() / "odd", folder, text)
    differs, theirs = difference(path)
    assert not differs, (differs, text)
    if theirs.accepted and not any(p.code in STRICTER for p in check([path]).problems):
        assert not lint_difference(path, theirs), text
        SEEN["linted"] += bool(theirs.lint)
    SEEN["accepted" if theirs.accepted else "refused"] += 1


def test_the_odd_files_were_of_every_kind():
    if not SEEN:
        pytest.skip("the test above did not run")
    assert SEEN["accepted"] > 30
    assert SEEN["refused"] > 100
    assert SEEN["linted"] > 3
    assert SEEN["accepted"] + SEEN["refused"] > 250


@settings(MANY, max_examples=2000 if FULL else 100)
@given(some_spacing())
def test_white_space_of_every_kind_is_linted_alike(tmp_path_factory, text):
    path = write(tmp_path_factory.getbasetemp() / "spaced", "knowledge/a", text)
    theirs = verdict(path)
    if theirs.accepted and not any(p.code in STRICTER for p in check([path]).problems):
        assert not lint_difference(path, theirs), text


def test_the_lint_in_this_process_says_what_the_program_says(tmp_path):
    good = dump(BASES["knowledge/a"][0])
    for text in (good, good.replace("me\n", "me \n"), good.replace("version: 3", "version:  3"), good.rstrip()):
        path = write(tmp_path, "knowledge/a", text)
        assert verdict(path).strict == whole_verdict(path) == check([path], strict=True).ok


def real_files() -> list[Path]:
    """Return the shipped examples, and what lies in the folders that HOMEROOM_TAXONOMIES names."""
    folders = [
        ROOT / "homeroom/data/examples",
        *map(Path, filter(None, os.environ.get("HOMEROOM_TAXONOMIES", "").split(":"))),
    ]
    return [path for folder in folders for path in sorted(folder.rglob("qna.yaml")) if path.is_file()]


def test_every_real_file_at_hand_has_the_same_verdict():
    files = real_files()
    assert len(files) >= 3
    found = {}
    for path in files:
        differs, theirs = difference(path)
        if theirs.accepted and not any(p.code in STRICTER for p in check([path]).problems):
            differs = differs or lint_difference(path, theirs)
        if differs:
            found[str(path)] = differs
    assert not found
