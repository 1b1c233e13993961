"""Checkpoints: a run that was killed at any moment goes on, and ends with the weights it would have had anyway.

    out/checkpoints/step-000120/   state.safetensors (weights, AdamW)   cursor.json (step, counts, made from what)

A checkpoint is written beside its place and renamed when complete; the newest few are kept, so one that a power cut
tore still leaves the one before. There is no random state to keep: the order of the data is a function of the seed and
the step, and the student trains without dropout.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from homeroom.core.errors import ContentError, HomeroomError, MachineError
from homeroom.core.files import free_gib, from_json, read_json, write_json
from homeroom.train.weights import Weights

FORMAT = 1
STATE, CURSOR = "state.safetensors", "cursor.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where a run stands."""

    made_from: str  # hash of data, student, settings; another run's checkpoint is not picked up
    step: int = 0  # updates made
    tokens: int = 0  # that went through the student
    seconds: float = 0.0  # of training, pauses left out
    format: int = FORMAT


@contextlib.contextmanager
def writing_to(folder: Path) -> Iterator[None]:
    """Turn a disk that is full, failing or read-only into an error that says so.

    Raises:
        MachineError: in the place of an `OSError` that is not ours.
    """
    try:
        yield
    except HomeroomError:  # some of ours are OSErrors too
        raise
    except OSError as error:
        raise MachineError(
            f"cannot be written to ({error.strerror or error})",
            where=str(error.filename or folder),
            hint="Make room, or put the course where you may write, and run again: it goes on from its checkpoint.",
        ) from error


def save_checkpoint(folder: Path, weights: Weights, cursor: Cursor, *, keep: int = 2) -> None:
    """Write a checkpoint, whole or not at all, and drop all but the newest `keep`.

    Raises:
        MachineError: the disk is full; the checkpoints that were there are still there.
    """
    tensors = {name: tensor.contiguous().cpu() for name, tensor in weights.state().items()}
    needed = sum(tensor.nbytes for tensor in tensors.values()) / 2**30
    if free_gib(folder) < needed * 1.05:
        raise MachineError(
            f"a checkpoint needs {needed:.1f} GiB, and the disk has {free_gib(folder):.1f} GiB left",
            where=str(folder),
            hint="Make room and run again: it goes on from the last checkpoint.",
        )
    place = folder / f"step-{cursor.step:06d}"
    temporary = folder / f".{place.name}.part"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    try:
        save_file(tensors, temporary / STATE)
        with (temporary / STATE).open("rb+") as file:
            os.fsync(file.fileno())
        write_json(temporary / CURSOR, asdict(cursor))
    except (OSError, SafetensorError) as error:
        shutil.rmtree(temporary, ignore_errors=True)
        raise MachineError(
            f"a checkpoint could not be written ({error})",
            where=str(folder),
            hint="Make room and run again: it goes on from the last checkpoint.",
        ) from None
    shutil.rmtree(place, ignore_errors=True)
    temporary.rename(place)
    for old in _all(folder)[keep:]:
        shutil.rmtree(old, ignore_errors=True)


def load_checkpoint(folder: Path, weights: Weights, made_from: str) -> Cursor:
    """Set `weights` to the newest whole checkpoint of the same run; return where it stands, or the beginning.

    Checkpoints of another run (other data, student or settings) are removed: they only take room.
    """
    for leftover in folder.glob(".step-*.part"):
        shutil.rmtree(leftover, ignore_errors=True)
    for place in _all(folder):
        try:
            cursor = from_json(Cursor, read_json(place / CURSOR))
            if cursor.made_from == made_from and cursor.format == FORMAT:
                weights.load_state(load_file(place / STATE))
                return cursor
        except (ContentError, SafetensorError, OSError, KeyError, RuntimeError):
            pass  # torn by a power cut: the one before is tried
        shutil.rmtree(place, ignore_errors=True)
    return Cursor(made_from=made_from)


def _all(folder: Path) -> list[Path]:
    """Return the checkpoints, newest first."""
    return sorted((path for path in folder.glob("step-*") if path.is_dir()), reverse=True)
