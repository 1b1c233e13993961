"""Texts to learn from word by word: the passages of the document, and the teacher's retellings of them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

from homeroom.core.config import Samples
from homeroom.core.types import Chunk, Reply, Request, Sample, content_id
from homeroom.core.words import words
from homeroom.generate import checks
from homeroom.generate.facts import topic_of
from homeroom.generate.prompts import fill, prompts, request
from homeroom.generate.steering import in_language_of, steering_fault, without_steering
from homeroom.generate.support import body_of, sample_fault

_MARKS = re.compile(r"\*\*|^#+ *|^\s*(?:\d{1,2}[.)]|[-*•])\s+")  # of headings, lists and bold type


def rewrite_request(chunk: Chunk, subject: str, *, wave: int, config: Samples) -> Request:
    """Return a request to tell a passage again; each wave takes the next style."""
    prompt = prompts("knowledge")["rewrites"]
    styles = prompt["styles"]
    text = fill(
        prompt["user"],
        title=chunk.title,
        heading=topic_of(chunk),
        passage=without_steering(chunk.text),
        style=fill(styles[wave % len(styles)], subject=subject),
    )
    limit = min(prompt["max_tokens"], 60 + 2 * len(chunk.text.split()))
    system = prompt["system"] + in_language_of(chunk.text)
    return request(system, text, max_tokens=limit, temperature=config.temperature, seed=config.seed + wave)


def read_rewrite(reply: Reply, chunk: Chunk, teacher: str, seed: int = 0) -> Iterator[Sample]:
    """Yield the retelling of a reply, without marks of lists and headings, if there is one."""
    lines = [_MARKS.sub("", line) for line in reply.text.splitlines()]
    text = "\n".join(line for line in lines if "[" not in line).strip()  # "[Your Name]": a form, not a text
    if reply.finish_reason == "length":
        text = text[: text.rfind(".") + 1]
    if text:
        yield replace(text_sample("rewrite", text, chunk, teacher), seed=seed)


def text_sample(kind: str, text: str, chunk: Chunk, teacher: str = "") -> Sample:
    """Return a text that is learned whole, headed by the names of its document and section."""
    head = f"{chunk.title}: {chunk.heading}" if chunk.heading else chunk.title
    return Sample(
        id=content_id(kind, head, text),
        kind=kind,
        text=f"{head}\n\n{text}",
        learn="all",
        leaf=chunk.leaf,
        chunk=chunk.id,
        quote=chunk.text,
        start=chunk.start,
        end=chunk.end,
        teacher=teacher,
    )


def text_fault(sample: Sample, chunk: Chunk) -> checks.Fault | None:
    """Return what is wrong with a retelling: cut short, or something in it that the passage does not have."""
    source = f"{chunk.title} {chunk.heading} {chunk.text}"
    body = body_of(sample)
    whole = " ".join(line for line in body.splitlines() if line.rstrip().endswith((".", "!", "?", "。")))
    if len(sample.text.split()) < 0.3 * len(chunk.text.split()):
        return "form", "much shorter than the passage"
    return (
        steering_fault(body, source)
        or checks.number_fault(body, source)
        or checks.name_fault(whole, set(words(source)) | _LETTER_WORDS)
        or checks.drift_fault(body, source)
        or checks.negation_fault(body, source)
        or sample_fault(sample, chunk)
    )


_LETTER_WORDS = frozenset("dear colleague team hello hi thank note memo subject date friend customer person".split())  # noqa: SIM905
