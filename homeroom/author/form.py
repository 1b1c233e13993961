"""A leaf as a form that a person fills in, and back: the same file, the same checks, in words without a file's jargon.

    course + leaf --form_of--> LeafForm --files_of--> {file: text} --verdict--> findings, each at its field

The verdict is that of `homeroom check`: the form is written as files into an empty folder and checked there. Because
the file is written here, every line is known to belong to a field. `Finding.text` is English with %(name)s for values,
so that a page can translate it.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from homeroom.author.qna import field_lines, tidy
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.sources import is_git_address
from homeroom.core.types import Leaf, Source
from homeroom.taxonomy.attribution import Work, parse_attribution
from homeroom.taxonomy.check import check
from homeroom.taxonomy.parse import MAX_BYTES
from homeroom.taxonomy.read import read_taxonomy
from homeroom.taxonomy.rules import MIN_ANSWERS, MIN_SEEDS

MAX_TEXT = 20_000  # characters of one field
MAX_EXAMPLES, MAX_PAIRS = 60, 30
PLACE = re.compile(r"(knowledge|compositional_skills)(/[a-z0-9][a-z0-9_-]{0,60}){1,8}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A question and its answer."""

    question: str = ""
    answer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A passage with the questions it answers; for a skill one pair, with or without a passage."""

    context: str = ""
    pairs: tuple[Pair, ...] = (Pair(),)


@dataclass(frozen=True, slots=True, kw_only=True)
class LeafForm:
    """What the form of a leaf holds, complete or not."""

    kind: Literal["knowledge", "skill"]
    place: str  # the leaf's folder in the course
    about: str = ""  # what the document is about, or what the skill does
    domain: str = ""  # the subject; of knowledge
    examples: tuple[Example, ...] = ()
    document: str = ""  # name of the document beside the leaf; "" for none
    kept_source: Source | None = None  # a document elsewhere that the form leaves as it is
    title: str = ""  # of the work that the knowledge is from, with the next four
    link: str = ""
    revision: str = ""
    licence: str = ""
    creators: str = ""
    created_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something to mend, at a field of the form."""

    section: Literal["about", "document", "examples", "source"]
    field: str  # "about", "examples-0-pairs-1-answer", ...
    severity: Literal["error", "warning"]
    text: str
    values: dict[str, Any] = field(default_factory=dict)


def new_form(kind: Literal["knowledge", "skill"], place: str, *, created_by: str) -> LeafForm:
    """Return an empty form with as many examples as are needed.

    Raises:
        UsageError: `place` is no name for a leaf of this kind.
    """
    tree = "knowledge" if kind == "knowledge" else "compositional_skills"
    if not PLACE.fullmatch(place) or not place.startswith(f"{tree}/"):
        raise UsageError(f"{place[:80]!r} is no place for this", hint="Letters a to z, digits and - only.")
    examples = tuple(_empty(kind) for _ in range(MIN_SEEDS))
    domain = place.split("/")[-2 if place.count("/") > 1 else -1].replace("-", " ").replace("_", " ")
    return LeafForm(kind=kind, place=place, domain=domain, examples=examples, created_by=created_by)


def _empty(kind: str) -> Example:
    return Example(pairs=tuple(Pair() for _ in range(MIN_ANSWERS if kind == "knowledge" else 1)))


def form_of(course: Path, place: str) -> LeafForm:
    """Return the form of a leaf that is in the course.

    Raises:
        ContentError: there is none, or it cannot be read.
    """
    taxonomy = read_taxonomy(course / place)
    leaf = next((leaf for leaf in taxonomy.leaves if leaf.path == place), None)
    if leaf is None:
        raise ContentError(
            "cannot be opened here: it is not there, or has a fault that a form cannot show", where=place
        )
    path = course / place / "attribution.txt"
    works = parse_attribution(path.read_text(encoding="utf-8", errors="replace")) if path.is_file() else []
    work = works[0] if works else Work(line=0)
    return LeafForm(
        kind="knowledge" if leaf.kind == "knowledge" else "skill",
        place=place,
        about=leaf.task,
        domain=leaf.domain,
        examples=_examples(leaf),
        document=_beside(leaf.source),
        kept_source=leaf.source if leaf.source and not _beside(leaf.source) else None,
        title=work.title,
        link=work.link.removeprefix("-"),  # which says that there is none
        revision=work.revision.removeprefix("-"),
        licence=work.licence,
        creators=work.creators,
        created_by=leaf.created_by,
    )


