"""`homeroom`: the group of commands, how errors become messages and exit codes, and how progress is shown."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
from typing import Any, NoReturn

import click

import homeroom
from homeroom.core.errors import HomeroomError, no_torch

COMMANDS = {  # name -> (module in this folder, one line of help); the help is here so that --help imports nothing
    "init": "a course from an example",
    "check": "every fault of a taxonomy, with its place and how to mend it",
    "tree": "the taxonomy with its documents, authors and gaps",
    "diff": "the leaves that were added, changed, moved or removed since a commit or another folder",
    "draft": "a first qna.yaml from a document, for a person to read",
    "plan": "what a run would do, and how long it takes on this machine",
    "run": "all stages: from the taxonomy to the report",
    "generate": "the stages up to the training data",
    "audit": "are the checks of the training data any good on this course?",
    "why": "where a sample comes from, or why it was thrown out",
    "train": "the stages up to the tuned student",
    "evaluate": "examine a course's student, or any model on any exam",
    "report": "what a run showed, or two runs side by side",
    "chat": "talk to a student, or to base and tuned side by side",
    "correct": "a wrong answer becomes a contribution",
    "serve": "answer over the OpenAI API",
    "web": "the page where anyone can teach the model",
    "worker": "do the jobs that the page puts in line",
    "export": "samples or student in the form that another program reads",
    "models": "list, pull and verify models",
    "doctor": "what this machine has, what is missing, what would be used",
}
INTERRUPTED, TERMINATED = 130, 6


class Commands(click.Group):
    """A group that imports a command's file when the command is named."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order in which people meet them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import a command."""
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f"homeroom.cli.{cmd_name}"), cmd_name)

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        """Find the command, or name the nearest one."""
        from homeroom.core.files import nearest

        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"there is no command {args[0]!r}{nearest(args[0], COMMANDS)}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(homeroom.__version__, prog_name="homeroom")
def cli() -> None:
    """Teach a small language model what you know, and see whether it learned.

    Start with: homeroom init my-course --example insurance, then homeroom run my-course.
    """


def main() -> None:
    """Run the command line; every error of ours becomes a message and its exit code."""
    signal.signal(signal.SIGTERM, _terminated)
    try:
        code = cli.main(standalone_mode=False)
        sys.exit(code if isinstance(code, int) else 0)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        end_line()
        click.echo("Stopped. The same command goes on from here.", err=True)
        _leave(INTERRUPTED)
    except HomeroomError as error:
        _fail(error)
    except ModuleNotFoundError as error:
        if error.name != "torch":
            raise
        _fail(no_torch())
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)


def _fail(error: HomeroomError) -> NoReturn:
    end_line()
    show(f"error: {error}", err=True)
    sys.exit(error.exit_code)


def _terminated(number: int, frame: object) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    end_line()
    click.echo("Stopped by SIGTERM. The same command goes on from here.", err=True)
    raise SystemExit(TERMINATED)


def _leave(code: int) -> None:
    sys.stdout.flush()
    sys.exit(code)


# -- progress ----------------------------------------------------------------------------------------------------

_state: dict[str, Any] = {"stage": "", "began": 0.0, "from": 0.0, "shown": 0.0, "open": False}


def show_progress(stage: str, done: float, total: float, note: str = "") -> None:
    """Draw one line of progress with the time that is left; on a log file, one line every 30 seconds."""
    now, terminal = time.monotonic(), can_redraw(sys.stderr)
    part = min(1.0, done / total) if total else 0.0
    if stage != _state["stage"] or part < _state["from"]:
        _state.update({"stage": stage, "began": now, "from": part, "shown": 0.0})
    if now - _state["shown"] < (0.2 if terminal else 30) and part < 1:
        return
    _state["shown"] = now
    moved = part - _state["from"]
    left = (now - _state["began"]) / moved * (1 - part) if moved > 0.005 else None
    eta = f"{_span(left)} left" if left is not None else "measuring"
    bar = "█" * round(20 * part) + "░" * (20 - round(20 * part)) if terminal else ""
    line = f"{stage:<10}{bar} {part:4.0%}  {eta:<12} {printable(note)}"
    if terminal:
        width = os.get_terminal_size(sys.stderr.fileno()).columns
        click.echo("\r\033[K" + line[: width - 1], nl=False, err=True)
        _state["open"] = True
    else:
        click.echo(line, err=True)


def can_redraw(stream: Any) -> bool:
    """Say whether a line can be written over there: a terminal, and none that says it is dumb."""
    return bool(stream.isatty()) and os.environ.get("TERM", "dumb") not in ("", "dumb")


def say(text: str) -> None:
    """Write one line to stderr, below any line of progress."""
    end_line()
    show(text, err=True)


def show(text: str, *, err: bool = False) -> None:
    """Print a text that others had a part in: a teacher, a document, a contribution."""
    click.echo(printable(text), err=err)


def printable(text: str) -> str:
    r"""Return a text with what could steer a terminal made visible.

    Example:
        >>> printable("red" + chr(27) + "[31m")
        'red\\x1b[31m'
    """
    kept = "\n\t\u200c\u200d"  # the last two join letters, in Persian as in emoji
    return "".join(c if c.isprintable() or c in kept or (c.isspace() and c > "\x9f") else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


def end_line() -> None:
    """End a line of progress that is still open."""
    if _state["open"]:
        click.echo("", err=True)
        _state["open"] = False


def _span(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def print_json(value: Any) -> None:
    """Print one JSON object on stdout."""
    import json

    click.echo(json.dumps(value, ensure_ascii=False, indent=2))


if __name__ == "__main__":
    main()
