"""The documents that knowledge leaves name, as plain text; every fault of every leaf at once.

A source is a folder (relative to the leaf, inside the course or the git repository around it), a git address, or the
https address of one document, which is fetched once. Its patterns choose files; a pattern with wildcards, or a folder,
passes over what is no document (pictures, code, the leaf's own `qna.yaml`), a plain name does not.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from homeroom.core import config as settings
from homeroom.core.errors import ContentError, HomeroomError
from homeroom.core.files import hash_file, hash_value
from homeroom.core.sources import (
    boundary,
    check_pattern,
    find_files,
    is_git_address,
    is_web_document,
    local_folder,
    matching,
)
from homeroom.core.types import Document, Leaf, Source, content_id
from homeroom.documents.formats import FORMATS, read_text, suffix_of
from homeroom.documents.git import PROTOCOLS, Commit, open_commit, read_blobs
from homeroom.documents.web import fetch_url

MAX_FILES = 2_000  # of one leaf
_LEAF_FILES = ("qna.yaml", "attribution.txt")
_OTHER_DOCUMENTS = frozenset(
    [
        ".doc",
        ".rtf",
        ".ppt",
        ".odp",
        ".xlsx",
        ".xls",
        ".ods",
        ".tex",
        ".rst",
        ".adoc",
        ".org",
        ".xml",
    ]
)


def read_documents(
    leaves: Iterable[Leaf],
    course: Path,
    *,
    config: settings.Documents,
    cache: Path,
    protocols: Sequence[str] = PROTOCOLS,
) -> list[Document]:
    """Return the documents of all knowledge leaves, in the order of leaves, patterns and names.

    Args:
        leaves: Skills are passed over.
        course: The folder that the leaves' paths are relative to.
        config: `max_mib` bounds each file.
        cache: Where git repositories are kept between calls.
        protocols: Git transports that leaves may use; a server that takes contributions leaves "file" out.

    Raises:
        ContentError: with every missing, unreadable, empty or refused document; or another `HomeroomError` where
            all faults are of that kind (a package that is not installed, a network that is away).
    """
    documents: list[Document] = []
    faults: list[HomeroomError] = []
    opened: dict[tuple[str, str], Commit | HomeroomError] = {}
    for leaf in leaves:
        if leaf.kind != "knowledge":
            continue
        try:
            found = list(_files(leaf, course, config, cache, tuple(protocols), opened, faults))
        except HomeroomError as error:
            faults.append(error)
            continue
        for file in found:
            try:
                text = read_text(file.kind or file.name, file.content)
            except HomeroomError as error:
                faults.append(_placed(error, leaf))
                continue
            sha256 = hashlib.sha256(file.content).hexdigest()
            documents.append(
                Document(
                    id=content_id(leaf.path, file.name, sha256, text.text),
                    leaf=leaf.path,
                    name=file.name,
                    title=text.title,
                    text=text.text,
                    sha256=sha256,
                    pages=text.pages,
                    notes=text.notes,
                )
            )
    if faults:
        raise _all(faults, course)
    return documents


def hash_sources(leaves: Iterable[Leaf], course: Path) -> str:
    """Return one hash over the files in local folders that leaves name, found as `read_documents` finds them.

    What is elsewhere is not looked up: a leaf names its commit or address, and what an address gave is kept. So a
    branch that has moved is seen only when something else makes the documents anew.

    Raises:
        ContentError: a folder, or a file that matches, lies outside the boundary, or the folder does not exist.
    """
    found = []
    for leaf in leaves:
        if leaf.source and not is_git_address(leaf.source.repo):
            folder = local_folder(leaf.source.repo, leaf=leaf.path, course=course)
            for pattern in leaf.source.patterns:
                names = _below(folder, pattern, leaf, course)
                found += [[leaf.path, name, hash_file(folder / name)] for name in names]
    return hash_value(found)


def _below(folder: Path, pattern: str, leaf: Leaf, course: Path) -> list[str]:
    """Return the files of a local folder that match, without the leaf's own."""
    own = {(course / leaf.path / name).resolve() for name in _LEAF_FILES}
    names = find_files(folder, pattern, inside=boundary(course), where=f"{leaf.path}/qna.yaml")
    return [name for name in names if (folder / name).resolve() not in own]


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    content: bytes
    kind: str = ""  # a name that says the format, where `name` does not


