"""Where a sample comes from: whose leaf, which file and bytes, which recipe and prompt, which checks it passed.

The recipes write what only they know (fact, chunk, span, the teacher's seed); this adds what is the same for many, and
turns all of it into words again for `homeroom why`.
"""

from __future__ import annotations

import functools
import inspect
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from homeroom.core.types import Chunk, Document, Fact, Leaf, Rejected, Sample, content_id
from homeroom.generate.prompts import prompts

QUESTION_CHECKS = (
    "form",
    "steering",
    "prompt",
    "language",
    "number",
    "name",
    "example",
    "type",
    "leak",
    "fit",
    "premise",
    "support",
    "duplicate",
    "exam",
    "attribution",
)
DRILL_CHECKS = ("duplicate", "exam", "support")
TEXT_CHECKS = (
    "form",
    "steering",
    "prompt",
    "language",
    "number",
    "name",
    "drift",
    "negation",
    "support",
    "duplicate",
    "exam",
)
SKILL_CHECKS = ("form", "duplicate", "exam")
_MADE_BY = {  # kind of sample -> recipe, its prompt or its code, checks
    "direct": ("knowledge/questions", "knowledge.questions", QUESTION_CHECKS),
    "rewrite": ("knowledge/rewrites", "knowledge.rewrites", TEXT_CHECKS),
    "cloze": ("knowledge/drills", "drills", DRILL_CHECKS),
    "in_place": ("knowledge/drills", "drills", DRILL_CHECKS),
    "inverted": ("knowledge/drills", "drills", DRILL_CHECKS),
    "yes_no": ("knowledge/drills", "drills", DRILL_CHECKS),
    "composed": ("knowledge/composed", "drills", DRILL_CHECKS),
    "choice": ("knowledge/choices", "drills", ()),
    "passage": ("knowledge/passages", "texts", ()),
    "skill": ("skill", "skill", SKILL_CHECKS),
    "seed": ("seed", "", ()),
}


def with_provenance(
    *, leaves: Sequence[Leaf], chunks: Sequence[Chunk], documents: Sequence[Document]
) -> Callable[[Sample], Sample]:
    """Return a function that fills in a sample's author, document, recipe and checks where they are still empty."""
    authors = {leaf.path: leaf.created_by for leaf in leaves}
    digests = {d.id: d.sha256 for d in documents}
    files = {c.id: digests.get(c.document, "") for c in chunks}

    def whence(sample: Sample) -> Sample:
        recipe, source, checks = _MADE_BY.get(sample.kind, (sample.kind, "", ()))
        version = f"@{version_of(source)}" if source else ""
        return replace(
            sample,
            author=sample.author or authors.get(sample.leaf, ""),
            document=sample.document or files.get(sample.chunk, ""),
            recipe=sample.recipe or recipe + version,
            checks=sample.checks or checks,
        )

    return whence


def too_little(made: Mapping[tuple[str, str, bool], int], leaves: Sequence[Leaf], least: int) -> dict[str, int]:
    """Return the leaves with fewer accepted samples than `least`, and how many they have; people's own do not count.

    Args:
        made: Leaf, kind of sample, whether it was kept -> how many.
    """
    own = Counter[str]()
    for (leaf, kind, is_kept), number in made.items():
        own[leaf] += number * (is_kept and kind not in ("seed", "passage", "replay"))
    return {leaf.path: own[leaf.path] for leaf in leaves if own[leaf.path] < least}


@functools.cache
def version_of(source: str) -> str:
    """Return a short hash of a prompt ("knowledge.questions"), or of the code of a module of this folder ("drills")."""
    import importlib

    name, _, part = source.partition(".")
    if part:
        return content_id(prompts(name)[part])
    return content_id(inspect.getsource(importlib.import_module(f"homeroom.generate.{name}")))


