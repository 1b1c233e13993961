"""The values that flow from a taxonomy to a report, in the order in which they come to be.

    qna.yaml -> Leaf(Seed, Source) -> Document -> Chunk -> Fact -> Question (exam) / Sample (training) -> Score

Every value is frozen, knows nothing of disks, networks or printing, and is written to disk as one JSON object with
the names of its fields. An `id` is a hash of the content (`content_id`), so equal things are the same thing.
Positions (`start`, `end`) are byte offsets into the UTF-8 text of the document, end exclusive.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

LeafKind = Literal["knowledge", "grounded_skill", "freeform_skill"]
QuestionKind = Literal["short", "choice", "yes_no", "rewrite", "rubric"]
Split = Literal["quiz", "dev", "final"]


def content_id(*parts: Any) -> str:
    """Return 12 hexadecimal digits that depend on `parts` (JSON values) and on nothing else.

    Example:
        >>> content_id("a", 1) == content_id("a", 1) != content_id("a1")
        True
    """
    text = json.dumps(parts, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:12]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seed:
    """One worked example a person wrote."""

    question: str
    answer: str
    context: str = ""  # passage the answer rests on; empty for freeform skills


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where a leaf's documents are: a folder or git repository, and which files of it."""

    repo: str  # folder relative to the leaf, absolute folder, or git URL
    commit: str = ""
    patterns: tuple[str, ...] = ("*",)
    urls: tuple[str, ...] = ()  # https addresses of single files, beside those that the patterns find
    licences: tuple[tuple[str, str], ...] = ()  # (pattern or address, its licence), where the leaf gives one


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """One `qna.yaml`: what a person wants taught, with examples."""

    path: str  # folder relative to the course, with forward slashes: "knowledge/insurance/claims"
    kind: LeafKind
    seeds: tuple[Seed, ...]
    task: str = ""  # `task_description` of a skill, `document_outline` of knowledge
    domain: str = ""
    source: Source | None = None
    created_by: str = ""
    version: int = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The plain text of one file that a leaf names."""

    id: str
    leaf: str
    name: str  # file name as the leaf's patterns found it
    title: str  # the first heading, else a readable file name
    text: str
    sha256: str  # of the original file
    pages: tuple[int, ...] = ()  # the byte of the text at which each page (slide, chapter) begins, where it has pages
    notes: tuple[str, ...] = ()  # what was left out of the text: hidden words, macros, pages that are pictures


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """A passage of a document, short enough for one teacher prompt; a section where the document has sections."""

    id: str
    document: str
    leaf: str
    title: str  # the document's
    heading: str  # of the section; "" before the first heading
    text: str  # exactly document.text.encode()[start:end].decode()
    start: int
    end: int
    page: int = 0  # of the source, on which it begins; 0 where the source has no pages


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One thing to know, as a sentence that stands alone, and the words of the document it rests on."""

    id: str
    leaf: str
    chunk: str
    statement: str
    quote: str  # exactly the document's bytes [start:end]
    start: int
    end: int
    importance: float = 1.0  # relative; plan spends tokens on high ones first
    origin: str = "teacher"  # or "sentence": the quote itself, where the teacher gave nothing that held


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant"]
    content: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One conversation or text to learn from, with its origin.

    Either `messages` (a conversation that ends with the assistant) or `text` (a plain text) is filled.
    """

    id: str
    kind: str  # "direct", "reverse", "cloze", "rewrite", "skill", "replay", ...
    messages: tuple[Message, ...] = ()
    text: str = ""
    learn: Literal["assistant", "all"] = "assistant"
    leaf: str = ""
    facts: tuple[str, ...] = ()
    chunk: str = ""
    quote: str = ""
    start: int = 0
    end: int = 0
    teacher: str = ""  # name and digest of the model that wrote it; "" for code or a person
    author: str = ""  # of the leaf: whose knowledge or skill it is
    document: str = ""  # sha256 of the file that [start:end) lies in; "" where there is none
    recipe: str = ""  # what made it, with the version of its prompt or code: "knowledge/questions@1f3a..."
    seed: int = 0  # that the teacher was asked with
    checks: tuple[str, ...] = ()  # that it passed, in their order


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """A sample that a check threw out, with the reason."""

    sample: Sample
    check: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One exam line; see the contract in `docs/exam.md`."""

    id: str
    question: str
    kind: QuestionKind = "short"
    split: Split = "final"
    answer: str = ""
    must: tuple[tuple[str, ...], ...] = ()  # every group needs one of its alternatives
    must_not: tuple[str, ...] = ()
    check: str = ""
    choices: tuple[str, ...] = ()
    context: str = ""
    leaf: str = ""
    source: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """How one model answered one question."""

    question: str  # its id
    answer: str
    correct: bool
    reason: str = ""  # why not


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One prompt for an endpoint, with everything that decides its answer."""

    messages: tuple[Message, ...]
    max_tokens: int
    temperature: float = 0.0
    seed: int = 0
    stop: tuple[str, ...] = ()
    schema: dict[str, Any] | None = field(default=None, hash=False)  # JSON schema that the answer must follow
    top_logprobs: int = 0  # how many of the likeliest first tokens to tell, at most 20; a server may not know them


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """What an endpoint answered."""

    text: str
    finish_reason: str  # "stop" or "length"
    prompt_tokens: int
    completion_tokens: int
    cached_tokens: int = -1  # of the prompt, that the server had read before; -1: it does not say
    seconds: float = 0.0
    kept: bool = False  # read from disk, not asked again
    top: dict[str, float] = field(default_factory=dict, hash=False)  # likeliest first tokens -> log-probability


class Answer(Protocol):
    """Anything that answers conversations, in order: the student in torch, or an endpoint behind a function."""

    def __call__(self, conversations: list[tuple[Message, ...]], *, max_tokens: int) -> list[str]:
        """Return one answer a conversation."""
        ...


class Progress(Protocol):
    """Told of each finished unit of work; the command line draws a bar with an ETA from it."""

    def __call__(self, stage: str, done: float, total: float, note: str = "") -> None:
        """Take note that `done` of `total` units of a stage are done."""
        ...


def no_progress(stage: str, done: float, total: float, note: str = "") -> None:
    """A `Progress` that tells nobody."""
