"""`document` of a knowledge leaf -> where its documents are.

    document: {repo: https://example.org/a.git, commit: abc, patterns: ["*.md"]}     as InstructLab has it
    document: handbook.md                                   a file or folder beside the qna.yaml
    document: https://example.org/handbook.pdf              one file, fetched and then pinned by its sha256
    document:                                               any of the two above, of any type, with a licence each
      - handbook.md
      - {url: https://example.org/handbook.pdf, licence: CC-BY-4.0}

Only the form is looked at here: nothing is opened, and nothing is fetched.
"""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import urlsplit

from yaml.nodes import MappingNode, Node, SequenceNode

from homeroom.core.errors import ContentError
from homeroom.core.sources import check_pattern
from homeroom.core.types import Source
from homeroom.taxonomy.parse import fields, kind_of, plain
from homeroom.taxonomy.problem import Faults
from homeroom.taxonomy.shape import Place, missing, scalar_text, text, texts, unknown_keys

_FORMS = "For example `document: handbook.md`, an https address, or a mapping with repo, commit and patterns."
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:(?![A-Za-z]:)")


def read_document(place: Place, faults: Faults) -> Source | None:
    """Return where the documents are, or None with the reason in `faults`."""
    if "document" not in place.fields:
        missing(place, "document", faults)
        return None
    node = place.fields["document"][1]
    if isinstance(node, MappingNode) and not {"path", "url"} & fields(node).keys():
        return _repository(node, faults)
    if isinstance(node, SequenceNode):
        if not node.value:
            faults.error(place.fields["document"][0].start_mark, "too-few", "document names nothing", _FORMS)
        entries = [_entry(item, f"document, entry {number},", faults) for number, item in enumerate(node.value, 1)]
        _no_twins(node, faults)
    elif isinstance(node, MappingNode) or (kind_of(node) == "text" and node.value.strip()):
        entries = [_entry(node, "document", faults)]
    else:
        message = f"document must name a file or a repository, found {kind_of(node)}"
        faults.error(node.start_mark, "type", message, _FORMS)
        return None
    named = [entry for entry in entries if entry is not None]
    return Source(
        repo=".",
        patterns=tuple(name for name, _, is_url in named if not is_url),
        urls=tuple(name for name, _, is_url in named if is_url),
        licences=tuple((name, licence) for name, licence, _ in named if licence),
    )


def _repository(node: MappingNode, faults: Faults) -> Source | None:
    inner = Place(node, fields(node), "document")
    unknown_keys(inner, ("repo", "commit", "patterns"), faults)
    repo, commit = text(inner, "repo", faults), text(inner, "commit", faults)
    patterns = texts(inner, "patterns", faults)
    return Source(repo=repo, commit=commit, patterns=patterns) if repo and patterns else None


def _entry(node: Node, name: str, faults: Faults) -> tuple[str, str, bool] | None:
    """Return one document's name, its licence ("" where none is given) and whether it is an address."""
    licence = ""
    if isinstance(node, MappingNode):
        inner = Place(node, fields(node), name.rstrip(","))
        unknown_keys(inner, ("path", "url", "licence", "license"), faults)
        keys = [key for key in ("path", "url") if key in inner.fields]
        if len(keys) != 1:
            faults.error(node.start_mark, "missing-key", f"{inner.name} needs one of path and url", _FORMS)
            return None
        for key in {"licence", "license"} & inner.fields.keys():
            licence = text(inner, key, faults)
        node = inner.fields[keys[0]][1]
        value, wants_url = text(inner, keys[0], faults), keys[0] == "url"
    else:
        value, wants_url = scalar_text(node, name, faults), False
    if not value:
        return None
    is_url = wants_url or is_address(value)
    if is_url:
        why, hint = address_fault(value)
    else:
        why, hint = _name_fault(value)
    if why:
        faults.error(node.start_mark, "document", why, hint)
    return value, licence, is_url


def _name_fault(name: str) -> tuple[str, str]:
    try:
        check_pattern(name)
    except ContentError as error:
        return error.message.replace("the pattern", "document", 1), error.hint
    return "", ""


def _no_twins(node: SequenceNode, faults: Faults) -> None:
    first: dict[object, int] = {}
    for number, item in enumerate(node.value, 1):
        before = first.setdefault(plain(item), number)
        if before != number:
            message = f"document: entry {number} is the same as entry {before}"
            faults.error(item.start_mark, "duplicate", message, "Remove one.")


# -- addresses ---------------------------------------------------------------------------------------------------


def is_address(name: str) -> bool:
    """Say whether a name is meant as an address rather than a file.

    Example:
        >>> [is_address(name) for name in ("https://a.org/b.pdf", "javascript:x", "ext::sh", "notes.md", "a/b:c.md")]
        [True, True, True, False, False]
    """
    return "://" in name or "::" in name or bool(_SCHEME.match(name))


def address_fault(url: str) -> tuple[str, str]:
    """Return what is wrong with the address of a document and how to mend it; two empty texts where nothing is.

    Example:
        >>> address_fault("https://example.org/a.pdf")
        ('', '')
        >>> address_fault("http://example.org/a.pdf")[0]
        'http://example.org/a.pdf is not encrypted: on its way anyone could change what is taught'
    """
    shown = re.sub(r"//[^/@]*@", "//...@", url)[:120]
    scheme = url.partition(":")[0].lower()
    if scheme == "http":
        why = f"{shown} is not encrypted: on its way anyone could change what is taught"
        return why, "Use https://, or save the file beside the qna.yaml."
    if not url.lower().startswith("https://"):
        return f"{scheme}: is not a kind of address that is read", "Use https://, or save the file beside the qna.yaml."
    if re.search(r"[\s\\\\\x00-\x20\x7f]", url):
        return f"{shown!a} has a space, a backslash or a control character in it", "Write a space as %20."
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError as error:
        return f"{shown} is not an address ({error})", "Copy it from the browser again."
    if parts.username is not None or parts.password is not None:
        hint = "Take it out, for everyone who has the qna.yaml reads it; save the file beside it instead."
        return f"{shown} holds a user name or password", hint
    if not host or _is_inside(host):
        what = "names no machine" if not host else "names this machine or a private network"
        return f"{shown} {what}", "Name a public address, or save the file beside the qna.yaml."
    if parts.path.endswith(".git"):
        return f"{shown} is a repository", "Write `document: {repo: ..., commit: ..., patterns: [...]}`."
    return "", ""


def _is_inside(host: str) -> bool:
    """Say whether a host is this machine or inside a private network, as far as its name alone tells."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith((".localhost", ".local", ".internal")):
        return True
    try:
        return not ipaddress.ip_address(name).is_global
    except ValueError:  # a name; or a number in disguise, such as 0x7f000001 or 127.1
        return re.fullmatch(r"(0x[0-9a-f]*|[0-9]+)", name.rpartition(".")[2]) is not None
