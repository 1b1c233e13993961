"""`attribution.txt`: where the words of a leaf come from, and whether their licence lets them be taught.

InstructLab asks for the file and never reads it. Here its five lines are read (several works may follow each other),
and a licence that the course does not allow is said. Which ones are allowed is a setting: `taxonomy.licences`.

    Title of work: Tonsil
    Link to work: https://en.wikipedia.org/wiki/Tonsil
    Revision: https://en.wikipedia.org/w/index.php?oldid=1
    License of the work: CC-BY-SA-4.0
    Creator names: Wikipedia authors
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from homeroom.core.types import Leaf
from homeroom.taxonomy.parse import Place
from homeroom.taxonomy.problem import Faults

MAX_BYTES = 100_000
_LABELS = {
    "title of work": "title",
    "title": "title",
    "link to work": "link",
    "link": "link",
    "revision": "revision",
    "link to a specific revision": "revision",
    "license of the work": "licence",
    "licence of the work": "licence",
    "license": "licence",
    "licence": "licence",
    "creator names": "creators",
    "creators name": "creators",
    "creator name": "creators",
    "creators": "creators",
}
_WANTED = {"title": "Title of work", "licence": "License of the work", "creators": "Creator names"}
_LINE = re.compile(r"\s*[-*]?\s*([A-Za-z][A-Za-z ]{2,40}?)\s*:[ \t]*(.*)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """One work that a leaf rests on; "" is a line that is missing or empty, "-" one that does not apply."""

    line: int  # of its first line, from 0
    title: str = ""
    link: str = ""
    revision: str = ""
    licence: str = ""  # as written; `spdx` makes an identifier of it
    creators: str = ""


def parse_attribution(text: str) -> list[Work]:
    r"""Return the works that a text names, in order; a label that comes again begins the next one.

    Example:
        >>> [work] = parse_attribution("Title of work: Tonsil\nLicense of the work: MIT\n")
        >>> work.title, work.licence, work.creators
        ('Tonsil', 'MIT', '')
    """
    works: list[Work] = []
    seen: set[str] = set()
    for number, line in enumerate(text.split("\n")):
        found = _LINE.match(line)
        name = _LABELS.get(found[1].lower()) if found else None
        if not found or name is None:
            continue
        if not works or name in seen:
            works.append(Work(line=number))
            seen = set()
        seen.add(name)
        works[-1] = replace(works[-1], **{name: found[2].strip()})
    return works


def spdx(licence: str) -> str:
    """Return the SPDX identifier that a licence's name stands for, as well as it can be told; else the name.

    Example:
        >>> [spdx(name) for name in ("CC BY-SA 4.0", "Apache License, Version 2.0", "mit", "public domain", "eula")]
        ['CC-BY-SA-4.0', 'Apache-2.0', 'MIT', 'CC-PDDC', 'eula']
    """
    name = " ".join(licence.replace(",", " ").split()).strip(" .")
    plain = re.sub(r"(?i)\b(the|licen[sc]e|version|international|unported)\b|\bv(?=\d)", " ", name)
    plain = re.sub(r"\(.*?\)", " ", plain).strip(" .")
    plain = re.sub(r"(?i)creative commons", "CC", plain)
    for word, short in (("attribution", "BY"), ("share[- ]?alike", "SA"), ("non[- ]?commercial", "NC"), ("zero", "0")):
        plain = re.sub(f"(?i){word}", short, plain)
    key = re.sub(r"[\s_-]+", "-", plain).strip("-").lower().replace("cc-0", "cc0")
    return _KNOWN.get(key, name)


_IDS = """
Apache-2.0 MIT BSD-2-Clause BSD-3-Clause ISC CC0-1.0 CC-PDDC CDLA-Permissive-1.0 CDLA-Permissive-2.0
CDLA-Sharing-1.0 CC-BY-3.0 CC-BY-4.0 CC-BY-SA-3.0 CC-BY-SA-4.0 CC-BY-NC-3.0 CC-BY-NC-4.0 CC-BY-NC-SA-4.0
CC-BY-NC-ND-4.0 CC-BY-ND-4.0 GFDL-1.3-only GFDL-1.3-or-later GPL-2.0-only GPL-3.0-only GPL-3.0-or-later
LGPL-3.0-only AGPL-3.0-only MPL-2.0 OGL-UK-3.0 ODbL-1.0 ODC-By-1.0 Unlicense 0BSD EUPL-1.2
""".split()  # noqa: SIM905 - a table reads better than a line a name
_KNOWN = {name.lower(): name for name in _IDS} | {
    "public-domain": "CC-PDDC",
    "cc0": "CC0-1.0",
    "apache2": "Apache-2.0",
    "open-government-3.0": "OGL-UK-3.0",
}


def licence_fault(licence: str, allowed: Collection[str]) -> str:
    """Return why a licence is not one of those that the course allows, "" if it is; `A OR B` lets one choose.

    Example:
        >>> licence_fault("CC BY 4.0", ["CC-BY-4.0"]), licence_fault("eula", ["MIT"])
        ('', "the licence 'eula' is not an SPDX identifier")
    """
    names = [spdx(part) for part in re.split(r"(?i)\s+or\s+", licence)]
    known = {name.lower() for name in allowed}
    if any(name.lower() in known for name in names):
        return ""
    if not any(name.lower() in _KNOWN for name in names):
        return f"the licence {licence[:60]!r} is not an SPDX identifier"
    return f"the licence {names[0]} is not one that this course allows"


def check_attribution(content: bytes | None, allowed: Collection[str], faults: Faults) -> None:
    """Add a warning for what is missing in an `attribution.txt`; None where there is no such file."""
    if not content or not content.strip():
        hint = "--fix makes one to fill in: Title of work, Link to work, License of the work, Creator names."
        faults.warning(None, "attribution", "there is no attribution.txt here, or it is empty", hint)
        return
    works = parse_attribution(content[:MAX_BYTES].decode("utf-8-sig", "replace"))
    if not works:
        hint = "A line is a label, a colon and a text, as in `Title of work: Tonsil`."
        faults.warning(None, "attribution", "no work is named: no line begins with `Title of work:`", hint)
    for work in works:
        place = Place(work.line, 0)
        lacks = [label for name, label in _WANTED.items() if not getattr(work, name)]
        if lacks:
            hint = "Fill it in; `-` where it does not apply, for instance the link to your own work."
            faults.warning(place, "attribution", f"{' and '.join(lacks)} missing or empty", hint)
        why = licence_fault(work.licence, allowed) if work.licence not in ("", "-") else ""
        if why:
            hint = f"Allowed here: {', '.join(allowed)} (taxonomy.licences in the recipe)."
            faults.warning(place, "licence", why, hint)


def skeleton(leaf: Leaf | None) -> str:
    """Return an attribution to fill in, with what the leaf itself tells."""
    source = leaf.source if leaf else None
    is_address = source is not None and "://" in source.repo
    link = source.repo if source and is_address else source.urls[0] if source and source.urls else ""
    return (
        "Title of work:\n"
        f"Link to work: {link or '-'}\n"
        f"Revision: {(source.commit if source and is_address else '') or '-'}\n"
        "License of the work:\n"
        f"Creator names: {leaf.created_by if leaf else ''}\n"
    ).replace(": \n", ":\n")
