"""Words in the reader's language: gettext catalogues (`locale/<language>.po`), read as they are, with no build step.

English is written in the code. A text that a catalogue lacks stays English; a test keeps the catalogues complete.
What goes wrong is said by every part of Homeroom, so its messages have a catalogue of their own (`errors.de.po`).
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path

LANGUAGES = {"en": "English", "de": "Deutsch"}
_KNOWN = (*LANGUAGES, *(f"errors.{name}" for name in LANGUAGES))
_FOLDER = Path(__file__).parent / "locale"


@cache
def catalogue(language: str) -> dict[str, str]:
    """Return English -> the language's text; `{}` for English."""
    path = _FOLDER / f"{language}.po"
    return read_po(path.read_text(encoding="utf-8")) if language in _KNOWN and path.is_file() else {}


def read_po(text: str) -> dict[str, str]:
    r"""Return the entries of a gettext catalogue, without its header and without plural forms.

    Example:
        >>> read_po('msgid "Save"\nmsgstr ""\n"Sich"\n"ern"\n')
        {'Save': 'Sichern'}
    """
    found: dict[str, str] = {}
    entry = {"msgid": "", "msgstr": ""}
    key = ""
    for line in [*text.splitlines(), 'msgid ""']:
        word, _, rest = line.partition(" ")
        if word in entry:
            if word == "msgid":
                if entry["msgid"]:
                    found[entry["msgid"]] = entry["msgstr"]
                entry = {"msgid": "", "msgstr": ""}
            key, line = word, rest
        if line.startswith('"') and key:
            entry[key] += ast.literal_eval(line)
    return found


def translator(language: str) -> Callable[..., str]:
    """Return a function from English, with %(name)s for values, to the language."""
    words = catalogue(language)

    def translate(text: str, **values: object) -> str:
        found = words.get(text) or text
        return found % values if values else found

    return translate


def sayer(language: str) -> Callable[[str], str]:
    """Return a function from a whole message of ours in English, values and all, to the language.

    Errors are made where nobody knows the reader, with their values in them, so a message is recognised by its words;
    one that no pattern knows (what another program said) stays as it is.

    Example:
        >>> sayer("de")("too many tries: wait 4 s")
        'zu viele Versuche: warten Sie 4 s'
    """
    words, plain, patterns = catalogue(language), catalogue(f"errors.{language}"), _patterns(language)

    def say(text: str) -> str:
        known = plain.get(text) or words.get(text)
        if known or not text or len(text) > 2_000:
            return known or text
        for pattern, said in patterns:
            if found := pattern.fullmatch(text):
                return said % found.groupdict()
        return text

    return say


@cache
def _patterns(language: str) -> list[tuple[re.Pattern[str], str]]:
    """Return the messages with values, those with the most words of their own first."""
    found = []
    for text, said in catalogue(f"errors.{language}").items():
        parts = re.split(r"%\((\w+)\)s", text)
        if len(parts) > 1:
            pattern = "".join(re.escape(p) if n % 2 == 0 else f"(?P<{p}>.{{1,400}}?)" for n, p in enumerate(parts))
            found.append((sum(map(len, parts[::2])), re.compile(pattern, re.S), said))
    return [(pattern, said) for _, pattern, said in sorted(found, key=lambda f: -f[0])]


def choose(wanted: str, accepted: str) -> str:
    """Return the language to use: the one a person chose, else the first that their browser asks for and we have.

    Example:
        >>> choose("", "fr;q=0.9, de-AT, en;q=0.5"), choose("en", "de"), choose("xx", "")
        ('de', 'en', 'en')
    """
    if wanted in LANGUAGES:
        return wanted
    asked = []
    for part in accepted[:200].split(","):
        name, _, weight = part.strip().partition(";q=")
        try:
            asked.append((-float(weight or 1), name.split("-")[0].lower()))
        except ValueError:
            continue
    return next((name for _, name in sorted(asked, key=lambda a: a[0]) if name in LANGUAGES), "en")