def _examples(leaf: Leaf) -> tuple[Example, ...]:
    if leaf.kind != "knowledge":
        pairs = ((s.context, Pair(question=s.question, answer=s.answer)) for s in leaf.seeds)
        return tuple(Example(context=context, pairs=(pair,)) for context, pair in pairs)
    by_context: dict[str, list[Pair]] = {}
    for seed in leaf.seeds:
        by_context.setdefault(seed.context, []).append(Pair(question=seed.question, answer=seed.answer))
    return tuple(Example(context=context, pairs=tuple(pairs)) for context, pairs in by_context.items())


def _beside(source: Source | None) -> str:
    """Return the name of the one document beside the leaf, "" where the source is anything else."""
    if source is None or source.repo != "." or source.urls or source.commit or len(source.patterns) != 1:
        return ""
    name = source.patterns[0]
    return "" if re.search(r"[*?\[/]", name) or is_git_address(name) else name


# -- the form as files -----------------------------------------------------------------------------------------------


def files_of(form: LeafForm, *, document_text: str = "") -> dict[str, str]:
    """Return the files of a leaf, name in the course -> text; the document only where its text is given."""
    files = {f"{form.place}/qna.yaml": _written(form)[0]}
    work = {
        "Title of work": form.title,
        "Link to work": form.link or "-",
        "Revision": form.revision,
        "License of the work": form.licence,
        "Creator names": form.creators,
    }
    work = {label: text for label, text in work.items() if label != "Revision" or text}
    lines = [f"{label}: {' '.join(tidy(text).split())}".rstrip() for label, text in work.items()]
    files[f"{form.place}/attribution.txt"] = "\n".join(lines) + "\n"
    if form.document and document_text:
        files[f"{form.place}/{form.document}"] = document_text if document_text.endswith("\n") else document_text + "\n"
    return files


def _written(form: LeafForm) -> tuple[str, list[str]]:
    """Return the text of the qna.yaml, and for each of its lines the field that it belongs to."""
    lines: list[str] = []
    of: list[str] = []

    def put(name: str, added: Sequence[str]) -> None:
        lines.extend(added)
        of.extend([name] * len(added))

    put("about", ["version: 3", *field_lines("created_by", form.created_by or "somebody", 0)])
    if form.kind == "knowledge":
        put("domain", field_lines("domain", form.domain, 0))
        put("about", field_lines("document_outline", form.about, 0))
    else:
        put("about", field_lines("task_description", form.about, 0))
    put("examples", ["seed_examples:" if form.examples else "seed_examples: []"])
    for number, example in enumerate(form.examples):
        here = f"examples-{number}"
        if form.kind == "knowledge":
            put(f"{here}-context", _item(field_lines("context", example.context, 4), 2))
            put(f"{here}-pairs", ["    questions_and_answers:" + ("" if example.pairs else " []")])
            for n, pair in enumerate(example.pairs):
                put(f"{here}-pairs-{n}-question", _item(field_lines("question", pair.question, 8), 6))
                put(f"{here}-pairs-{n}-answer", field_lines("answer", pair.answer, 8))
            continue
        pair = example.pairs[0] if example.pairs else Pair()
        put(f"{here}-pairs-0-question", _item(field_lines("question", pair.question, 4), 2))
        put(f"{here}-pairs-0-answer", field_lines("answer", pair.answer, 4))
        if tidy(example.context):
            put(f"{here}-context", field_lines("context", example.context, 4))
    if form.kind == "knowledge":
        put("document", _document_lines(form))
    return "\n".join(lines) + "\n", of


def _item(lines: list[str], indent: int) -> list[str]:
    return [f"{' ' * indent}- {lines[0].lstrip()}", *lines[1:]]


