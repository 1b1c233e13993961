"""What a page is given and what it gives back: plain values, so that a page is a function that a test can call."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from homeroom.core.errors import HomeroomError, MachineError

if TYPE_CHECKING:
    from homeroom.web.desk import Desk
    from homeroom.web.store import Person, Session


class NotFound(HomeroomError):
    """There is no such page, or not for this person."""

    exit_code = 2


class Login(HomeroomError):
    """Nobody is logged in."""


class Busy(MachineError):
    """Too many want the same at once."""


def number(text: str, default: int = 0, *, digits: int = 9) -> int:
    """Return what a visitor wrote as a whole number, or `default` for anything else, and for one that is too long.

    Example:
        >>> number("12"), number("-1"), number("²"), number("9" * 5_000, -1)
        (12, 0, 0, -1)
    """
    return int(text) if text.isdecimal() and len(text) <= digits else default


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A file that was sent with a form."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request, checked."""

    desk: Desk
    session: Session | None
    person: Person | None  # None only on pages that are open to all
    path: dict[str, str]
    query: dict[str, str]
    form: dict[str, str] = field(default_factory=dict)
    chosen: dict[str, list[str]] = field(default_factory=dict)  # fields that come several times
    files: dict[str, Upload] = field(default_factory=dict)
    language: str = "en"
    address: str = ""  # "" where it is not known, as behind a proxy
    is_part: bool = False  # a script asks for a part of the page
    after: int = 0  # the last event that a stream's reader has seen

    @property
    def who(self) -> Person:
        """The person, on pages that have one."""
        assert self.person is not None
        return self.person

    def get(self, name: str, default: str = "") -> str:
        """Return a field of the form, else of the address."""
        return self.form.get(name, self.query.get(name, default))


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A template with its values; as JSON, the values without what only a page needs."""

    template: str
    values: dict[str, Any]
    status: int = 200
    only_page: tuple[str, ...] = ()  # values that are left out of JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Go:
    """Another page to go to, with a sentence to show there."""

    to: str
    said: str = ""
    token: str = ""  # of a session that begins here
    leaves: bool = False  # the session ends here
    language: str = ""
    values: dict[str, Any] = field(default_factory=dict)  # for JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """Bytes to hand out."""

    content: bytes
    kind: str
    name: str = ""  # to save it under; "" shows it
    policy: str = ""  # a content security policy of its own
