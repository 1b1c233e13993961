"""A fault in a file that a person wrote: where it is, what is wrong, how to mend it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One fault. An error keeps its leaf out of the course; a warning does not."""

    file: str  # relative to the path that was given, with forward slashes
    line: int  # from 1
    column: int  # from 1, in characters
    code: str  # stable name, for scripts: "too-few", "unknown-key", ...
    message: str
    hint: str = ""
    severity: Literal["error", "warning"] = "error"


class Placed(Protocol):
    """What has a place in a file: a YAML mark, whose line and column count from 0."""

    line: int
    column: int


@dataclass(slots=True)
class Faults:
    """Gathers the problems of one file; at most 200, so that a hostile file cannot fill a screen or the memory."""

    file: str
    found: list[Problem] = field(default_factory=list)

    LIMIT = 200

    def error(self, at: Placed | None, code: str, message: str, hint: str = "") -> None:
        """Add an error; `at` None means the beginning of the file."""
        self._add(at, code, message, hint, "error")

    def warning(self, at: Placed | None, code: str, message: str, hint: str = "") -> None:
        """Add a warning."""
        self._add(at, code, message, hint, "warning")

    @property
    def has_error(self) -> bool:
        """Whether the file is refused."""
        return any(p.severity == "error" for p in self.found)

    def _add(
        self, at: Placed | None, code: str, message: str, hint: str, severity: Literal["error", "warning"]
    ) -> None:
        if len(self.found) > self.LIMIT or (len(self.found) == self.LIMIT and severity == "warning"):
            return
        line, column = (at.line + 1, at.column + 1) if at is not None else (1, 1)
        if len(self.found) == self.LIMIT:
            code, message, hint = "too-many", "there are more faults; they are not listed", "Mend these first."
        self.found.append(
            Problem(file=self.file, line=line, column=column, code=code, message=message, hint=hint, severity=severity)
        )
