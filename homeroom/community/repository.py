"""A course's own git repository, worked on by plumbing: no checkout, no hook, no network, nobody's configuration.

A contribution is a commit made from blobs in an index of its own, so files that somebody is editing in the course are
never touched. An approved one is merged in memory; then, and only if no file that it changes was changed on disk, the
course's files follow. Names go to git on standard input or behind `--end-of-options`, never through a shell.
"""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from homeroom.core.contributions import MAX_FILE_BYTES, check_name
from homeroom.core.errors import ContentError, MachineError, RefusedError

TIMEOUT_S = 60.0
BRANCH = "refs/heads/contribution/"
MAX_PATCH, MAX_PATCH_FILES = 3 * 2**20, 20
TRACKED = ("knowledge", "compositional_skills", "recipe.yaml", "exam.jsonl", "samples.decisions.jsonl")
UNTRACKED = "out/\ncontributions/\n.homeroom/\n"

_COMMIT = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_ID = re.compile(r"[0-9a-f]{12}")


class Conflict(RefusedError):
    """The course has moved on where the contribution changes it."""


def open_repository(course: Path) -> str:
    """Return the commit that the course is at; where it has no repository of its own, make one of what is there.

    Raises:
        MachineError: git is missing, or cannot write there.
    """
    if not (course / ".git").exists():
        _git(course, "init", "--quiet", "--initial-branch=main", own=False)
    if (course / ".git").is_dir():
        exclude = course / ".git" / "info" / "exclude"
        exclude.parent.mkdir(exist_ok=True)
        if not exclude.is_file() or ".homeroom/" not in exclude.read_text(encoding="utf-8", errors="replace"):
            with exclude.open("a", encoding="utf-8") as file:
                file.write(UNTRACKED)
    head = head_of(course)
    if not head:
        names = [name for name in TRACKED if (course / name).exists()]
        if names:
            _git(course, "add", "--", *names)
        who = _identity("Homeroom", "homeroom@localhost")
        _git(course, "commit", "--quiet", "--allow-empty", "--no-verify", "-m", "The course as it was", env=who)
        head = head_of(course)
    return head


def head_of(course: Path, id: str = "") -> str:
    """Return the commit of the course, or of a contribution's branch; "" where there is none."""
    name = f"{BRANCH}{_checked(id)}" if id else "HEAD"
    found = _git(course, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False)
    text = found.decode("ascii", "replace").strip()
    return text if _COMMIT.fullmatch(text) else ""


def commit_files(
    course: Path,
    id: str,
    changes: Mapping[str, str],
    *,
    message: str,
    name: str,
    email: str,
) -> str:
    """Commit files (name -> text) to a contribution's branch, begun from the course as it is, and return the commit.

    A branch that was begun before the course went on is begun anew: on the old one it could never be merged.
    """
    base = open_repository(course)
    before = head_of(course, id)
    parent = before if before and base_of(course, before) == base else base
    with tempfile.TemporaryDirectory() as temporary:
        env = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        _git(course, "read-tree", parent, env=env)
        lines = []
        for file, text in sorted(changes.items()):
            blob = _git(course, "hash-object", "-w", "--no-filters", "--stdin", stdin=text.encode()).decode().strip()
            lines.append(f"100644 {blob}\t{file}\0")
        _git(course, "update-index", "-z", "--add", "--index-info", env=env, stdin="".join(lines).encode())
        tree = _git(course, "write-tree", env=env).decode().strip()
    who = _identity(name, email)
    made = _git(course, "commit-tree", tree, "-p", parent, stdin=message.encode(), env=who).decode().strip()
    _git(course, "update-ref", f"{BRANCH}{_checked(id)}", made, before or "0" * len(made))
    return made


def merge(course: Path, id: str, commit: str, *, message: str, name: str, email: str) -> str:
    """Merge exactly this commit of a contribution into the course, files and all, and return the merge.

    Raises:
        RefusedError: the branch is no longer at `commit`: somebody changed it after it was looked at.
        Conflict: the course, or a file on disk, has changed in the same place.
    """
    head = open_repository(course)
    if head_of(course, id) != commit or not _COMMIT.fullmatch(commit):
        hint = "Look at it again: what was approved is not what is there now."
        raise RefusedError("this was changed after you looked at it", where=id, hint=hint)
    merged = _git(course, "merge-tree", "--write-tree", "--no-messages", head, commit, check=False)
    tree = merged.decode("utf-8", "replace").strip().split("\n")[0]
    if not _COMMIT.fullmatch(tree) or not _is_clean(course, head, commit):
        hint = "Ask its author to open it again: it is then based on what is there now."
        raise Conflict("the course has changed in the same place meanwhile", where=id, hint=hint)
    _git(course, "update-index", "-q", "--refresh", check=False)
    steps = ["read-tree", "-m", "-u", head, tree]
    if _git(course, *steps, "-n", check=False, code=True) != b"0":
        hint = "Somebody edited it in the course's folder: record that change, or take it back."
        raise Conflict("a file of this place was changed on the server's disk", where=id, hint=hint)
    _git(course, *steps)
    text = message.encode()
    made = _git(course, "commit-tree", tree, "-p", head, "-p", commit, stdin=text, env=_identity(name, email))
    new = made.decode().strip()
    _git(course, "update-ref", "HEAD", new, head)
    return new


def _is_clean(course: Path, head: str, commit: str) -> bool:
    return _git(course, "merge-tree", "--write-tree", "--no-messages", head, commit, check=False, code=True) == b"0"


