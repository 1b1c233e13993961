"""A wrong answer becomes a contribution: the right answer, the words it rests on, a seed example in the right leaf.

    question, right answer -> passage of the course's documents -> edit of a qna.yaml -> check -> contributions/<id>/

The course itself is left as it is: the changed file lies in the contribution until somebody accepts it. What the
answer rests on is looked for in the course's documents; where nothing there supports it, `NeedsPassage` asks the
person for the words. Words that no document of the course holds become the draft of a new leaf.
"""

from __future__ import annotations

import contextlib
import re
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from homeroom.author.draft import exams_of
from homeroom.author.edit import LeafText, flat
from homeroom.author.evidence import Support, find_support, place_of, support_of
from homeroom.author.qna import Passage, qna_text, tidy
from homeroom.core import network
from homeroom.core.config import read_recipe
from homeroom.core.contributions import Contribution, Evidence, contribution_id, write_contribution
from homeroom.core.errors import ContentError, MachineError, RefusedError, UsageError
from homeroom.core.files import hash_file, read_jsonl, why_stale
from homeroom.core.types import Chunk, Document, Leaf, Seed
from homeroom.core.words import find, words
from homeroom.documents.chunk import chunk
from homeroom.documents.read import read_documents
from homeroom.generate.attribution import Embed
from homeroom.generate.checks import content_words, decontamination
from homeroom.models.store import store_home
from homeroom.pipeline.course import Course
from homeroom.pipeline.run import stage_record
from homeroom.taxonomy.attribution import skeleton
from homeroom.taxonomy.check import check
from homeroom.taxonomy.history import open_commit
from homeroom.taxonomy.read import read_taxonomy

MAX_QUESTION, MAX_ANSWER, MAX_PASSAGE, MAX_LINE = 1000, 4000, 8000, 500  # characters
MAX_CONTEXT_WORDS = 400  # of a context that is made longer

_LEAF = re.compile(r"(knowledge|compositional_skills)(/[^\W_][\w-]*)+")


