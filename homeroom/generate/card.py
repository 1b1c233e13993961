"""The dataset's card: where the samples come from, under which licences, by whom, and in what proportions."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from homeroom.core.types import Document, Leaf, Rejected, Sample


def sources_card(
    learned: Sequence[Sample],
    *,
    leaves: Sequence[Leaf],
    documents: Sequence[Document],
    licences: Mapping[str, str],
    rejected: Sequence[Rejected],
) -> str:
    """Return the part of the card that says whose words these are, in Markdown.

    Args:
        learned: What the student reads, replay with it.
        licences: Path of a leaf -> licence of its sources, where its attribution names one.
        rejected: What was thrown out, for the examples at the end.
    """
    by_leaf: dict[str, list[Sample]] = defaultdict(list)
    for sample in learned:
        by_leaf[sample.leaf].append(sample)
    lines = ["## Sources", "", "| leaf | author | licence | samples | share |", "|---|---|---|---|---|"]
    for leaf in leaves:
        share = len(by_leaf[leaf.path]) / max(1, len(learned))
        row = (leaf.path, leaf.created_by or "-", licences.get(leaf.path) or "not stated", len(by_leaf[leaf.path]))
        lines.append("| " + " | ".join(_cell(c) for c in row) + f" | {share:.1%} |")
    if documents:
        lines += ["", "| document | sha256 | of which a sample quotes |", "|---|---|---|"]
        lines += [f"| {_cell(d.name)} | `{d.sha256[:16]}` | {_quoted(d, learned):.0%} |" for d in documents]
    lines += ["", "## Made by", "", "| recipe | teacher | samples | share |", "|---|---|---|---|"]
    made = Counter((s.recipe or s.kind, s.teacher or "nobody: code or a person") for s in learned)
    lines += [f"| {_cell(r)} | {_cell(t)} | {n} | {n / len(learned):.1%} |" for (r, t), n in made.most_common()]
    passed = Counter(check for s in learned for check in s.checks)
    told = ", ".join(f"{check} ({n})" for check, n in passed.most_common()) or "none"
    lines += ["", f"Checks passed: {told}. `homeroom why` shows them for one sample.", ""]
    if rejected:
        lines += [f"Thrown out: {len(rejected):,}, each with its reason in `out/samples/rejected.jsonl`.", ""]
    return "\n".join(lines)


def _quoted(document: Document, samples: Sequence[Sample]) -> float:
    """Return the part of a document's bytes that questions rest on; texts, which take in all of it, do not count."""
    spans = sorted({(s.start, s.end) for s in samples if s.document == document.sha256 and s.messages})
    covered, reached = 0, 0
    for start, end in spans:
        covered += max(0, end - max(start, reached))
        reached = max(reached, end)
    return covered / max(1, len(document.text.encode()))


def _cell(value: object) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