def _document_lines(form: LeafForm) -> list[str]:
    source = form.kept_source
    if form.document or source is None:
        return field_lines("document", form.document, 0)
    licences = dict(source.licences)
    if source.commit or is_git_address(source.repo) or source.repo != ".":
        patterns = [line for p in source.patterns for line in _item(field_lines("x", p, 4), 4)]
        named = [line.replace("- x: ", "- ", 1) for line in patterns]
        place = [*field_lines("repo", source.repo, 2), *field_lines("commit", source.commit or "local", 2)]
        return ["document:", *place, "  patterns:", *named]
    lines = ["document:"]
    for key, names in (("path", source.patterns), ("url", source.urls)):
        for name in names:
            lines += _item(field_lines(key, name, 4), 2)
            lines += field_lines("licence", licences[name], 4) if name in licences else []
    return lines


# -- what is to be mended ---------------------------------------------------------------------------------------------


def verdict(
    form: LeafForm,
    course: Path,
    *,
    document_text: str = "",
    is_exam_question: Callable[[str], str | None] = lambda text: None,
) -> list[Finding]:
    """Return what `homeroom check` says of the form, and exam questions among its own, in the order of the form.

    Args:
        is_exam_question: Says whether a question has an exam's wording (`generate.checks.decontamination`).
    """
    files = files_of(form, document_text=document_text)
    if len(files[f"{form.place}/qna.yaml"].encode()) > MAX_BYTES:
        return [_finding("examples", "error", "This is too long: more than %(n)s characters.", n=f"{MAX_BYTES:,}")]
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, text in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text, encoding="utf-8")
        for name in _others(form, course):
            shutil.copyfile(course / form.place / name, root / form.place / name)
        if (course / "recipe.yaml").is_file():
            shutil.copyfile(course / "recipe.yaml", root / "recipe.yaml")
        problems = check([root]).problems
    of = _written(form)[1]
    found = []
    for problem in problems:
        place = "source" if problem.file.endswith("attribution.txt") or problem.code == "attribution" else ""
        here = place or (of[problem.line - 1] if problem.line <= len(of) else "examples")
        if problem.code == "recipe" or (problem.code == "duplicate" and _is_empty(form, here)):
            continue
        found.append(_in_words(here, problem, form))
    found += _own(form, is_exam_question)
    order = {"document": 0, "about": 1, "examples": 2, "source": 3}
    unique = {(f.field, f.text, str(f.values)): f for f in found}
    return sorted(unique.values(), key=lambda f: (f.severity != "error", order[f.section]))


def _is_empty(form: LeafForm, name: str) -> bool:
    """Say whether the example, or pair, that a field begins holds nothing: that is said already."""
    parts = name.split("-")
    example = form.examples[int(parts[1])]
    pairs = example.pairs if len(parts) < 4 else example.pairs[int(parts[3]) : int(parts[3]) + 1]
    return not any(p.question + p.answer for p in pairs) and (len(parts) > 3 or not example.context)


def _others(form: LeafForm, course: Path) -> Iterable[str]:
    """Yield the files beside a leaf that the form does not hold: a document that stays as it is."""
    folder = course / form.place
    own = {"qna.yaml", "attribution.txt"}
    if folder.is_dir():
        plain = (p for p in sorted(folder.iterdir()) if p.is_file() and not p.is_symlink())
        yield from [p.name for p in plain if p.name not in own][:50]


def _own(form: LeafForm, is_exam_question: Callable[[str], str | None]) -> list[Finding]:
    found = []
    for number, example in enumerate(form.examples):
        for n, pair in enumerate(example.pairs):
            here = f"examples-{number}-pairs-{n}-question"
            if pair.question.strip() and is_exam_question(pair.question):
                text = "This is the wording of an exam question. Ask the same in other words."
                found.append(_finding(here, "error", text))
    return found


def _finding(name: str, severity: Literal["error", "warning"], text: str, **values: Any) -> Finding:
    section = name.split("-")[0]
    section = {"domain": "about"}.get(section, section)
    return Finding(section=section, field=name, severity=severity, text=text, values=values)  # type: ignore[arg-type]