def _files(
    leaf: Leaf,
    course: Path,
    config: settings.Documents,
    cache: Path,
    protocols: tuple[str, ...],
    opened: dict[tuple[str, str], Commit | HomeroomError],
    faults: list[HomeroomError],
) -> Iterator[_File]:
    where = f"{leaf.path}/qna.yaml"
    source = leaf.source
    if source is None:
        raise ContentError("names no document", where=where, hint="Add for example `document: handbook.md`.")
    max_bytes = int(config.max_mib * 2**20)
    if is_web_document(source.repo):
        pinned = source.commit.lower() if re.fullmatch("[0-9a-fA-F]{64}", source.commit) else ""
        yield _fetched(source.repo, pinned, cache, max_bytes, where)
        return
    if is_git_address(source.repo):
        commit = _opened(source, cache, protocols, opened, where)
        names = _chosen(source, lambda pattern: _in_commit(commit, pattern, where), where, faults)
        contents = read_blobs(commit, names, max_bytes=max_bytes, where=where)
    else:
        folder = local_folder(source.repo, leaf=leaf.path, course=course)
        names = _chosen(source, lambda pattern: _below(folder, pattern, leaf, course), where, faults)
        contents = {name: _read(folder / name, max_bytes, where) for name in names}
    for name, content in contents.items():
        if len(content) > max_bytes:
            hint = "Split the file, or raise documents.max_mib in recipe.yaml."
            faults.append(ContentError(f"{name} is larger than {config.max_mib:g} MiB", where=where, hint=hint))
        else:
            yield _File(name, content)
    for url in source.urls:
        try:
            yield _fetched(url, "", cache, max_bytes, where)
        except HomeroomError as error:
            faults.append(error)


def _fetched(url: str, sha256: str, cache: Path, max_bytes: int, where: str) -> _File:
    """Return a document from the web; `sha256`, where given, is the one that it must have."""
    try:
        path = fetch_url(url, cache / "web", max_bytes=max_bytes, sha256=sha256)
    except HomeroomError as error:
        raise type(error)(error.message, where=f"{where}: {url}", hint=error.hint) from None
    return _File(url, path.read_bytes(), kind=f"document{path.suffix}")


def _opened(
    source: Source,
    cache: Path,
    protocols: tuple[str, ...],
    opened: dict[tuple[str, str], Commit | HomeroomError],
    where: str,
) -> Commit:
    """Return the commit of a source, asking git once for all leaves that name the same one."""
    key = (source.repo, source.commit)
    if key not in opened:
        try:
            opened[key] = open_commit(source.repo, source.commit, cache=cache, protocols=protocols, where=where)
        except HomeroomError as error:
            opened[key] = error
    found = opened[key]
    if isinstance(found, HomeroomError):
        raise type(found)(found.message, where=where, hint=found.hint)
    return found


def _in_commit(commit: Commit, pattern: str, where: str) -> list[str]:
    check_pattern(pattern, where=where)
    return sorted(matching(commit.blobs, pattern))


def _chosen(source: Source, find: Callable[[str], list[str]], where: str, faults: list[HomeroomError]) -> list[str]:
    """Return the names to read, each once; what cannot be a document is a fault, or passed over (see the top)."""
    chosen: dict[str, None] = {}
    for pattern in source.patterns:
        try:
            names = find(pattern)
        except HomeroomError as error:
            faults.append(error)
            continue
        readable = [name for name in names if suffix_of(name) in FORMATS]
        others = [name for name in names if suffix_of(name) in _OTHER_DOCUMENTS or name == pattern]
        chosen |= dict.fromkeys(readable)
        for name in others if not readable else [n for n in others if n not in readable]:
            kind = suffix_of(name) or "without an ending"
            hint = f"Readable are {', '.join(sorted(FORMATS))}; convert it, or narrow the pattern."
            faults.append(ContentError(f"{name}: files of type {kind} cannot be read", where=where, hint=hint))
        if not readable and not others:
            what = f"only files that are no documents match {pattern}" if names else f"no file matches {pattern}"
            place = "" if source.repo == "." else f" in {source.repo}"
            hint = "Names are relative to the folder of the qna.yaml, or to `repo`; case matters."
            faults.append(ContentError(f"missing document: {what}{place}", where=where, hint=hint))
    if len(chosen) > MAX_FILES:
        raise ContentError(f"names more than {MAX_FILES:,} documents", where=where, hint="Split the leaf.")
    return list(chosen)


def _read(path: Path, max_bytes: int, where: str) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(max_bytes + 1)
    except OSError as error:
        raise ContentError(f"{path.name} cannot be read ({error.strerror})", where=where) from None


def _placed(error: HomeroomError, leaf: Leaf) -> HomeroomError:
    return type(error)(error.message, where=f"{leaf.path}: {error.where}", hint=error.hint)


def _all(faults: list[HomeroomError], course: Path) -> HomeroomError:
    """Return one error that says all faults; of their own kind where they agree, else a `ContentError`."""
    unique = list({str(fault): fault for fault in faults}.values())
    if len(unique) == 1:
        return unique[0]
    kinds = {type(fault) for fault in unique}
    kind = kinds.pop() if len(kinds) == 1 else ContentError
    hints = {fault.hint for fault in unique}
    lines = [f"  {fault.where}: {fault.message}" + (f" -> {fault.hint}" * (len(hints) > 1)) for fault in unique[:50]]
    more = [f"  and {len(unique) - 50} more"] if len(unique) > 50 else []
    text = "\n".join([f"{len(unique)} documents cannot be used", *lines, *more])
    return kind(
        text,
        where=str(course),
        hint=hints.pop() if len(hints) == 1 else "Mend each of them, or remove it from its leaf.",
    )
