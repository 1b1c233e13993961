"""Files as the stages use them: JSON lines, atomic writes, hashes, records, locks, and checks at the door.

A folder with `record.json` is complete. The record is written last and names what went in (name -> hash), so that
"is this up to date?" is a comparison of two small dictionaries, and the answer says which input changed.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import functools
import hashlib
import json
import os
import secrets
import shutil
import types as _types
import typing
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TextIO, TypeVar

from homeroom.core.errors import ContentError, MachineError, RefusedError

RECORD = "record.json"
RESUMING = "resuming what was begun"  # what `why_stale` says of a folder without a record
PART = ".part"  # the end of the name of a file that is still being written
T = TypeVar("T")


# -- hashes ------------------------------------------------------------------------------------------------------


def hash_file(path: Path) -> str:
    """Return the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hash_value(value: Any) -> str:
    """Return the sha256 of a JSON value or of (nested) dataclasses, independent of the order of keys."""
    return hashlib.sha256(json.dumps(to_json(value), sort_keys=True, ensure_ascii=True).encode()).hexdigest()


def hash_folder(folder: Path, pattern: str = "**/*") -> str:
    """Return one hash over the names and contents of the files below `folder` that match, records left out."""
    files = sorted(p for p in folder.glob(pattern) if p.is_file() and p.name != RECORD)
    return hash_value([[p.relative_to(folder).as_posix(), hash_file(p)] for p in files])


# -- values <-> JSON ---------------------------------------------------------------------------------------------


def to_json(value: Any) -> Any:
    """Turn dataclasses and tuples into plain JSON values; fields that still hold their default are left out."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        out = {}
        for f in dataclasses.fields(value):
            item = getattr(value, f.name)
            if item != f.default and not (f.default_factory is not dataclasses.MISSING and item == f.default_factory()):
                out[f.name] = to_json(item)
        return out
    if isinstance(value, dict):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, Path):
        return value.as_posix()
    return value


def from_json(kind: type[T], value: Any, *, where: str = "") -> T:
    """Build a dataclass from parsed JSON or YAML, naming every fault at once.

    Raises:
        ContentError: unknown or missing fields, or a value of another type; unknown names get the nearest known one.
    """
    faults: list[str] = []
    built = _build(kind, value, "", faults)
    if faults:
        raise ContentError("; ".join(faults), where=where, hint="Correct the fields named above.")
    return built


def _build(kind: Any, value: Any, path: str, faults: list[str]) -> Any:
    origin, args = typing.get_origin(kind), typing.get_args(kind)
    here = path or "value"
    if kind is Any:
        return value
    if origin in (typing.Union, _types.UnionType):
        if value is None and type(None) in args:
            return None
        return _build(next(a for a in args if a is not type(None)), value, path, faults)
    if origin is typing.Literal:
        if value not in args:
            faults.append(f"{here} is {value!r}, but must be one of {', '.join(map(str, args))}")
        return value
    if origin in (tuple, list):
        if not isinstance(value, list | tuple):
            faults.append(f"{here} must be a list, not {_kind_of(value)}")
            return ()
        return origin(_build(args[0], v, f"{here}[{i}]", faults) for i, v in enumerate(value))
    if origin is dict:
        if not isinstance(value, dict):
            faults.append(f"{here} must be a mapping, not {_kind_of(value)}")
            return {}
        return dict(value)
    if dataclasses.is_dataclass(kind):
        return _build_dataclass(kind, value, path, faults)
    if kind is float and isinstance(value, int | str) and not isinstance(value, bool):
        with contextlib.suppress(ValueError, OverflowError):
            return float(value)  # YAML reads 1e-4 as text
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        faults.append(f"{here} must be {kind.__name__}, not {_kind_of(value)}")
    return value


def _build_dataclass(kind: Any, value: Any, path: str, faults: list[str]) -> Any:
    if not isinstance(value, dict):
        faults.append(f"{path or kind.__name__} must be a mapping, not {_kind_of(value)}")
        return None
    known, hints = _fields_of(kind)
    prefix = f"{path}." if path else ""
    for name in value:
        if name not in known:
            faults.append(f"{prefix}{name} is not a known key{nearest(str(name), known)}")
    given = {n: _build(hints[n], v, f"{prefix}{n}", faults) for n, v in value.items() if n in known}
    for name, f in known.items():
        required = f.default is dataclasses.MISSING and f.default_factory is dataclasses.MISSING
        if required and name not in value:
            faults.append(f"{prefix}{name} is missing")
    return None if faults else kind(**given)


@functools.cache  # asking for the types is what takes longest of reading a line
def _fields_of(kind: Any) -> tuple[dict[str, dataclasses.Field[Any]], dict[str, Any]]:
    return {f.name: f for f in dataclasses.fields(kind)}, typing.get_type_hints(kind)


def nearest(name: str, known: Iterable[str]) -> str:
    """Return " (did you mean x?)" for the known name most like `name`, or all names, ready for a message."""
    import difflib

    names = list(known)
    close = difflib.get_close_matches(name, names, n=1, cutoff=0.5)
    return f" (did you mean {close[0]}?)" if close else f" (known: {', '.join(sorted(names))})"


def _kind_of(value: Any) -> str:
    return {type(None): "nothing", dict: "a mapping", list: "a list", str: "text"}.get(type(value), repr(value))


# -- reading and writing -----------------------------------------------------------------------------------------


def write_text(path: Path, text: str) -> None:
    """Write a file so that a reader, or a crash, sees the old content or the new, never half.

    Raises:
        MachineError: the disk is full.
    """
    _write_parts(path, (text,))


def _write_parts(path: Path, parts: Iterable[str]) -> None:
    """Write texts one after the other into one file, atomically."""
    with _part_of(path) as file:
        file.writelines(parts)


@contextlib.contextmanager
def _part_of(path: Path) -> Iterator[TextIO]:
    """Yield a file that becomes `path` when the block ends, and is gone after an error.

    Raises:
        MachineError: the disk is full; what was there before is still there, and nothing half is left.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PART}")  # threads may write the same file
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("w+", encoding="utf-8") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            hint = "Free some space; what was finished is kept, and the same command goes on from there."
            raise MachineError("the disk is full", where=str(path), hint=hint) from None
        raise


