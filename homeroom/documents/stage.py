"""The stage: leaves -> `documents.jsonl` and `chunks.jsonl`. The caller writes the record, last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from homeroom.core import config as settings
from homeroom.core.files import write_jsonl
from homeroom.core.types import Leaf
from homeroom.documents.chunk import chunk, num_words
from homeroom.documents.git import PROTOCOLS
from homeroom.documents.read import read_documents


def make_documents(
    leaves: Sequence[Leaf],
    course: Path,
    *,
    config: settings.Documents,
    out: Path,
    cache: Path,
    protocols: Sequence[str] = PROTOCOLS,
) -> dict[str, int]:
    """Write `out/documents.jsonl` and `out/chunks.jsonl` and return how many documents, chunks and words there are.

    A course of skills alone gives two empty files.

    Raises:
        ContentError: as `read_documents`; nothing is written then.
    """
    documents = read_documents(leaves, course, config=config, cache=cache, protocols=protocols)
    chunks = [piece for document in documents for piece in chunk(document, config=config)]
    write_jsonl(out / "documents.jsonl", documents)
    write_jsonl(out / "chunks.jsonl", chunks)
    return {"documents": len(documents), "chunks": len(chunks), "words": sum(num_words(c.text) for c in chunks)}