EMPTY = {
    "about": "Say in a sentence or two what this is about.",
    "domain": "Name the subject in a word or two.",
    "document": "Add the document that these facts come from.",
    "context": "Put a passage of the document here.",
    "question": "This question is still empty.",
    "answer": "This answer is still empty.",
}
_JARGON = (
    (r"seed_examples", "the examples"),
    (r"questions_and_answers", "the questions"),
    (r"seed examples?", "example"),
    (r"document_outline|task_description", "the summary"),
    (r"qna\.yaml|the file", "this page"),
    (r"\bYAML\b", "the text"),
    (r"\(line \d+\)", ""),
    (r"attribution\.txt", "the source"),
)


def _in_words(here: str, problem: Any, form: LeafForm) -> Finding:
    """Return a problem of the file as a sentence about the form."""
    last = here.rsplit("-", 1)[-1]
    missing = re.search(r"at least (\d+) \w+, found (\d+)", problem.message)
    if problem.code in ("empty", "missing-key", "blank") and last in EMPTY:
        return _finding(here, problem.severity, EMPTY[last])
    if problem.code == "missing-document" or (here == "document" and problem.code == "type"):
        return _finding("document", "error", EMPTY["document"])
    if problem.code == "too-few" and missing:
        lacking = int(missing[1]) - int(missing[2])
        if here == "examples":
            return _finding(here, "error", "%(n)s more examples are needed; five or more in all.", n=lacking)
        return _finding(here, "error", "%(n)s more questions are needed here; three or more.", n=lacking)
    if problem.code == "duplicate":
        numbers = re.search(r"number (\d+) is the same as number (\d+)", problem.message)
        values = {"a": numbers[1], "b": numbers[2]} if numbers else {"a": "?", "b": "?"}
        return _finding(here, problem.severity, "Number %(a)s is the same as number %(b)s. Change one.", **values)
    if problem.code == "attribution":
        lacks = [n for n, value in (("title", form.title), ("licence", form.licence), ("creators", form.creators))
                 if not value.strip()]  # fmt: skip
        text = "Say where this comes from: the title of the work, its licence and who made it."
        return _finding(f"source-{lacks[0]}" if lacks else "source", problem.severity, text)
    if problem.code == "licence":
        text = "This licence is not one that the course takes: %(licence)s."
        return _finding("source-licence", problem.severity, text, licence=form.licence[:60])
    if problem.code in ("control-character", "hidden-character", "hidden"):
        return _finding(here, problem.severity, "There is a character here that nobody can see. Type the words anew.")
    message = problem.message
    for pattern, words in _JARGON:
        message = re.sub(pattern, words, message)
    return _finding(here, problem.severity, "%(message)s", message=message[:1].upper() + message[1:])


# -- what a browser sends --------------------------------------------------------------------------------------------


def filled(form: LeafForm, values: dict[str, str]) -> LeafForm:
    """Return the form with the fields that were sent; others stay as they are.

    Raises:
        UsageError: a field is too long, or there are too many.
    """
    for name, text in values.items():
        if len(text) > MAX_TEXT:
            raise UsageError(f"a field has more than {MAX_TEXT:,} characters", where=name[:60])
    given = {
        name: tidy(values[name])
        for name in ("about", "domain", "title", "link", "revision", "licence", "creators")
        if name in values
    }
    examples: dict[int, dict[str, Any]] = {}
    for name, text in values.items():
        match = re.fullmatch(r"examples-(\d{1,3})-(?:context|pairs-(\d{1,3})-(question|answer))", name)
        if not match:
            continue
        example = examples.setdefault(int(match[1]), {"context": "", "pairs": {}})
        if match[3]:
            example["pairs"].setdefault(int(match[2]), {})[match[3]] = _lines(text)
        else:
            example["context"] = _lines(text)
    if len(examples) > MAX_EXAMPLES or any(len(e["pairs"]) > MAX_PAIRS for e in examples.values()):
        raise UsageError(f"more than {MAX_EXAMPLES} examples, or more than {MAX_PAIRS} questions in one")
    made = tuple(
        Example(context=e["context"], pairs=tuple(Pair(**pair) for _, pair in sorted(e["pairs"].items())))
        for _, e in sorted(examples.items())
    )
    return dataclasses.replace(form, **given, examples=made or form.examples)


def _lines(text: str) -> str:
    return tidy(text.replace("\r\n", "\n").replace("\r", "\n"))
