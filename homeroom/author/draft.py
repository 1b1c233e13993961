"""A first `qna.yaml` for a document: contexts that cover it, questions that were checked, answers that are quotations.

    document -> chunks -> passages spread over them -> facts -> questions -> the cascade of checks -> a marked file

The teacher only lists facts and words questions. A context is a passage of the document, an answer a sentence of
that context, so neither can be invented. What the teacher wrote is still not what a person meant: the file carries a
mark, and while it does, `check` and `run` refuse the leaf. A passage that gives too few good questions is replaced
by another; a document that cannot give five is not worth a leaf, and the error says so.
"""

from __future__ import annotations

import dataclasses
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeroom.author.passages import Ask, Passages, is_usable
from homeroom.author.qna import Passage, qna_text, tidy
from homeroom.core import config as settings
from homeroom.core.errors import ContentError, RefusedError, StageError, UsageError
from homeroom.core.files import read_jsonl
from homeroom.core.sources import check_pattern
from homeroom.core.types import Chunk, Document, Leaf, Progress, Question, Reply, Request, Source, no_progress
from homeroom.documents.chunk import chunk, num_words
from homeroom.documents.read import read_documents
from homeroom.evaluate.exam import read_exam
from homeroom.generate.attribution import Embed
from homeroom.pipeline.course import Course, Say, recipe_of
from homeroom.taxonomy.gaps import WORDS_A_CONTEXT
from homeroom.taxonomy.rules import MIN_ANSWERS, MIN_SEEDS
from homeroom.taxonomy.unread import DRAFT_MARK

MARK = f"{DRAFT_MARK}: read every line against the document, mend it, then remove this line."
MAX_CONTEXTS = 12
MAX_OUTLINE = 300  # characters

_LEAF = re.compile(r"knowledge(/[^\W_][\w.-]*)+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """What was written."""

    path: Path  # of the qna.yaml
    document: Path  # beside it
    passages: tuple[Passage, ...]
    sections: tuple[str, ...]  # that the contexts come from, in the order of the document
    rejected: Mapping[str, int]  # check -> questions that failed it


def draft(
    document: Path,
    leaf: str,
    course: Path,
    ask: Ask,
    *,
    config: settings.Recipe,
    exam: Sequence[Question] = (),
    embed: Embed | None = None,
    created_by: str = "homeroom-draft",
) -> Drafted:
    """Write a draft of `leaf` from a document, and put the document beside it.

    Args:
        leaf: Its folder relative to the course: "knowledge/insurance/claims".
        ask: Puts requests to the teacher.
        exam: Every exam question of the course; none is asked again in the same words.

    Raises:
        UsageError: `leaf` is no name for a leaf.
        RefusedError: something is there already that would be overwritten.
        ContentError: the document cannot be read, or is too short for five contexts.
        StageError: the teacher gave too few questions that hold.
    """
    folder = free_folder(course, leaf, document)
    read = read_one(document, leaf, config)
    chunks = cut(read, config.documents)
    work = Passages(chunks=chunks, ask=ask, config=config.samples, exam=exam, embed=embed)
    made = work.choose(wanted_contexts(read.text))
    if len(made) < MIN_SEEDS:
        raise StageError(
            f"only {len(made)} passages got {MIN_ANSWERS} questions that hold, {MIN_SEEDS} are needed; "
            f"thrown out: {', '.join(f'{n} for {check}' for check, n in work.rejected.most_common()) or 'none'}",
            where=document.name,
            hint="Try another teacher (--teacher URL), or a document that says more in plain sentences.",
        )
    passages = tuple(made[number] for number in sorted(made))
    headings = [c.heading for c in chunks if c.heading]
    text = qna_text(
        passages,
        created_by=created_by,
        domain=leaf.split("/")[-2 if leaf.count("/") > 1 else -1].replace("_", " "),
        outline=outline(read.title, headings),
        document=document.name,
        mark=MARK,
    )
    copied = _write(folder, document, text)
    return Drafted(
        path=folder / "qna.yaml",
        document=copied,
        passages=passages,
        sections=tuple(dict.fromkeys(chunks[n].heading or chunks[n].title for n in sorted(made))),
        rejected=dict(work.rejected),
    )


# -- where it goes, and what it is made from ---------------------------------------------------------------------


def free_folder(course: Path, leaf: str, document: Path) -> Path:
    """Return the leaf's folder, which may exist but holds no leaf and no other document of that name."""
    if not _LEAF.fullmatch(leaf) or ".." in leaf or len(leaf) > 200:
        near = leaf.strip("/")
        hint = f"For example --leaf knowledge/{near}" if re.fullmatch(r"[\w./-]+", near) else "--leaf knowledge/boats"
        raise UsageError(
            f"{leaf[:80]!r} is no folder for knowledge: letters, digits, - and _, below knowledge/",
            where="--leaf",
            hint=hint if ".." not in hint else "--leaf knowledge/boats",
        )
    folder = course / leaf
    if not folder.resolve().is_relative_to(course.resolve()):
        raise RefusedError("leads out of the course", where=str(folder), hint="Replace the link by a folder.")
    if (folder / "qna.yaml").exists() or (folder / "qna.yaml").is_symlink():
        raise RefusedError(
            "is there already, and a draft never overwrites a leaf",
            where=str(folder / "qna.yaml"),
            hint="Name another --leaf, or move the file away.",
        )
    try:
        check_pattern(document.name, where=str(document))
    except ContentError as error:
        raise ContentError(error.message, where=str(document), hint="Rename the document.") from None
    if re.search(r"[*?\[]", document.name):
        raise ContentError("the name has one of * ? [ in it", where=str(document), hint="Rename the document.")
    there = folder / document.name
    if there.exists() and not there.samefile(document) and there.read_bytes() != document.read_bytes():
        raise RefusedError("is there already, with other contents", where=str(there), hint="Rename one of the two.")
    return folder


def read_one(document: Path, leaf: str, config: settings.Recipe) -> Document:
    """Return the text of one document as a run will read it."""
    if not document.is_file():
        raise ContentError("no such file", where=str(document), hint="Name one document, not a folder.")
    if document.stat().st_size > config.documents.max_mib * 2**20:
        hint = "Split it, or raise documents.max_mib in recipe.yaml."
        raise ContentError(f"larger than {config.documents.max_mib:g} MiB", where=str(document), hint=hint)
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary) / leaf
        place.mkdir(parents=True)
        shutil.copyfile(document, place / document.name)
        named = Leaf(path=leaf, kind="knowledge", seeds=(), source=Source(repo=".", patterns=(document.name,)))
        found = read_documents([named], Path(temporary), config=config.documents, cache=Path(temporary) / "cache")
    return found[0]


