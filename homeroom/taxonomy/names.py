"""Folder names that some machine cannot hold, and names of leaves that people or machines take for one another.

A taxonomy is cloned to Windows and macOS, where case and the way an accent is written do not tell two names apart,
and its reviewers read `\u0440ython` with a Cyrillic letter as `python`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from functools import lru_cache

from homeroom.taxonomy.problem import Faults

MAX_NAME = 255  # bytes, of one folder: the limit of most file systems
_WINDOWS = re.compile(r"(?i)(con|prn|aux|nul|com[1-9]|lpt[1-9])(\..*)?$")
_GIT = re.compile(r"(?i)(\.git|\.?git~[0-9]+)$")
# Letters that look like a Latin one, lower case, after NFKC: the ones of Cyrillic and Greek that people are fooled by.
_LATIN = str.maketrans("\u0430\u0441\u0435\u043e\u0440\u0445\u0443\u0456\u0458\u0455\u0501\u051b\u051d"
                       "\u03b1\u03bf\u03c1\u03bd\u03b9\u03ba\u03c5", "aceopxyijsdqwaopviku")  # fmt: skip


def check_folder_name(folder: str, faults: Faults) -> None:
    """Report a folder, relative to its course, that could not be cloned to every machine or misleads a reader.

    Example:
        >>> faults = Faults("qna.yaml")
        >>> check_folder_name("knowledge/con", faults)
        >>> faults.found[0].message
        "Windows cannot have a folder called 'con'"
    """
    if " " in folder:
        faults.warning(None, "folder-name", f"the folder name {folder!r} has a space in it", "Use _ instead.")
    for part in folder.split("/"):
        shown = ascii(part[:40])
        if not part.isprintable():
            what = f"the folder name {shown} has characters that cannot be shown"
        elif _WINDOWS.match(part):
            what = f"Windows cannot have a folder called {shown}"
        elif _GIT.match(part):
            what = f"git does not take a folder called {shown}"
        elif part != part.rstrip(". ") and part not in (".", ".."):
            what = f"the folder name {shown} ends with a dot or a space, which Windows drops"
        elif len(part.encode("utf-8", "surrogatepass")) > MAX_NAME or "\\" in part:
            what = f"the folder name {shown} is too long, or has a backslash in it"
        else:
            continue
        faults.error(None, "folder-name", what, "Rename the folder.")


def collisions(leaves: Iterable[str]) -> list[tuple[str, str, str, str]]:
    """Return (leaf, folder, earlier folder, why) for folders that differ only in what a machine or reader does not see.

    Example:
        >>> collisions(["knowledge/Boats/a", "knowledge/boats/b", "knowledge/cars"])
        [('knowledge/boats/b', 'knowledge/boats', 'knowledge/Boats', 'differ only in case')]
    """
    found = []
    first: dict[tuple[str, str], str] = {}
    reported: set[str] = set()
    for leaf in leaves:
        folder = ""
        for part in leaf.split("/"):
            above, folder = folder, f"{folder}/{part}".lstrip("/")
            other = first.setdefault((above, skeleton(part)), folder)
            if other != folder and folder not in reported:
                reported.add(folder)
                found.append((leaf, folder, other, _why(folder, other)))
        other = first.setdefault(("", "/" + leaf.replace("/", "_")), leaf)
        if other != leaf:
            found.append((leaf, leaf, other, "become one name in InstructLab, which writes _ for /"))
    return found


def _why(name: str, other: str) -> str:
    plain, before = unicodedata.normalize("NFC", name), unicodedata.normalize("NFC", other)
    if plain == before:
        return "differ only in how an accent is written (Unicode normalisation)"
    if plain.casefold() == before.casefold():
        return "differ only in case"
    return "look alike: one has a letter of another alphabet, or another form of a letter"


@lru_cache(maxsize=65536)
def skeleton(name: str) -> str:
    """Return what a careless reader, or a file system that ignores case, makes of a name.

    Example:
        >>> skeleton("Python") == skeleton("\u0440yth\u043en")
        True
    """
    if name.isascii():
        return name.casefold()
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold()).translate(_LATIN)
