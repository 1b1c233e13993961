"""The phases of a recipe in a row: each begins with the student that the one before made.

    out/<phase>/ config.json metrics.jsonl made.json record.json    ->    model_out/ (Hugging Face folder)

A finished phase has a record and is skipped next time, if what it made still lies there: phases of another list write
to the same place. The last thing a phase does is to write its record.
"""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import homeroom
from homeroom.core.config import Phase, Train
from homeroom.core.errors import ContentError, UsageError
from homeroom.core.files import (
    Record,
    from_json,
    hash_value,
    read_json,
    read_record,
    why_stale,
    write_json,
    write_record,
)
from homeroom.core.types import Progress, Sample, no_progress
from homeroom.train.loop import TrainResult, hash_student, train

FORMAT = 1
KIND = "run"
MADE = "made.json"  # the digest of the student that a phase made


def samples_for(phase: Phase, samples: Sequence[Sample]) -> list[Sample]:
    """Return what a phase reads: its own sort of samples, replay, and a share of the rest, spread evenly over it.

    Example:
        >>> told = [Sample(id=leaf, kind="direct", leaf=leaf) for leaf in ("knowledge/a", "compositional_skills/b")]
        >>> [sample.leaf for sample in samples_for(Phase(data="skills"), told)]
        ['compositional_skills/b']
    """
    if not 0 <= phase.earlier_share <= 1:
        raise UsageError(f"earlier_share is {phase.earlier_share:g}, not from 0 to 1", where="train.phases")
    if phase.data == "all":
        return list(samples)
    own = {"knowledge": "knowledge/", "skills": "compositional_skills/"}[phase.data]
    rest = [n for n, s in enumerate(samples) if s.kind != "replay" and not s.leaf.startswith(own)]
    count = round(phase.earlier_share * len(rest))
    again = {rest[n * len(rest) // count] for n in range(count)}
    return [s for n, s in enumerate(samples) if s.kind == "replay" or s.leaf.startswith(own) or n in again]


def train_phases(
    student_path: Path,
    samples_by_phase: Mapping[str, Sequence[Sample]],
    *,
    config: Train,
    out: Path,
    model_out: Path,
    progress: Progress = no_progress,
) -> list[TrainResult]:
    """Run every phase that is not up to date and write the tuned student to `model_out`.

    Args:
        student_path: Hugging Face folder or GGUF file of the base.
        samples_by_phase: What to learn, under the name of the phase.
        config: The phases in order, seed and dtype.
        out: Gets one folder a phase.
        model_out: The finished student; replaced when complete.
        progress: Told the tokens read of the phase that runs.

    Raises:
        ContentError: a phase has no samples.
        UsageError: there is no phase, or two of one name.
    """
    names = [phase.name for phase in config.phases]
    if not names or len(set(names)) < len(names):
        raise UsageError(f"training needs phases with names of their own, not {names}", where="train.phases")
    results, student = [], student_path
    for phase in config.phases:
        if not samples_by_phase.get(phase.name):
            raise ContentError(f"there are no samples for the phase {phase.name!r}")
        folder, is_last = out / phase.name, phase is config.phases[-1]
        made = model_out if is_last else folder / "final"
        wanted = _record(phase, config, student, samples_by_phase[phase.name])
        if why_stale(folder, wanted) == "" and _is_of(folder, made):
            results.append(from_json(TrainResult, read_record(folder).summary))
        else:
            results.append(_run(phase, config, student, samples_by_phase[phase.name], folder, made, wanted, progress))
        student = made
    return results


def _run(
    phase: Phase,
    config: Train,
    student: Path,
    samples: Sequence[Sample],
    folder: Path,
    made: Path,
    wanted: Record,
    progress: Progress,
) -> TrainResult:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "record.json").unlink(missing_ok=True)
    write_json(folder / "config.json", wanted.config | dataclasses.asdict(phase))
    result = train(student, samples, phase=phase, seed=config.seed, dtype=config.dtype, out=folder, progress=progress)
    if made != folder / "final":
        replace_folder(folder / "final", made)
    write_json(folder / MADE, {"student": hash_student(made)})
    shutil.rmtree(folder / "checkpoints", ignore_errors=True)
    summary = dataclasses.asdict(result)
    write_record(folder, dataclasses.replace(wanted, seconds=result.seconds, summary=summary))
    return result


def _is_of(folder: Path, made: Path) -> bool:
    """Tell whether a student is what the phase of this folder made: another list of phases writes to the same place."""
    if not ((folder / MADE).is_file() and (made / "config.json").is_file()):
        return False
    return read_json(folder / MADE) == {"student": hash_student(made)}


def _record(phase: Phase, config: Train, student: Path, samples: Sequence[Sample]) -> Record:
    settings = {**dataclasses.asdict(phase.decisive()), "seed": config.seed, "dtype": config.dtype}
    return Record(
        kind=KIND,
        format=FORMAT,
        inputs={"samples": hash_value(list(samples)), "student": hash_student(student)},
        config=settings,
        code=homeroom.__version__,
    )


def replace_folder(new: Path, place: Path) -> None:
    """Move a finished folder to its place; what was there goes when the new one is in."""
    place.parent.mkdir(parents=True, exist_ok=True)
    old = place.with_name(f".{place.name}.old")
    shutil.rmtree(old, ignore_errors=True)
    if place.exists():
        place.rename(old)
    shutil.move(new, place)
    shutil.rmtree(old, ignore_errors=True)