def find(wanted: str, samples: Sequence[Sample], rejected: Sequence[Rejected]) -> list[Sample | Rejected]:
    """Return the samples with an id that begins with `wanted`, or else those that hold its words."""
    by_id: list[Sample | Rejected] = [s for s in samples if s.id.startswith(wanted)]
    by_id += [r for r in rejected if r.sample.id.startswith(wanted)]
    if by_id and len(wanted) >= 4:
        return by_id
    key = wanted.casefold()
    found: list[Sample | Rejected] = [s for s in samples if key in words_of(s).casefold()]
    return found + [r for r in rejected if key in words_of(r.sample).casefold()]


def words_of(sample: Sample) -> str:
    """Return what a sample says, one turn a line."""
    return sample.text or "\n".join(f"{m.role}: {m.content}" for m in sample.messages)


def why(
    found: Sample | Rejected, *, facts: Mapping[str, Fact], documents: Sequence[Document], learned: frozenset[str]
) -> dict[str, Any]:
    """Return the origin of a sample, or of a rejected one with the reason, as a JSON object.

    Args:
        learned: Ids of the samples that the student reads.
    """
    sample = found.sample if isinstance(found, Rejected) else found
    document = next((d for d in documents if d.sha256 == sample.document and d.leaf == sample.leaf), None)
    out: dict[str, Any] = {"version": 1, "id": sample.id, "kind": sample.kind, "sample": words_of(sample)}
    if isinstance(found, Rejected):
        out |= {"thrown_out_by": found.check, "reason": found.reason}
    out |= {"leaf": sample.leaf, "author": sample.author}
    if document:
        span = document.text.encode()[sample.start : sample.end].decode(errors="replace")
        out |= {"document": document.name, "sha256": document.sha256, "bytes": [sample.start, sample.end]}
        out |= {"quote": span, "quote_is_there": span == sample.quote}
        page = sum(start <= sample.start for start in document.pages)
        out |= {"page": page} if page else {}
    elif sample.quote:
        out["quote"] = sample.quote
    out["facts"] = [facts[f].statement for f in sample.facts if f in facts]
    out |= {"recipe": sample.recipe, "teacher": sample.teacher, "seed": sample.seed}
    out |= {"checks_passed": [] if isinstance(found, Rejected) else list(sample.checks)}
    out["learned"] = sample.id in learned
    return out


def why_text(origin: Mapping[str, Any]) -> str:
    """Return an origin as lines for a terminal."""
    lines = [origin["sample"], ""]
    if "thrown_out_by" in origin:
        lines.append(f"thrown out    by {origin['thrown_out_by']}: {origin['reason']}")
    lines.append(f"id            {origin['id']}, {origin['kind']}")
    lines.append(f"leaf          {origin['leaf']}{', by ' + origin['author'] if origin['author'] else ''}")
    if "document" in origin:
        start, end = origin["bytes"]
        page = f", page {origin['page']}" if "page" in origin else ""
        lines.append(
            f"document      {origin['document']}, bytes {start} to {end}{page}, sha256 {origin['sha256'][:16]}"
        )
    if origin.get("quote"):
        mark = "" if origin.get("quote_is_there", True) else "  (no longer there: the document was changed)"
        lines.append(f"rests on      {' '.join(origin['quote'].split())}{mark}")
    lines += [f"fact          {fact}" for fact in origin["facts"]]
    lines.append(f"made by       {origin['recipe'] or '(made before recipes were written down)'}")
    lines.append(
        f"teacher       {origin['teacher'] + ', seed ' + str(origin['seed']) if origin['teacher'] else 'none'}"
    )
    if "thrown_out_by" not in origin:
        untouched = "nothing: it is as it was written" if origin["recipe"] else "(not written down)"
        lines.append(f"passed        {', '.join(origin['checks_passed']) or untouched}")
        lines.append(f"learned       {'yes' if origin['learned'] else 'no: not in out/dataset/train.jsonl'}")
    return "\n".join(lines)
