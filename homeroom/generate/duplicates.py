"""What has been said before, in the same words or nearly: each text is compared with all before it, in linear time.

Texts are sets of words and pairs of neighbouring words. Two are near-duplicates where their sets are nearly the same
(`NEAR`, Jaccard). Candidates are found by MinHash: sets that are much alike have most of their smallest hash values in
common, so it is enough to look up a few groups of them ("bands"), and then to compare exactly. Source: Broder,
"On the resemblance and containment of documents" (1997).

What is remembered lies in a temporary database of SQLite, which stays in memory while it is small (`CACHE_KIB`) and is
gone with the check: a hundred thousand texts would otherwise take 300 MB.
"""

from __future__ import annotations

import functools
import hashlib
import sqlite3
import weakref
import zlib
from array import array
from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Protocol

from homeroom.core.errors import MachineError
from homeroom.core.words import words
from homeroom.generate.checks import Fault

if TYPE_CHECKING:
    import numpy as np

NEAR = 0.9  # of all words and pairs of two texts, both have
BANDS, ROWS = 12, 3  # of hash values; sets that share 90 % are missed once in six million times
CACHE_KIB = 8_000


class Seen(Protocol):
    """A check that remembers."""

    def __call__(self, text: str, *, exact: bool = False) -> Fault | None:
        """Return a fault where the text was there before; with `exact`, only in the very same words."""
        ...


def duplicates(known: Iterable[str] = ()) -> Seen:
    """Return a check that remembers what it has seen, `known` from the start: the second of two like texts fails.

    A number more or less is a difference, however long the text: "within 5 days" and "within 6 days" are two texts.
    """
    database = _memory()

    def fault(text: str, *, exact: bool = False) -> Fault | None:
        try:
            return _look_up(database, words(text), is_exact=exact)
        except sqlite3.OperationalError as error:
            hint = "Free some space in the folder for temporary files (TMPDIR), and give the same command again."
            raise MachineError(f"no room to remember what was said before ({error})", hint=hint) from None

    weakref.finalize(fault, database.close)
    for text in known:
        fault(text)
    return fault


def _memory() -> sqlite3.Connection:
    """Return an empty temporary database: texts, the sets of those that can be near another, and where they agree."""
    database = sqlite3.connect("", isolation_level=None, check_same_thread=False)
    for line in (
        f"PRAGMA cache_size = -{CACHE_KIB}",
        "PRAGMA journal_mode = OFF",
        "PRAGMA synchronous = OFF",
        "CREATE TABLE texts (hash INTEGER PRIMARY KEY)",
        "CREATE TABLE sets (number INTEGER PRIMARY KEY, marks BLOB NOT NULL)",
        "CREATE TABLE bands (key INTEGER, number INTEGER, PRIMARY KEY (key, number)) WITHOUT ROWID",
        "BEGIN",  # never ended: transactions of one statement take twice as long
    ):
        database.execute(line)
    return database


def _look_up(database: sqlite3.Connection, own: list[str], *, is_exact: bool) -> Fault | None:
    """Return a fault where these words, or nearly these, were there before; else remember them."""
    digest = hashlib.blake2b("\n".join(own).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    same = int.from_bytes(digest, "big", signed=True)
    if not database.execute("INSERT OR IGNORE INTO texts VALUES (?)", (same,)).rowcount:
        return "duplicate", "the same words again"
    if is_exact:
        return None
    marks = _marks(own)
    keys = _bands(marks)
    places = ",".join("?" * len(keys))
    near = database.execute(
        f"SELECT marks FROM sets WHERE number IN (SELECT number FROM bands WHERE key IN ({places}))", keys
    )
    if any(_alike(marks, array("Q", other)) for (other,) in near):
        return "duplicate", "nearly the same words again"
    if keys:
        number = database.execute("INSERT INTO sets (marks) VALUES (?)", (marks.tobytes(),)).lastrowid
        database.executemany("INSERT OR IGNORE INTO bands VALUES (?, ?)", [(key, number) for key in keys])
    return None


def _marks(own: list[str]) -> array[int]:
    """Return the sorted hashes of a text's words and pairs of words; those of its numbers are odd, all others even."""
    plain = {zlib.crc32(w.encode()) * 2 + any(c.isdigit() for c in w) for w in own}
    pairs = {zlib.crc32(f"{a} {b}".encode()) * 2 for a, b in pairwise(own)}
    return array("Q", sorted(plain | pairs))


def _bands(marks: array[int]) -> list[int]:
    """Return for each band a key that two sets have in common when its smallest hash values are the same."""
    import numpy as np

    if len(marks) < 4:
        return []  # two or three words: only the same words are the same
    factors_H, marks_M = _factors(), np.frombuffer(marks, dtype=np.uint64)
    smallest_H = (factors_H[:, None] * marks_M[None, :] >> np.uint64(32)).min(axis=1)  # multiply-shift, wraps at 64 bit
    keys = [bytes([n]) + smallest_H[n * ROWS : (n + 1) * ROWS].tobytes() for n in range(BANDS)]
    return [int.from_bytes(hashlib.blake2b(k, digest_size=8).digest(), "big", signed=True) for k in keys]


@functools.cache
def _factors() -> np.ndarray:
    """Return the odd factors of the hash functions, the same in every process."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(0)).integers(1 << 62, size=BANDS * ROWS, dtype=np.uint64) * 2 + 1


def _alike(one: array[int], other: array[int]) -> bool:
    mine, theirs = set(one), set(other)
    if {m for m in mine ^ theirs if m % 2}:
        return False  # another number
    return len(mine & theirs) >= NEAR * len(mine | theirs)