def wanted_contexts(text: str) -> int:
    """Return how many contexts a document of this length needs, so that its leaf is not thin."""
    return max(MIN_SEEDS, min(MAX_CONTEXTS, round(num_words(text) / WORDS_A_CONTEXT)))


def cut(document: Document, config: settings.Documents) -> list[Chunk]:
    """Return the document's passages, smaller ones where it is so short that it would give fewer than five.

    Raises:
        ContentError: it is too short for five passages of a few sentences.
    """
    for max_words in (config.max_words, 100, 60, 40):
        found = chunk(document, config=dataclasses.replace(config, max_words=max_words, min_words=min(25, max_words)))
        if sum(map(is_usable, found)) >= MIN_SEEDS:
            return found
    raise ContentError(
        f"has {num_words(document.text):,} words, too few for {MIN_SEEDS} contexts with {MIN_ANSWERS} facts each",
        where=document.name,
        hint="Write more into it, or join it with another document of the same subject.",
    )


def outline(title: str, headings: Sequence[str]) -> str:
    """Return the title and the headings of a document, as far as they fit into a sentence or two.

    Example:
        >>> outline("Claims Handbook", ["1. The desk", "2. Plans > Orchard", "2. Plans > Harbour"])
        'Claims Handbook: The desk; Plans.'
    """
    tops = [re.sub(r"^[\d.]+[.)]?\s+", "", part.strip()) for h in headings for part in h.split(" / ")]
    names = list(dict.fromkeys(tidy(top.split(" > ")[0]) for top in tops))
    text = tidy(title.replace("\n", " "))[: MAX_OUTLINE // 2]
    listed = ""
    for name in names:
        if name and name != text and len(text) + len(listed) + len(name) < MAX_OUTLINE:
            listed += f"{'; ' if listed else ': '}{name}"
    return f"{text}{listed}."


def _write(folder: Path, document: Path, text: str) -> Path:
    """Put the document and then the file into the folder, overwriting nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    copied = folder / document.name
    if not copied.exists():
        shutil.copyfile(document, copied)
    try:
        with (folder / "qna.yaml").open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise RefusedError("was written by someone else meanwhile", where=str(folder / "qna.yaml")) from None
    return copied


# -- in a course -------------------------------------------------------------------------------------------------


def draft_in(
    document: Path,
    leaf: str,
    course: Path,
    *,
    options: tuple[str, ...] = (),
    created_by: str = "homeroom-draft",
    progress: Progress = no_progress,
    say: Say = lambda text: None,
) -> Drafted:
    """Draft a leaf with a course's own teacher, settings and exam; the teacher's answers are kept in `out/asked`.

    Raises:
        HomeroomError: as `draft`, and where the teacher is not there.
    """
    free_folder(course, leaf, document)  # before a model is started
    work = Course(folder=course, recipe=recipe_of(course, options), progress=progress, say=say)

    def ask(requests: Sequence[Request]) -> list[Reply | None]:
        return work.ask(requests, stage="draft", max_tokens=sum(r.max_tokens for r in requests) + 1)

    try:
        return draft(
            document,
            leaf,
            course,
            ask,
            config=work.recipe,
            exam=exams_of(course),
            embed=_embedder(say),
            created_by=created_by,
        )
    finally:
        work.rest()


def exams_of(course: Path) -> list[Question]:
    """Return every exam question of a course: those that a person wrote, and those of the last run."""
    written = course / "exam.jsonl"
    made = sorted((course / "out" / "exam").glob("*.jsonl"))
    return [*(read_exam(written) if written.is_file() else []), *(q for p in made for q in read_jsonl(p, Question))]


def _embedder(say: Say) -> Embed | None:
    from homeroom.pipeline.serving import encoder

    embed = encoder()
    if embed is None:
        say("draft: no sentence encoder is here, so questions are told apart by their words alone")
    return embed
