"""Files out of a git repository that a stranger may have named.

One bare repository an address, kept in the caller's cache, shallow and without file contents (`--depth=1`,
`--filter=blob:none`); names come from `git ls-tree` and contents from `git cat-file`, so that nothing is ever checked
out: no hooks, no filters, no symbolic links, no submodules. Addresses and commits are checked before git sees them,
the transport is on an allow-list, a pack has a largest size, and nothing can ask for a password.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from homeroom.core import network
from homeroom.core.errors import ContentError, MachineError
from homeroom.core.types import content_id

PROTOCOLS = ("https", "ssh", "file")  # a server that takes contributions should leave "file" out
TIMEOUT_S = 600.0
MAX_NAMES_BYTES = 64 * 2**20  # of the listing of one commit
MAX_PACK_BYTES = 2**30  # of what one fetch may bring
_ALL_HISTORY = "--depth=2147483647"  # git's own word for it

_COMMIT = re.compile(r"[0-9A-Za-z_][0-9A-Za-z_./-]{0,199}")
_HASH = re.compile(r"[0-9a-f]{7,64}")
_NO_SUCH = re.compile(r"not our ref|find remote ref|no such remote ref|unadvertised object|bad object", re.IGNORECASE)
_SCP = re.compile(r"([A-Za-z0-9_][\w.-]*)@([A-Za-z0-9][\w.-]*):([^:\s-][^:\s]*)")


@dataclass(frozen=True, slots=True)
class Commit:
    """One commit of a clone, and the regular files in it."""

    clone: Path
    hash: str
    blobs: dict[str, str]  # name -> object id
    protocols: tuple[str, ...]


def open_commit(
    address: str, commit: str, *, cache: Path, protocols: Sequence[str] = PROTOCOLS, where: str = ""
) -> Commit:
    """Return a commit of the repository at `address`, fetched into `cache` unless it is there.

    A full or shortened hash that is there needs no network; a branch or tag is looked up anew each time. Only the one
    commit is fetched, but for a shortened hash, which only the whole history can tell.

    Raises:
        ContentError: the address, protocol or commit is not acceptable, or does not exist.
        MachineError: git is missing, took too long, or the network is away.
        RefusedError: it is not in the cache, and private mode does not allow its host.
    """
    check_address(address, protocols=protocols, where=where)
    if not _COMMIT.fullmatch(commit) or ".." in commit or commit.endswith((".lock", "/", ".")):
        hint = "Give the full hash (40 digits) of a commit; a branch or tag works too, but may move."
        raise ContentError(f"the commit {commit[:80]!r} is not a hash, branch or tag", where=where, hint=hint)
    allowed = tuple(protocols) if _may_call(address) else ()
    clone = cache / "git" / content_id(address)
    if not (clone / "HEAD").is_file():
        _prepare(address, clone, allowed, where)
    is_hash = _HASH.fullmatch(commit) is not None
    found = _find(clone, commit, allowed) if is_hash else ""
    if not found:
        if not allowed:
            network.refuse_unless_allowed(_host(address), where=where or address)
        found = _fetch(clone, commit, allowed, where)
    if not found:
        hint = "Check the hash; was the commit pushed? A branch or tag works too."
        raise ContentError(f"{address} has no commit {commit}", where=where, hint=hint)
    listing = _git(["ls-tree", "-r", "-z", "--full-tree", found], clone, allowed, where)
    if len(listing) > MAX_NAMES_BYTES:
        raise ContentError(f"{address} holds too many files", where=where)
    blobs = {}
    for entry in listing.decode("utf-8", "replace").split("\0"):
        facts, tab, name = entry.partition("\t")
        if tab and facts.startswith("100"):  # regular files; links and submodules are no documents
            blobs[name] = facts.split()[2]
    return Commit(clone, found, blobs, allowed)


def read_blobs(commit: Commit, names: Sequence[str], *, max_bytes: int, where: str = "") -> dict[str, bytes]:
    """Return the contents of files of a commit; a file over `max_bytes` is cut after `max_bytes + 1`.

    Raises:
        MachineError: a content is not there and cannot be fetched.
    """
    ids = [commit.blobs[name] for name in names]
    _fetch_blobs(commit, ids)
    contents = {}
    for name, blob in zip(names, ids, strict=True):
        size = int(_git(["cat-file", "-s", blob], commit.clone, commit.protocols, where))
        raw = _git(["cat-file", "blob", blob], commit.clone, commit.protocols, where) if size <= max_bytes else None
        contents[name] = b"\0" * (max_bytes + 1) if raw is None else raw
    return contents


def check_address(address: str, *, protocols: Sequence[str] = PROTOCOLS, where: str = "") -> None:
    """Refuse an address that git could take for an option or a command, that holds a password, or is of another kind.

    Raises:
        ContentError: with what is accepted.
    """
    hint = "For example https://github.com/org/repository.git or git@github.com:org/repository.git."
    if len(address) > 1000 or not address.isprintable() or re.search(r"\s", address) or address.startswith("-"):
        raise ContentError(f"{address[:80]!r} is not a git address", where=where, hint=hint)
    if "://" not in address and _SCP.fullmatch(address):
        protocol, host, path, password = "ssh", _SCP.fullmatch(address)[2], "", None
    else:
        try:
            url = urlsplit(address)
            protocol, host, path, password = url.scheme, url.hostname or "", url.path, url.password
        except ValueError:
            raise ContentError(f"{address[:80]!r} is not a git address", where=where, hint=hint) from None
    if "::" in address or protocol not in protocols:
        accepted = ", ".join(protocols)
        raise ContentError(f"the protocol of {address[:80]!r} is not one of: {accepted}", where=where, hint=hint)
    if password is not None or (protocol == "https" and "@" in address.split("/")[2]):
        message = "a git address must not hold a user name or password"
        raise ContentError(message, where=where, hint="Remove it here, and use git's credential helper or an SSH key.")
    if protocol != "file" and (not re.fullmatch(r"[A-Za-z0-9\[][\w.:\[\]-]*", host) or path.startswith("/-")):
        raise ContentError(f"{address[:80]!r} names no host", where=where, hint=hint)


def _may_call(address: str) -> bool:
    return address.startswith("file://") or network.is_allowed(_host(address))


def _host(address: str) -> str:
    match = _SCP.fullmatch(address) if "://" not in address else None
    return match[2] if match else urlsplit(address).hostname or ""


# -- git itself --------------------------------------------------------------------------------------------------


def _prepare(address: str, clone: Path, protocols: tuple[str, ...], where: str) -> None:
    """Make an empty repository that knows its address; it appears in the cache whole or not at all."""
    clone.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".clone-", dir=clone.parent))
    try:
        bare = temporary / "bare"
        _git(["init", "--quiet", "--bare", "--template=", str(bare)], None, protocols, where)
        _git(["remote", "add", "origin", address], bare, protocols, where)
        try:
            os.replace(bare, clone)
        except OSError:
            if not (clone / "HEAD").is_file():  # else another process was faster
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _find(clone: Path, commit: str, protocols: tuple[str, ...]) -> str:
    try:
        name = ["rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"]
        return _git(name, clone, protocols, "").decode().strip()
    except (ContentError, MachineError):
        return ""


def _fetch(clone: Path, commit: str, protocols: tuple[str, ...], where: str) -> str:
    """Fetch one commit and return its hash; "" where the repository has none of that name."""
    fetch = ["fetch", "--quiet", "--filter=blob:none", "--no-recurse-submodules", "--no-tags", "--force"]
    kept = f"refs/homeroom/{commit}"
    is_hash = _HASH.fullmatch(commit) is not None
    if not is_hash or len(commit) >= 40:
        try:
            _git([*fetch, "--depth=1", "origin", f"+{commit}:{kept}"], clone, protocols, where, fetches=True)
            return _find(clone, kept, protocols)
        except ContentError as error:
            if not _NO_SUCH.search(error.message):
                raise
            if len(commit) < 40:
                return ""
    # a shortened hash, or a server that gives no commit by its hash: all branches and tags
    refs = ["+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*"]
    _git([*fetch, _ALL_HISTORY, "origin", *refs], clone, protocols, where, fetches=True)
    return _find(clone, commit, protocols)


def _fetch_blobs(commit: Commit, ids: list[str]) -> None:
    """Fetch many contents in one exchange; where a server cannot, `cat-file` gets them one by one."""
    arguments = ["rev-list", "--objects", "--missing=print", "--no-object-names", f"{commit.hash}^{{tree}}"]
    listed = _git(arguments, commit.clone, commit.protocols, "").decode().split()
    missing = sorted({line[1:] for line in listed if line.startswith("?")} & set(ids))
    if len(missing) > 1:
        fetch = ["-c", "fetch.negotiationAlgorithm=noop", "fetch", "--quiet", "origin", "--no-tags"]
        fetch += ["--no-write-fetch-head", "--recurse-submodules=no", "--filter=blob:none", "--stdin"]
        try:
            given = "".join(f"{m}\n" for m in missing).encode()
            _git(fetch, commit.clone, commit.protocols, "", given=given, fetches=True)
        except (ContentError, MachineError):
            return


def _git(
    arguments: list[str],
    clone: Path | None,
    protocols: tuple[str, ...],
    where: str,
    *,
    given: bytes = b"",
    fetches: bool = False,
) -> bytes:
    settings = ["core.hooksPath=/dev/null", "core.fsmonitor=false", "gc.auto=0", "maintenance.auto=false"]
    settings += ["submodule.recurse=0", "fetch.unpackLimit=1", "core.askPass=true"]
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name == "GIT_SSL_CAINFO"
    }
    environment |= {
        "GIT_ALLOW_PROTOCOL": ":".join(protocols),
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "true",
        "SSH_ASKPASS": "true",
        "GIT_SSH_COMMAND": "ssh -o BatchMode=yes",
        "GIT_NO_REPLACE_OBJECTS": "1",
        "LC_ALL": "C",
    }
    safe = [part for setting in settings for part in ("-c", setting)]
    command = ["git", *safe, *([f"--git-dir={clone}"] if clone else []), *arguments]
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
            start_new_session=True,  # so that helpers die with it
            preexec_fn=_limit_size if fetches else None,
        )
    except FileNotFoundError:
        raise MachineError("git is not installed", where=where, hint="Install git, or use a local folder.") from None
    try:
        out, errors = process.communicate(given, timeout=TIMEOUT_S)
    except BaseException as error:
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        if isinstance(error, subprocess.TimeoutExpired):
            raise MachineError(
                f"git took longer than {TIMEOUT_S:.0f} s", where=where, hint="Try again later."
            ) from None
        raise
    if process.returncode:
        raise _failure(errors.decode("utf-8", "replace"), where)
    return out


def _limit_size() -> None:
    """In the child: no file larger than a pack may be; git's own limits are for servers only."""
    import resource

    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_PACK_BYTES, MAX_PACK_BYTES))


def _failure(errors: str, where: str) -> ContentError | MachineError:
    lines = [line.strip() for line in errors.splitlines() if line.strip()]
    said = next((line for line in lines if line.startswith(("fatal:", "error:", "ERROR:"))), lines[-1] if lines else "")
    said = "".join(c if c.isprintable() else "?" for c in said)[:300]
    if re.search(r"signal 25|index-pack (output|failed|died)|File (size limit|too large)|unable to write", errors):
        hint = "Copy the documents beside the qna.yaml, or name a smaller repository."
        return ContentError(f"the repository is larger than {MAX_PACK_BYTES:,} bytes", where=where, hint=hint)
    if re.search(r"resolve host|unable to access|timed out|Connection|early EOF|unreachable", errors):
        hint = "Is the network there? Is the address right? A document beside the qna.yaml needs no network."
        return MachineError(f"git cannot reach the repository ({said})", where=where, hint=hint)
    hint = "Check the address, and that git can read it here without asking for a password."
    return ContentError(f"git cannot read the repository ({said})", where=where, hint=hint)
