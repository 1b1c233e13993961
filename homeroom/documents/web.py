"""A document at an https address: fetched once, checked, and kept by its digest.

A `qna.yaml` may come from a stranger, and this machine may stand where a stranger may not look. So only https is
spoken, a host's name is looked up once and the connection goes to the address that was checked (a name that means
something else a moment later changes nothing), addresses of private networks and of this machine are refused, every
redirect is checked like the first address, and no cookie, password or proxy of this machine is used.
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import re
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from homeroom.core import network
from homeroom.core.errors import ContentError, MachineError, RefusedError
from homeroom.core.files import write_json
from homeroom.core.types import content_id
from homeroom.documents.formats import FORMATS, suffix_of

MAX_REDIRECTS = 5
MAX_SECONDS = 900.0  # of one document: a server that sends a byte a minute is not waited for
_TYPES = {
    "text/html": ".html",
    "application/xhtml+xml": ".html",
    "text/markdown": ".md",
    "text/plain": ".txt",
    "application/pdf": ".pdf",
    "application/epub+zip": ".epub",
    "application/vnd.oasis.opendocument.text": ".odt",
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": ".docx",
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": ".pptx",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trust:
    """What may be fetched beyond public https; nothing, but in a test or in a building of one's own."""

    private: bool = False  # addresses of private networks and of this machine
    plain: bool = False  # http
    certificates: ssl.SSLContext | None = None  # which to believe; None: those that httpx believes


def fetch_url(
    url: str,
    folder: Path,
    *,
    max_bytes: int,
    sha256: str = "",
    timeout_s: float = 60.0,
    offline: bool | None = None,
    trust: Trust | None = None,
) -> Path:
    """Return the file at `url`, from `folder` where it was fetched before; its suffix says its format.

    Args:
        url: An https address.
        folder: Where fetched files and `source.json` (address, sha256, type) are kept.
        max_bytes: The largest file.
        sha256: What the file must hash to; "" pins what comes the first time.
        timeout_s: Of one connection, and of each wait for more.
        offline: Never fetch; None asks HOMEROOM_OFFLINE.
        trust: What else may be fetched; nothing by default.

    Raises:
        RefusedError: the address, or one that it redirects to, is not a public https address.
        ContentError: there is no such file, it is too large, of a type that cannot be read, or not what was pinned.
        MachineError: the network is away, or may not be used.
    """
    trust = trust or Trust()
    _check(url, trust)
    place = folder / content_id(url)
    kept = _kept(place, url, sha256)
    if kept is not None:
        return kept
    if offline if offline is not None else os.environ.get("HOMEROOM_OFFLINE", "") not in ("", "0"):
        hint = "Fetch it once with the network, or put the file beside the qna.yaml and name it there."
        raise MachineError("has not been fetched yet, and HOMEROOM_OFFLINE is set", where=url, hint=hint)
    network.refuse_unless_allowed(urlsplit(url).hostname or "", where=url)
    place.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=place, prefix=".", suffix=".part", delete=False) as part:
        temporary = Path(part.name)
        try:
            at, kind, digest = _download(url, part.write, max_bytes, timeout_s, trust)
            part.flush()
            os.fsync(part.fileno())
            suffix = _suffix(url, at, kind)
            if sha256 and digest != sha256.lower():
                hint = "The file behind the address has changed. Look at it, then pin the new digest."
                raise ContentError(f"its sha256 is {digest}, not {sha256.lower()}", where=url, hint=hint)
            os.replace(temporary, place / f"document{suffix}")
        finally:
            temporary.unlink(missing_ok=True)
    write_json(place / "source.json", {"url": url, "sha256": digest, "type": kind, "from": at, "suffix": suffix})
    return place / f"document{suffix}"


def _kept(place: Path, url: str, sha256: str) -> Path | None:
    try:
        facts = json.loads((place / "source.json").read_text(encoding="utf-8"))
        path = place / f"document{facts['suffix']}"
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if digest != facts.get("sha256"):
        return None  # damaged: fetched again
    if sha256 and digest != sha256.lower():
        hint = f"Pin {digest}, or delete {place} to fetch it again."
        raise ContentError(f"what was fetched before has the sha256 {digest}, not the pinned one", where=url, hint=hint)
    return path


def _suffix(url: str, at: str, kind: str) -> str:
    """Return the format by what the server says, or by the address's ending where it says nothing useful."""
    endings = [suffix_of(unquote(urlsplit(address).path)) for address in (at, url)]
    named = next((ending for ending in endings if ending in FORMATS), "")
    if kind in _TYPES and not (kind == "text/plain" and named):
        return _TYPES[kind]
    if named and kind in ("", "text/plain", "application/octet-stream", "binary/octet-stream", "text/x-markdown"):
        return named
    hint = f"Readable are {', '.join(sorted(FORMATS))}; save it as one of them beside the qna.yaml."
    raise ContentError(f"is of the type {kind[:60] or '(none)'}, which cannot be read", where=url, hint=hint)