def clear_parts(folder: Path, pattern: str) -> None:
    """Remove what writes that were interrupted left behind in the folders that match `pattern`."""
    for path in folder.glob(f"{pattern}/.*{PART}"):
        path.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document, indented, atomically."""
    write_text(path, json.dumps(to_json(value), ensure_ascii=False, indent=2) + "\n")


def read_json(path: Path) -> Any:
    """Read one JSON document.

    Raises:
        ContentError: the file is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ContentError("the file does not exist", where=str(path)) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ContentError(f"not valid JSON ({error})", where=str(path)) from None


def write_jsonl(path: Path, rows: Iterable[Any]) -> None:
    """Write one JSON object a line, atomically."""
    _write_parts(path, (json.dumps(to_json(row), ensure_ascii=False) + "\n" for row in rows))


class Rows:
    """Values that go to a file one by one, and can be read back before it is finished."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def add(self, row: Any) -> None:
        """Write one value as a line."""
        self._file.write(json.dumps(to_json(row), ensure_ascii=False) + "\n")

    def read(self, kind: type[T] = dict) -> Iterator[T]:
        """Yield what was added so far; nothing may be added until the last one was drawn."""
        self._file.flush()
        self._file.seek(0)
        for line in self._file:
            value = json.loads(line)
            yield value if kind is dict else from_json(kind, value)


@contextlib.contextmanager
def jsonl_rows(path: Path) -> Iterator[Rows]:
    """Yield a place for values, one a line; the file is there, whole, when the block ends without an error."""
    with _part_of(path) as file:
        yield Rows(file)


def read_jsonl(path: Path, kind: type[T] = dict) -> list[T]:
    """Read one value of `kind` a line; blank lines are skipped.

    Raises:
        ContentError: naming each faulty line (the first ten).
    """
    rows, faults = [], []
    try:
        # Not splitlines: that would also cut at U+2028, which JSON allows inside a string.
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ContentError("the file does not exist", where=str(path)) from None
    except UnicodeDecodeError as error:
        raise ContentError(f"not UTF-8 text ({error})", where=str(path)) from None
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            rows.append(value if kind is dict else from_json(kind, value))
        except (json.JSONDecodeError, ContentError) as error:
            faults.append(f"line {number}: {getattr(error, 'message', error)}")
    if faults:
        raise ContentError("; ".join(faults[:10]), where=str(path), hint="Each line must be one JSON object.")
    return rows


# -- records -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """What a finished folder holds and what it was made from."""

    kind: str
    format: int  # version of the folder's files; an upgrade raises it
    inputs: dict[str, str] = field(default_factory=dict)  # name -> hash
    config: dict[str, Any] = field(default_factory=dict)
    code: str = ""  # homeroom's version
    seconds: float = 0.0  # over all the runs that it took
    spent: dict[str, Any] = field(default_factory=dict)  # the teacher's calls and tokens in them
    summary: dict[str, Any] = field(default_factory=dict)


def read_record(folder: Path) -> Record | None:
    """Return the record of a finished folder, or None where the folder is not finished."""
    path = folder / RECORD
    return from_json(Record, read_json(path), where=str(path)) if path.is_file() else None


def write_record(folder: Path, record: Record) -> None:
    """Mark a folder as finished. Call it last."""
    write_json(folder / RECORD, dataclasses.asdict(record))


def why_stale(folder: Path, wanted: Record) -> str:
    """Say in a few words why `folder` must be made (again), or "" when it is up to date.

    Raises:
        RefusedError: the folder was written by another format version, which this code cannot vouch for.
    """
    have = read_record(folder)
    if have is None:
        return RESUMING if folder.is_dir() and any(folder.iterdir()) else "not made yet"
    if have.format != wanted.format:
        raise RefusedError(
            f"was written in format {have.format}, this version of Homeroom reads format {wanted.format}",
            where=str(folder),
            hint="Use the version that wrote it, or move the folder away to make it anew.",
        )
    changed = [n for n in sorted(set(have.inputs) | set(wanted.inputs)) if have.inputs.get(n) != wanted.inputs.get(n)]
    settings = [n for n in sorted(set(have.config) | set(wanted.config)) if have.config.get(n) != wanted.config.get(n)]
    return "; ".join(
        part
        for part in (
            f"changed: {', '.join(changed)}" * bool(changed),
            f"setting: {', '.join(settings)}" * bool(settings),
        )
        if part
    )


# -- locks and space ---------------------------------------------------------------------------------------------


@contextlib.contextmanager
def lock_folder(folder: Path) -> Iterator[None]:
    """Hold a folder for this process; the lock goes with the process, however it ends.

    Raises:
        RefusedError: another process holds it.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise RefusedError(
                f"another run is at work here (process {file.read().strip() or 'unknown'})",
                where=str(folder),
                hint="Wait until it ends, or stop it; both would write the same files.",
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def free_gib(path: Path) -> float:
    """Return the free disk space, in GiB, where `path` is or will be."""
    while not path.exists():
        path = path.parent
    return shutil.disk_usage(path).free / 2**30
