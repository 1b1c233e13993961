"""Files over the network: from an address, resumed and bounded, and from the Hugging Face hub."""

from __future__ import annotations

import fnmatch
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

from homeroom.core import network
from homeroom.core.errors import MachineError
from homeroom.models.catalog import Source

HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja", "LICENSE*", "README.md"]  # no code, no pickles


def fetch_url(url: str, part: Path, *, size_bytes: int, on_bytes: Callable[[int, str], None]) -> str:
    """Download `url` onto the end of what `part` already has, and return the sha256 of the whole.

    Raises:
        MachineError: it could not be had, or is larger than `size_bytes`.
        RefusedError: private mode is on, and the host is not allowed.
    """
    network.refuse_unless_allowed(urlsplit(url).hostname or "", where=url)
    import httpx

    digest = hashlib.sha256()
    if part.is_file() and part.stat().st_size < size_bytes:
        with part.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256")
        have = part.stat().st_size
    else:
        have = 0
    try:
        ranged = {"Range": f"bytes={have}-"} if have else {}
        with httpx.stream("GET", url, headers=ranged, follow_redirects=True, timeout=60) as response:
            response.raise_for_status()
            if have and response.status_code != 206:  # the server sends it all again
                have, digest = 0, hashlib.sha256()
            with part.open("ab" if have else "wb") as file:
                for block in response.iter_bytes(2**20):
                    have += len(block)
                    if have > size_bytes:
                        raise MachineError(f"more than the {size_bytes:,} bytes that the catalog says", where=url)
                    file.write(block)
                    digest.update(block)
                    on_bytes(have, "")
    except httpx.HTTPError as error:
        raise MachineError(f"could not be downloaded ({error})", where=url) from None
    return digest.hexdigest()


def fetch_hub(source: Source, folder: Path) -> str:
    """Download one file, or weights, tokenizer and settings, of a hub repository into `folder`; return its commit.

    Raises:
        MachineError: huggingface_hub is missing, or the hub could not be reached or has no such thing.
        RefusedError: private mode is on, and the hub is not allowed.
    """
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    network.refuse_unless_allowed(urlsplit(hub).hostname or hub, where=str(source))
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    try:
        from huggingface_hub import HfApi, snapshot_download
    except ImportError:
        hint = "pip install 'homeroom[train]'"
        raise MachineError("huggingface_hub is not installed", where=str(source), hint=hint) from None
    patterns = [source.file] if source.file else HUB_FILES
    try:
        info = HfApi().model_info(source.hub, revision=source.revision)
        names = [file.rfilename for file in info.siblings or []]
        wanted = [name for name in names if any(fnmatch.fnmatch(name, pattern) for pattern in patterns)]
        snapshot_download(source.hub, revision=info.sha, local_dir=folder, allow_patterns=wanted or patterns)
    except Exception as error:  # the hub's HTTP library, and with it the classes of its errors, differs by version
        reason = " ".join(str(error).split())[:300]
        raise MachineError(f"could not be downloaded ({reason})", where=str(source)) from None
    # Without a network snapshot_download returns a folder that is half full as if it were whole.
    missing = [name for name in wanted if not (folder / name).is_file()] if wanted else patterns
    if missing:
        raise MachineError(f"the repository did not give {', '.join(missing[:5])}", where=str(source))
    return str(info.sha)