# -- the way there -----------------------------------------------------------------------------------------------


def _check(url: str, trust: Trust) -> tuple[str, int]:
    """Return (host, port) of an acceptable address.

    Raises:
        RefusedError: it is not https, holds a password, or is written to be read differently by different programs.
    """
    hint = "For example https://example.org/handbook.pdf."
    schemes = ("https", "http") if trust.plain else ("https",)
    odd = len(url) > 2000 or not url.isascii() or not url.isprintable() or re.search(r"[\s\\<>\"^`{|}]", url)
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise RefusedError(f"{url[:80]!r} is not an https address", where=url[:200], hint=hint) from None
    if odd or parts.scheme not in schemes or not host:
        raise RefusedError(f"{url[:80]!r} is not an https address", where=url[:200], hint=hint)
    if "@" in parts.netloc:
        raise RefusedError("an address must not hold a user name or password", where=url[:200], hint=hint)
    return host, port


def _addresses(host: str, port: int, trust: Trust, url: str) -> list[str]:
    """Return the numbers that a host's name stands for, all of them public.

    Raises:
        RefusedError: one of them is not.
        MachineError: the name cannot be looked up.
    """
    try:
        found = list(
            dict.fromkeys(str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        )
    except (OSError, UnicodeError):
        hint = "Is the network there? Is the address right? A document beside the qna.yaml needs no network."
        raise MachineError(f"the name {host} cannot be looked up", where=url, hint=hint) from None
    for text in found:
        number = ipaddress.ip_address(text.partition("%")[0])
        number = getattr(number, "ipv4_mapped", None) or getattr(number, "sixtofour", None) or number
        if not trust.private and (not number.is_global or number.is_multicast):
            hint = "Documents are fetched from public addresses only; put the file beside the qna.yaml."
            raise RefusedError(f"{host} is {text}, an address that is not public", where=url, hint=hint)
    return found


def _download(
    url: str, write: Callable[[bytes], Any], max_bytes: int, timeout_s: float, trust: Trust
) -> tuple[str, str, str]:
    """Write what is at `url`; return (where it was in the end, its type, its sha256)."""
    import httpx

    verify = trust.certificates or httpx.create_ssl_context()
    with httpx.Client(verify=verify, trust_env=False, timeout=timeout_s, follow_redirects=False) as client:
        for _ in range(MAX_REDIRECTS + 1):
            request = _request(client, url, trust)
            try:
                response = client.send(request, stream=True)
                try:
                    if response.is_redirect:
                        url = urljoin(url, response.headers.get("location", ""))
                        continue
                    digest = _copy(response, write, max_bytes, url)
                    return url, response.headers.get("content-type", "").partition(";")[0].strip().lower(), digest
                finally:
                    response.close()
            except httpx.HTTPError as error:
                hint = "Is the network there? Try again later, or put the file beside the qna.yaml."
                said = f"{type(error).__name__}: {str(error)[:200]}"
                raise MachineError(f"could not be fetched ({said})", where=url, hint=hint) from None
    raise ContentError(f"redirects more than {MAX_REDIRECTS} times", where=url, hint="Name the last address.")


def _request(client: Any, url: str, trust: Trust) -> Any:
    """Return a request that connects to the number that was checked, and still speaks of the name."""
    import httpx

    host, port = _check(url, trust)
    number = _addresses(host, port, trust, url)[0]
    names = {"Host": httpx.URL(url).netloc.decode(), "Accept-Encoding": "identity", "User-Agent": "homeroom"}
    return client.build_request(
        "GET", httpx.URL(url).copy_with(host=number), headers=names, extensions={"sni_hostname": host}
    )


def _copy(response: Any, write: Callable[[bytes], Any], max_bytes: int, url: str) -> str:
    if response.status_code != 200:
        hint = "Open the address in a browser: it may have moved, or need a login, which is not supported."
        raise ContentError(f"the server answered {response.status_code}", where=url, hint=hint)
    size, digest, end = 0, hashlib.sha256(), time.monotonic() + MAX_SECONDS
    for part in response.iter_raw(1 << 16):
        size += len(part)
        if size > max_bytes:
            hint = "Raise documents.max_mib in recipe.yaml, or name a smaller file."
            raise ContentError(f"is larger than {max_bytes / 2**20:g} MiB", where=url, hint=hint)
        if time.monotonic() > end:
            raise MachineError(f"took longer than {MAX_SECONDS:g} s", where=url, hint="Try again later.")
        digest.update(part)
        write(part)
    return digest.hexdigest()
