"""What can go wrong, as a person meets it: where, what, and how to mend it.

HomeroomError                  exit code 1
├── UsageError (ValueError)            2   a wrong argument or option
├── ContentError (ValueError)          3   a faulty qna.yaml, document, exam or recipe
├── MachineError (RuntimeError)        4   memory, disk, network, a model that is missing
├── RefusedError (PermissionError)     5   a policy or a gate says no
└── StageError (RuntimeError)          1   a stage ran and did not give what it must
"""

from __future__ import annotations


class HomeroomError(Exception):
    """An error whose message a person can act on.

    Args:
        message: What is wrong, in one sentence.
        where: File and line, address, or setting it is about.
        hint: How to mend it.
    """

    exit_code = 1

    def __init__(self, message: str, *, where: str = "", hint: str = "") -> None:
        self.message, self.where, self.hint = message, where, hint
        text = f"{where}: {message}" if where else message
        super().__init__(f"{text}\n  -> {hint}" if hint else text)


class UsageError(HomeroomError, ValueError):
    """A command was called in a way it does not understand."""

    exit_code = 2


class ContentError(HomeroomError, ValueError):
    """A file that a person wrote, or gave, is not valid."""

    exit_code = 3


class MachineError(HomeroomError, RuntimeError):
    """This machine cannot do it now: memory, disk, network, or a model that is missing."""

    exit_code = 4


class RefusedError(HomeroomError, PermissionError):
    """A policy or a gate says no."""

    exit_code = 5


class StageError(HomeroomError, RuntimeError):
    """A stage ran, and what it gave is not good enough to go on with."""


def no_torch() -> MachineError:
    """Return what is said where the student is needed and torch is not installed."""
    return MachineError(
        "torch is not installed, and the student needs it",
        hint="make setup installs the build that fits this machine; elsewhere: pip install torch, the CPU build where "
        "there is no GPU. What was done is kept.",
    )
