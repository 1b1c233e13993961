"""One job, as a program: settings on standard input, JSON lines on standard output (see `jobs/worker.py`).

Not a command for people: `homeroom worker` and `homeroom web` start it. It ends as soon as its input closes, so that
nothing outlives who started it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from homeroom.core.errors import HomeroomError

GRACE_S = 20.0  # to stop in order, when the input closes
EVERY_S = 0.5  # progress is told at most so often


def main() -> None:
    """Do the job that standard input names, and exit as the contract says."""
    told = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # libraries print where they like
    job = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_input, daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(6))

    def tell(**value: Any) -> None:
        told.write(json.dumps(value, ensure_ascii=False) + "\n")
        told.flush()

    try:
        tell(result=KINDS[job["kind"]](job["spec"], tell))
    except KeyboardInterrupt:
        os._exit(130)
    except HomeroomError as error:
        tell(error=error.message, hint=error.hint, where=error.where)
        sys.exit(error.exit_code)


def _end_with_input() -> None:
    while sys.stdin.readline():
        continue
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE_S)
    os._exit(6)


def _progress(tell: Callable[..., None], stages: tuple[str, ...]) -> Callable[..., None]:
    """Return a `Progress` that tells the stage, its part, the time it still takes, and the part of the whole job."""
    state = {"stage": "", "began": 0.0, "from": 0.0, "told": 0.0}

    def progress(stage: str, done: float, total: float, note: str = "") -> None:
        now, part = time.monotonic(), min(1.0, done / total) if total else 0.0
        if stage != state["stage"] or part < state["from"]:
            state.update({"stage": stage, "began": now, "from": part, "told": 0.0})
        if now - state["told"] < EVERY_S and part < 1:
            return
        state["told"] = now
        moved = part - state["from"]
        left = (now - state["began"]) / moved * (1 - part) if moved > 0.005 else None
        before = stages.index(stage) if stage in stages else 0
        whole = (before + part) / max(1, len(stages))
        tell(progress={"stage": stage, "part": part, "left_s": left, "note": note, "whole": round(whole, 4)})

    return progress


def _run(spec: dict[str, Any], tell: Callable[..., None]) -> Any:
    from homeroom.pipeline.course import open_course
    from homeroom.pipeline.plan import fit, seconds_of
    from homeroom.pipeline.run import STAGES, run

    course = open_course(Path(spec["folder"]), tuple(spec.get("options", ())))
    course.progress, course.say = _progress(tell, STAGES), lambda text: tell(say=text)
    if spec.get("budget"):
        course = fit(course, seconds_of(spec["budget"]))
    return run(course)


def _draft(spec: dict[str, Any], tell: Callable[..., None]) -> Any:
    from homeroom.author.draft import draft_in

    folder, document = Path(spec["folder"]), Path(spec["document"])
    written = folder / spec["leaf"] / "qna.yaml"
    written.unlink(missing_ok=True)  # of a job that was stopped after it
    made = draft_in(
        document,
        spec["leaf"],
        folder,
        options=tuple(spec.get("options", ())),
        progress=_progress(tell, ("draft",)),
        say=lambda text: tell(say=text),
    )
    return {"passages": [asdict(p) for p in made.passages], "sections": made.sections, "rejected": dict(made.rejected)}


def _preview(spec: dict[str, Any], tell: Callable[..., None]) -> Any:
    from homeroom.author.draft import exams_of
    from homeroom.community import trial

    folder = _laid_out(spec)
    exam = exams_of(Path(spec["of"]))
    progress = _progress(tell, ("documents", "facts", "samples"))
    return trial.preview(folder, exam=exam, options=_options(spec), progress=progress, say=lambda text: tell(say=text))


def _trial(spec: dict[str, Any], tell: Callable[..., None]) -> Any:
    from homeroom.author.draft import exams_of
    from homeroom.community import trial
    from homeroom.pipeline.run import STAGES

    folder = _laid_out(spec)
    leaves = (
        (spec["leaf"],) if spec["leaf"].startswith("knowledge/") else (spec["leaf"], "")
    )  # "": of no leaf, a skill's
    exam = list({q.id: q for q in exams_of(Path(spec["of"])) if q.leaf in leaves}.values())
    progress = _progress(tell, STAGES)
    return trial.trial(folder, exam=exam, options=_options(spec), progress=progress, say=lambda text: tell(say=text))


def _laid_out(spec: dict[str, Any]) -> Path:
    from homeroom.community.trial import lay_out

    folder = Path(spec["folder"])
    lay_out(Path(spec["of"]), spec["leaf"], spec["commit"], folder)
    return folder


def _options(spec: dict[str, Any]) -> tuple[str, ...]:
    return tuple(spec.get("options", ()))


def _answer(spec: dict[str, Any], tell: Callable[..., None]) -> Any:
    from homeroom.models.torch_engine import TorchEngine
    from homeroom.pipeline.course import fetch_student, recipe_of
    from homeroom.pipeline.made import as_made
    from homeroom.serve.server import serve

    folder = Path(spec["folder"])
    models = {"base": TorchEngine(fetch_student(as_made(folder, recipe_of(folder, _options(spec))).student.model))}
    if (folder / "out" / "model" / "config.json").is_file():
        models["tuned"] = TorchEngine(folder / "out" / "model")
    serve(models, port=0, api_key=spec["key"], on_ready=lambda url, key: tell(url=url, models=list(models)))
    return None


KINDS: dict[str, Callable[[dict[str, Any], Callable[..., None]], Any]] = {
    "run": _run,
    "draft": _draft,
    "preview": _preview,
    "trial": _trial,
    "answer": _answer,
}


if __name__ == "__main__":
    main()