def base_of(course: Path, commit: str) -> str:
    """Return the commit of the course that a contribution began from, also where it is part of the course by now."""
    if not _COMMIT.fullmatch(commit):
        return ""
    since = ("rev-list", "--topo-order", "--reverse", "--merges", "--ancestry-path", f"{commit}..HEAD")
    merges = _git(course, *since, check=False).decode("ascii", "replace").split()
    before = f"{merges[0]}^1" if merges else "HEAD"  # as the course was before it was taken in
    found = _git(course, "merge-base", before, commit, check=False).decode("ascii", "replace").strip()
    return found if _COMMIT.fullmatch(found) else ""


def patch_of(course: Path, commit: str) -> bytes:
    """Return a contribution as a patch that `git am` takes, for those who carry it elsewhere."""
    base = base_of(course, commit)
    if not base or not _COMMIT.fullmatch(commit):
        raise ContentError("there is nothing to export", where=commit[:12])
    return _git(course, "format-patch", "--stdout", "--no-signature", "--no-renames", f"{base}..{commit}")


def read_patch(course: Path, content: bytes) -> dict[str, str]:
    """Return the files that a patch would leave in the course, name -> text; nothing is written but loose objects.

    Raises:
        ContentError: it is no patch, is too large, does not fit the course as it is, or changes anything but the plain
            text of one leaf: a link, a mode, a binary, a file that is removed or lies elsewhere.
    """
    if len(content) > MAX_PATCH or b"\0" in content or b"GIT binary patch" in content:
        raise ContentError("is too large for a contribution, or holds more than text")
    head = open_repository(course)
    with tempfile.TemporaryDirectory() as temporary:
        env = {"GIT_INDEX_FILE": str(Path(temporary) / "index")}
        _git(course, "read-tree", head, env=env)
        apply = ("apply", "--cached", "--whitespace=nowarn", "-")
        if _git(course, *apply, env=env, stdin=content, check=False, code=True) != b"0":
            hint = "It may be damaged, or made for another state of the course."
            raise ContentError("does not fit this course", hint=hint)
        raw = _git(course, "diff-index", "--cached", "--raw", "--no-renames", "-z", head, env=env)
    found = raw.decode("utf-8", "surrogateescape").split("\0")[:-1]
    changed = dict(zip(found[1::2], found[0::2], strict=True))
    if not changed or len(changed) > MAX_PATCH_FILES or len({n.rpartition("/")[0] for n in changed}) > 1:
        raise ContentError("changes nothing, or more than one topic")
    return {name: _patched(course, name, about) for name, about in changed.items()}


def _patched(course: Path, name: str, about: str) -> str:
    """Return the text that a line of `diff-index --raw` names."""
    before, mode, _, blob, what = about.lstrip(":").split(" ")
    check_name(name)
    if mode != "100644" or before not in ("000000", "100644") or what not in ("A", "M"):
        raise ContentError("changes more than the text of files", where=name[:80])
    if int(_git(course, "cat-file", "-s", blob)) > MAX_FILE_BYTES:
        raise ContentError(f"larger than {MAX_FILE_BYTES:,} bytes", where=name[:80])
    try:
        return _git(course, "cat-file", "blob", blob).decode("utf-8")
    except UnicodeDecodeError:
        raise ContentError("is not UTF-8", where=name[:80]) from None


# -- git ---------------------------------------------------------------------------------------------------------------


def _checked(id: str) -> str:
    if not _ID.fullmatch(id):
        raise ContentError(f"{id[:40]!r} is no contribution")
    return id


def _identity(name: str, email: str) -> dict[str, str]:
    def clean(text: str, otherwise: str) -> str:
        return re.sub(r"[<>\x00-\x1f\x7f]", "", text).strip(" .,:;\"'") or otherwise

    who = {"NAME": clean(name, "Somebody"), "EMAIL": clean(email, "nobody@localhost")}
    return {f"GIT_{role}_{key}": value for role in ("AUTHOR", "COMMITTER") for key, value in who.items()}


_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.quotePath=false",
    "core.autocrlf=false",
    "core.attributesFile=/dev/null",
    "commit.gpgSign=false",
    "protocol.allow=never",
    "gc.auto=0",
)


def _git(
    course: Path,
    *arguments: str,
    stdin: bytes = b"",
    env: Mapping[str, str] | None = None,
    check: bool = True,
    own: bool = True,
    code: bool = False,
) -> bytes:
    """Run git on the course's own repository and return what it wrote, or its exit code as text with `code`."""
    command = ["git", "--no-pager", "-C", str(course)]
    if own:  # never the repository that the course happens to lie in
        command += [f"--git-dir={course / '.git'}", f"--work-tree={course}"]
    for setting in _SETTINGS:
        command += ["-c", setting]
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    quiet = {
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        "LC_ALL": "C.UTF-8",
    }
    try:
        done = subprocess.run(
            [*command, *arguments],
            input=stdin,
            capture_output=True,
            env=kept | quiet | dict(env or {}),
            timeout=TIMEOUT_S,
            check=False,
        )
    except FileNotFoundError:
        raise MachineError("git is not installed", hint="Install git 2.38 or newer.") from None
    except subprocess.TimeoutExpired:
        raise MachineError("git took too long", where=str(course)) from None
    if code:
        return str(done.returncode).encode()
    if check and done.returncode:
        said = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise MachineError(f"git could not do it ({said})", where=str(course))
    return done.stdout
