"""Templates into HTML: autoescaped, in the reader's language, with the few filters that pages share."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from homeroom.web.asked import Ask, Page
from homeroom.web.translate import LANGUAGES, sayer, translator

_HERE = Path(__file__).parent


def render(ask: Ask, page: Page) -> str:
    """Return a page's HTML."""
    said = ask.desk.store.take_said(ask.session) if ask.session and not ask.is_part else ""
    return (
        _environment()
        .get_template(page.template)
        .render(
            _=translator(ask.language),
            say=sayer(ask.language),
            language=ask.language,
            languages=LANGUAGES,
            person=ask.person,
            csrf=ask.session.csrf if ask.session else "",
            said=said,
            is_part=ask.is_part,
            version=version(),
            page_name=page.template.removesuffix(".html"),
            **page.values,
        )
    )


def part(template: str, language: str, **values: Any) -> Markup:
    """Return a part of a page that many requests share."""
    return Markup(_environment().get_template(template).render(_=translator(language), say=sayer(language), **values))


@cache
def version() -> str:
    """Return a digest of the static files, so that a browser keeps them until they change."""
    files = sorted(p for p in (_HERE / "static").iterdir() if p.is_file())
    return hashlib.sha256(b"".join(p.read_bytes() for p in files)).hexdigest()[:12]


@cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    environment.filters |= {
        "count": lambda n: f"{n:,}".replace(",", "\u202f") if isinstance(n, int) else n,
        "clock": clock,
        "date": date,
        "percent": lambda share: "–" if share is None else f"{100 * share:.0f}\u202f%",
        "r": lambda n: f"{n:.1f}".removesuffix(".0"),
        "leafname": lambda place: place.rsplit("/", 1)[-1].replace("-", " ").replace("_", " "),
        "shown": shown,
        "short": lambda text, most=160: text if len(text) <= most else text[:most].rstrip() + " …",
    }
    return environment


def clock(seconds: float | None) -> str:
    """Return a duration for people.

    Example:
        >>> clock(7.4), clock(1057), clock(7260), clock(None)
        ('7 s', '18 min', '2 h 1 min', '–')
    """
    if seconds is None:
        return "–"
    if seconds < 90:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


def date(moment: float | str) -> str:
    """Return a day and time for people, of seconds or ISO 8601."""
    try:
        found = (
            datetime.fromtimestamp(moment, UTC) if isinstance(moment, int | float) else datetime.fromisoformat(moment)
        )
    except (ValueError, OverflowError, OSError):
        return ""
    return found.astimezone().strftime("%Y-%m-%d %H:%M")


def shown(text: Any) -> str:
    """Return a name with what cannot be seen written out, so that nothing can be hidden in it or turn a line around."""
    text = str(text)
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n" else f"\\u{ord(c):04x}" for c in text)