class NeedsPassage(ContentError):
    """No passage of the course's documents supports the answer; `candidates` are the nearest, the best first."""

    def __init__(self, candidates: Sequence[Support], *, where: str = "") -> None:
        self.candidates = tuple(candidates)
        near = f' The nearest is: "{candidates[0].evidence.quote[:200]}"' if candidates else ""
        lacks = ", ".join(candidates[0].missing) if candidates else ""
        super().__init__(
            f"no passage of the documents says this.{near}{f' It lacks: {lacks}.' if lacks else ''}",
            where=where,
            hint="Give the words that say it (a passage of a document, or your own), or another answer.",
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Correction:
    """What became of a wrong answer."""

    contribution: Contribution
    folder: Path  # contributions/<id>
    how: str  # in words: "added to the example about ...", "the answer was changed", "draft of a new leaf"
    support: Support | None  # None for a skill


def correct(
    course: Path,
    question: str,
    answer: str,
    *,
    wrong: str = "",
    leaf: str = "",
    passage: str = "",
    why: str = "",
    who: str = "",
    email: str = "",
    sign_off: bool = False,
    embed: Embed | None = None,
    options: tuple[str, ...] = (),
) -> Correction:
    """Make a contribution of a right answer, and return it; the course itself is not changed.

    Args:
        course: Its folder; the taxonomy may have faults elsewhere.
        question: What was asked.
        answer: The right answer, in the person's words.
        wrong: What the model said.
        leaf: Where it belongs, if the person knows; "" finds it by the passage. One that is not there is drafted.
        passage: Words that support the answer, from a document or the person's own; "" looks for them.
        why: For the reviewer; "" says that the model answered wrongly.
        who: The contributor's name, with `email` and, if they gave it, the sign-off.
        embed: A sentence encoder, which finds passages in other words; None goes by words alone.
        options: Settings that hold before the recipe's, as `read_recipe` takes them.

    Raises:
        NeedsPassage: nothing in the documents supports the answer; ask the person and call again with `passage`.
        RefusedError: the question is an exam's, or is taught already with this very answer.
        UsageError: an argument is empty, too long, or no leaf's name.
        ContentError: the leaf cannot be edited by a program; the hint has the lines to add.
    """
    seed = Seed(question=_bounded("question", question, MAX_QUESTION), answer=_bounded("answer", answer, MAX_ANSWER))
    passage = _bounded("passage", passage, MAX_PASSAGE) if passage.strip() else ""
    if leaf and (not _LEAF.fullmatch(leaf) or len(leaf) > 200):
        raise UsageError(f"{leaf[:80]!r} is no leaf", hint="For example knowledge/insurance/claims.")
    if not course.is_dir():
        raise UsageError("no such folder", where=str(course))
    if decontamination(exams_of(course))(seed.question):
        raise RefusedError(
            "this is the wording of an exam question, which must not be taught",
            where=seed.question[:80],
            hint="Ask the same in other words: the fact may be taught, the exam's wording may not.",
        )
    desk = _Desk(course, options)
    made = desk.place(seed, leaf, passage, embed)
    about = {"why": _line(why) or "The model answered this wrongly.", "who": _line(who), "email": _line(email)}
    return desk.write(made, seed, wrong=tidy(wrong)[:MAX_ANSWER], sign_off=sign_off, **about)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Made:
    leaf: str
    changes: dict[str, str]  # file -> text
    how: str
    support: Support | None = None
    is_draft: bool = False


class _Desk:
    """A course's leaves and documents, and where a seed goes in them."""

    def __init__(self, course: Path, options: tuple[str, ...]) -> None:
        self.course = course
        self.leaves = {leaf.path: leaf for leaf in read_taxonomy(course).leaves}
        self.documents, self.chunks = documents_of(course, list(self.leaves.values()), options)

    def place(self, seed: Seed, leaf: str, passage: str, embed: Embed | None) -> _Made:
        if leaf in self.leaves and self.leaves[leaf].kind != "knowledge":
            return self._skill(seed, self.leaves[leaf], passage)
        if passage:
            return self._with_passage(seed, leaf, passage)
        documents = [d for d in self.documents if not leaf or leaf not in self.leaves or d.leaf == leaf]
        found = find_support(seed.question, seed.answer, documents, self.chunks, embed=embed)
        if found and found[0].supports:
            return self._knowledge(seed, found[0])
        skill = self._nearest_skill(seed) if not leaf else None
        if skill is not None:
            return self._skill(seed, skill, "")
        raise NeedsPassage(found, where=seed.question[:80])

    def _with_passage(self, seed: Seed, leaf: str, passage: str) -> _Made:
        evidence = place_of(passage, self.documents, self.chunks)
        own = Evidence(leaf=leaf, document="", quote=flat(passage))
        support = support_of(seed.question, seed.answer, evidence or own)
        if support.missing:
            raise NeedsPassage([support], where=seed.question[:80])
        return self._knowledge(seed, support) if evidence else self._new_leaf(seed, leaf, passage, support)

    # -- the places ----------------------------------------------------------------------------------------------

    def _knowledge(self, seed: Seed, support: Support) -> _Made:
        """Add to the example whose context holds the passage; else make the nearest context longer by it."""
        text, evidence = self._open(support.evidence.leaf), support.evidence
        mended = self._mended(text, seed)
        if mended is not None:
            return self._one(mended, "the answer to this question was changed", support)
        contexts = list(dict.fromkeys(s.context for s in text.leaf.seeds))
        wanted = words(evidence.quote)
        holder = next((c for c in contexts if find(wanted, words(c))), "")
        if holder:
            return self._one(text.with_pair(holder, seed), "added to the example that holds the passage", support)
        nearest = self._nearest_context(contexts, evidence)
        longer = f"{nearest}\n{evidence.quote}"
        made = text.with_context(nearest, longer).with_pair(longer, seed)
        return self._one(made, "the passage and the question were added to the nearest example", support)

    def _nearest_context(self, contexts: Sequence[str], evidence: Evidence) -> str:
        own = [d for d in self.documents if (d.leaf, d.name) == (evidence.leaf, evidence.document)]

        def far(context: str) -> tuple[bool, float]:
            found = place_of(" ".join(context.split()[:8]), own, self.chunks)
            return len(context.split()) > MAX_CONTEXT_WORDS, abs(found.start - evidence.start) if found else 1e12

        return min(contexts, key=far)

    def _skill(self, seed: Seed, leaf: Leaf, passage: str) -> _Made:
        if leaf.kind == "grounded_skill" and not passage:
            raise NeedsPassage([], where=leaf.path)
        text = self._open(leaf.path)
        mended = self._mended(text, seed)
        if mended is not None:
            return self._one(mended, "the answer of this example was changed", None)
        context = passage if leaf.kind == "grounded_skill" else ""
        made = text.with_example(Seed(question=seed.question, answer=seed.answer, context=context))
        return self._one(made, "added to the skill's examples", None)

    def _mended(self, text: LeafText, seed: Seed) -> LeafText | None:
        """Return the leaf with the answer changed where it asks this already; None where it does not."""
        asked = [s for s in text.leaf.seeds if words(s.question) == words(seed.question)]
        if not asked:
            return None
        if words(asked[0].answer) == words(seed.answer):
            raise RefusedError(
                "is taught already, with this answer",
                where=text.path,
                hint="The student has not learned it: add the same question in other words, or train longer.",
            )
        return text.with_answer(seed.question, seed.answer)

    def _new_leaf(self, seed: Seed, leaf: str, passage: str, support: Support) -> _Made:
        """Draft a leaf with the passage as its document: one example, so `check` says what is still missing."""
        leaf = leaf or f"knowledge/{_slug(seed.question)}"
        if leaf in self.leaves or (self.course / leaf / "qna.yaml").exists():
            hint = f"Add the passage to a document of {leaf}, or name a leaf that is not there."
            raise ContentError("no document of this leaf holds the passage", where=leaf, hint=hint)
        name, title = f"{leaf.rsplit('/', 1)[-1]}.md", tidy(seed.question).rstrip("?.! ")
        example = Passage(context=tidy(passage), seeds=(seed,))
        text = qna_text(
            [example],
            created_by="homeroom-correct",
            domain=leaf.split("/")[1].replace("-", " "),
            outline=f"{title}.",
            document=name,
        )
        changes = {
            f"{leaf}/qna.yaml": text,
            f"{leaf}/{name}": f"# {title}\n\n{tidy(passage)}\n",
            f"{leaf}/attribution.txt": skeleton(None),
        }
        return _Made(leaf=leaf, changes=changes, how="draft of a new leaf", support=support, is_draft=True)

    def _nearest_skill(self, seed: Seed) -> Leaf | None:
        """Return the freeform skill whose examples share half of the question's telling words."""
        asked = content_words(seed.question)

        def share(leaf: Leaf) -> float:
            return max(len(asked & content_words(s.question)) / max(1, len(asked)) for s in leaf.seeds)

        skills = [leaf for leaf in self.leaves.values() if leaf.kind == "freeform_skill"]
        best = max(skills, key=share, default=None)
        return best if best is not None and asked and share(best) >= 0.5 else None

    def _open(self, leaf: str) -> LeafText:
        return LeafText((self.course / leaf / "qna.yaml").read_bytes(), leaf)

    def _one(self, text: LeafText, how: str, support: Support | None) -> _Made:
        return _Made(leaf=text.path, changes={f"{text.path}/qna.yaml": text.text}, how=how, support=support)

    # -- on disk -------------------------------------------------------------------------------------------------

    def write(self, made: _Made, seed: Seed, *, wrong: str, sign_off: bool, **about: str) -> Correction:
        base = {n: hash_file(self.course / n) if (self.course / n).is_file() else "" for n in made.changes}
        contribution = Contribution(
            id=contribution_id("correction", made.leaf, made.changes, about["who"]),
            kind="correction",
            title=f"Correct: {seed.question[:100]}",
            leaf=made.leaf,
            files=tuple(sorted(made.changes)),
            base=base,
            base_commit=_commit_of(self.course),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            question=seed.question,
            answer=seed.answer,
            wrong_answer=wrong,
            evidence=made.support.evidence if made.support else None,
            problems=tuple(self._problems(made, seed)),
            is_draft=made.is_draft,
            signed_off=sign_off,
            **about,
        )
        folder = write_contribution(self.course, contribution, made.changes)
        return Correction(contribution=contribution, folder=folder, how=made.how, support=made.support)

    def _problems(self, made: _Made, seed: Seed) -> list[dict[str, Any]]:
        """Return what `check` says after the change and did not say before."""
        asking = {
            s.path for s in self.leaves.values() if any(words(x.question) == words(seed.question) for x in s.seeds)
        }
        with tempfile.TemporaryDirectory() as temporary:
            root = Path(temporary)
            for leaf in {made.leaf, *asking} & self.leaves.keys():
                shutil.copytree(self.course / leaf, root / leaf, dirs_exist_ok=True)
            if (self.course / "recipe.yaml").is_file():
                shutil.copyfile(self.course / "recipe.yaml", root / "recipe.yaml")
            before = {(p.code, p.message) for p in check([root]).problems}
            for name, text in made.changes.items():
                (root / name).parent.mkdir(parents=True, exist_ok=True)
                (root / name).write_text(text, encoding="utf-8")
            after = [p for p in check([root]).problems if (p.code, p.message) not in before]
            return [{**asdict(p), "file": Path(p.file).relative_to(root).as_posix()} for p in after]


def documents_of(
    course: Path, leaves: Sequence[Leaf], options: tuple[str, ...] = ()
) -> tuple[list[Document], list[Chunk]]:
    """Return a course's documents and their passages: those of the last run where they are up to date, else read anew.

    A course's private mode holds while they are read, and for no other course of a server.

    Raises:
        ContentError: a document cannot be read.
    """
    if not any(leaf.kind == "knowledge" for leaf in leaves):
        return [], []
    work = Course(folder=course, recipe=read_recipe(course, options), leaves=tuple(leaves))
    made = work.out / "documents"
    if not why_stale(made, stage_record(work, "documents")):
        return read_jsonl(made / "documents.jsonl", Document), read_jsonl(made / "chunks.jsonl", Chunk)
    config, rules = work.recipe.documents, work.recipe.network
    with network.privately(rules.allow) if rules.private else contextlib.nullcontext():
        documents = read_documents(leaves, course, config=config, cache=store_home() / "git")
    return documents, [piece for document in documents for piece in chunk(document, config=config)]


def _commit_of(course: Path) -> str:
    try:
        commit = open_commit(course, "HEAD")
    except (UsageError, MachineError):  # a repository without a commit, or no git
        return ""
    return commit.hash if commit else ""


def _bounded(name: str, text: str, most: int) -> str:
    text = tidy(text).strip()
    if not text:
        raise UsageError(f"the {name} is empty")
    if len(text) > most:
        raise UsageError(f"the {name} has {len(text):,} characters, {most:,} are allowed", hint="Shorten it.")
    return text


def _line(text: str) -> str:
    return flat(tidy(text))[:MAX_LINE]


def _slug(text: str) -> str:
    found = re.findall(r"[a-z0-9]+", text.lower())
    long = [word for word in found if len(word) > 4 or word.isdigit()]
    return "-".join(long or found)[:40].strip("-") or "new-leaf"
