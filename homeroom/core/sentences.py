"""Text into sentences, with the bytes where each one stands.

A sentence is the smallest thing a fact can rest on, so a wrong cut ("at 3 p.m." | "on Friday") costs a fact and a
missed cut only makes a quote longer. Every rule here therefore errs towards not cutting. Two steps:

1. Lines are gathered into units that no sentence crosses: a paragraph, a list item, a table row, a speaker's turn.
   Markers (`- `, `1. `, `## `, `> `) are left out of the spans; the label of a speaker ("Anna:") stays.
2. In a unit, each run of end marks is a border unless what stands before or after it says otherwise: an
   abbreviation, an initial, an ordinal, a lower-case letter that follows.

Works for European languages without being told which, and for scripts that end sentences with 。！？ or ।.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Span:
    """A piece of text and where it stands: byte offsets into the UTF-8 of the whole, end exclusive."""

    text: str
    start: int
    end: int


def sentences(text: str) -> list[Span]:
    """Return the sentences of Markdown or plain text in order; `[]` where there is no word.

    Spans never overlap, carry no white space at their ends, and leave out only white space, list, quote and heading
    markers, rules and code fences. A line break inside a wrapped sentence stays in its text.

    Example:
        >>> [s.text for s in sentences("Dr. Ito pays 3.5 % by 5 p.m. on Friday. Who checks? We do.")]
        ['Dr. Ito pays 3.5 % by 5 p.m. on Friday.', 'Who checks?', 'We do.']
    """
    spans: list[Span] = []
    characters, offset = 0, 0  # how far the bytes have been counted
    for unit_start, unit_end in _units(text):
        for start, end in _cut(text, unit_start, unit_end):
            offset += _num_bytes(text[characters:start])
            piece = text[start:end]
            spans.append(Span(piece, offset, offset + _num_bytes(piece)))
            characters, offset = end, spans[-1].end
    return spans


def _num_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


# -- units: what no sentence crosses -----------------------------------------------------------------------------

_FENCE = re.compile(r"[ \t]*(`{3,}|~{3,})")
_RULE = re.compile(r"(?:[-=*_][ \t]*){3,}$|\|?[ \t]*:?-{2,}:?[ \t]*(?:\|[ \t:|-]*)?$")
_MARKER = re.compile(
    r"[ \t]*(?:>[ \t]?)*[ \t]*(#{1,6}[ \t]+|[-*+•‣◦–—][ \t]+|\(?[0-9]{1,3}[.)][ \t]+|\(?[a-z]\)[ \t]+)?"
)
_TURN = re.compile(
    # "00:12:03 Anna Ito:", "**Anna:**"
    r"[ \t]*(?:[\[(<]?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,3})?[\])>]?[ \t]{0,4}[-–]?[ \t]{0,4})?"
    r"[*_]{0,2}(?:[^\W\d_][\w.'’-]*)(?:[ \t][\w.'’()-]+){0,3}[ \t]?:[*_]{0,2}(?=[ \t]|$)"
)
_TIME = re.compile(r"[ \t]*[\[(<]?[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?:[.,][0-9]{1,3})?(?:[\])>]|[ \t]|$)")
_ENDS = ".!?…:;。！？।؟"


def _units(text: str) -> Iterator[tuple[int, int]]:
    """Yield the (start, end) characters of each unit, markers and fences left out."""
    start = end = -1  # of the unit that is being gathered
    fence, in_list, turns = "", False, False
    for line_start, line_end in _lines(text):
        line = text[line_start:line_end]
        opening = _FENCE.match(line)
        if opening and (not fence or (line.strip().startswith(fence) and not line.strip().strip(fence[0]))):
            if start >= 0:
                yield start, end
            start, fence = -1, "" if fence else opening[1]
            continue
        blank = not line.strip(" \t>")
        if not fence and (blank or _RULE.match(line.strip())):
            if start >= 0:
                yield start, end
            start = -1
            if not blank:
                in_list = turns = False
            continue
        marker = _MARKER.match(line) if not fence else None
        marked = bool(marker and marker[1])
        if marked and marker and re.match(r"\(?(?!1[.)])\d", marker[1]) and start >= 0:
            marked = in_list or text[end - 1] in _ENDS  # "... it cost\n19. Then ..." is not a list
        body = line_start + (marker.end() if marker and (marked or not marker[1]) else 0)
        row = not fence and line.lstrip().startswith("|")
        turn = bool(not fence and not marked and (_TIME.match(line) or _TURN.match(line)))
        new = marked or row or (turn and (start < 0 or turns or text[end - 1] in _ENDS or bool(_TIME.match(line))))
        if start >= 0 and new:
            yield start, end
            start = -1
        if start < 0:
            start, turns = body, turn or (turns and not marked)
            in_list = marked or (in_list and line[:1] in " \t")
        end = line_end
        if row or (marked and marker and marker[1].startswith("#")):
            yield start, end
            start = -1
    if start >= 0:
        yield start, end


def _lines(text: str) -> Iterator[tuple[int, int]]:
    start = 0
    while start < len(text):
        end = text.find("\n", start)
        end = len(text) if end < 0 else end
        yield start, end
        start = end + 1


# -- borders inside a unit ---------------------------------------------------------------------------------------

# Possessive (`++`) and with a look behind, so that a hostile run of marks costs linear time.
_CLOSE = r"(?:[\"'”’“»«)\]}*_`」』）】》]|[ \u00a0\u202f]»(?=\s|$)|\[\^?[0-9]{1,3}\])*+"
_BORDER = re.compile(rf"(?<![.!?…])[.!?…]++{_CLOSE}(?=\s|$)|(?<![।؟۔])[।؟۔]++{_CLOSE}|(?<![。！？])[。！？]++{_CLOSE}")
_BEFORE = re.compile(r"[\w.'’\-/&§°ºª]*$")
_OPEN = "\"'“”‘«»„‚([{¿¡*_`-–—>#"
_WORD = re.compile(r"[^\W_]+")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# After these, written with a capital, a name follows.
_TITLES = _words(
    "dr mr mrs ms mx prof hr fr frl herr sra srta m mme mlle mm dott sig sigg dipl ing mag rev hon gen col capt lt sgt "
    "gov sen rep pres st ste"
)
# An end mark after these is never the end: an example or an amount must follow.
_NEVER = _words(
    "e.g i.e eg ie z.b d.h u.a i.d.r p.ej p.es c.-à-d vs cf vgl viz resp bzw ggf evtl inkl zzgl approx ca circa incl "
    "excl bspw sog zb dh"
)
# These are abbreviations only where a number follows: "No. 7", but "No. We do not."
_WITH_NUMBER = _words(
    "no nos nr núm num n nº n° art arts abs sec sect fig figs tab eq ch chap cap vol p pp pg s pág págs par para ziff "
    "kap bd bl rn rz item app max min tel jan feb mar apr jun jul aug sep sept oct nov dec okt dez mär février janv"
)
# After these a sentence may end; it does where the next word commonly begins one.
_MAY_END = _words("inc ltd co corp plc llc bros jr sr ave blvd rd dept univ assn est esp al ed eds max min mind gem")
_TIMES = _words("a.m p.m am pm")
_STARTERS = _words(
    "the a an this that these those it its he she we they you i in on at by for from with to of as if when while "
    "after before since because although but and or so then there here our their his her my your who what where why "
    "how which no not all any each every some most many both one two once please however "
    "der die das den dem ein eine einen er sie es wir ihr ich in im am auf bei mit nach vor wenn als dies diese dieser "
    "le la les un une il elle ils elles nous vous on ce cette ces dans pour avec el los las una en por para con si "
    "lo gli i di da per che questo questa o os as um uma de het een"
)
_DATES = _words(
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september october november december montag dienstag mittwoch donnerstag freitag samstag sonntag januar februar "
    "märz mai juni juli oktober dezember est edt cst cdt mst mdt pst pdt gmt utc cet cest bst"
)
_BEFORE_ORDINAL = _words(
    "am im der dem den des die das vom zum zur beim bis ab seit dieser diesem jeder jedem jeden und oder"
)


def _cut(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    begin = start
    for match in _BORDER.finditer(text, start, end):
        if match.end() < end and _is_border(text, begin, match, end):
            yield from _trimmed(text, begin, match.end())
            begin = match.end()
    yield from _trimmed(text, begin, end)


def _trimmed(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    if any(c.isalnum() for c in text[start:end]):
        yield start, end


_LETTERED = re.compile(
    r"\b(?:letter|plan|section|part|type|class|group|level|grade|vitamin|option|form|row|gate)\s+$", re.I
)


def _is_border(text: str, begin: int, match: re.Match[str], end: int) -> bool:
    marks = match[0]
    if marks[0] in "。！？।؟۔":
        return True
    after = text[match.end() : min(end, match.end() + 80)].lstrip()
    following = after.lstrip(_OPEN + " \u00a0\u202f")
    if following[:1].islower():
        return False  # "Stop!" he said; an abbreviation that no list names
    if marks[0] != "." or marks.startswith(".."):
        return True
    before = _BEFORE.search(text, max(begin, match.start() - 40), match.start())
    word = (before[0] if before else "").strip(".'’-")
    place = before.start() if before else match.start()
    return _period_ends(word, text[max(begin, place - 40) : place], following)


def _period_ends(word: str, earlier: str, following: str) -> bool:
    """Say whether the period after `word` ends a sentence; `following` begins with no lower-case letter."""
    low = word.lower()
    found = _WORD.match(following)
    after = found[0].lower() if found else ""
    if not word:
        return bool(earlier.strip())
    if low in _NEVER or (low in _TITLES and word[0].isupper()):
        return False
    numbered = following[:1].isdigit() or (re.match(r"[IVXLC]+\b", following) and after not in _STARTERS)
    if low in _WITH_NUMBER and numbered:
        return False
    if low in _TIMES:
        return after not in _DATES and not following[:1].isdigit()
    if low in _MAY_END or re.fullmatch(r"(?:[^\W\d_]\.)+[^\W\d_]", word):
        return after in _STARTERS
    if len(word) == 1 and word.isalpha():
        if re.match(r"\w\.", following) or re.search(r"\b\w\.\s*$", earlier):
            return after in _STARTERS and len(after) > 1  # "J. R. R. Tolkien", "z. B. Autos"
        if _LETTERED.search(earlier):
            return True  # "the letter K. Files are kept", not an initial
        if word == "I":
            return bool(re.search(r"[a-z,]\s+$", earlier))
        return after in _STARTERS
    if word.isdigit():
        if not earlier.strip() and len(word) <= 3:
            return False  # "3. Third point" where the marker was not seen as one
        words = earlier.split()
        ordinal = len(word) <= 2 and bool(words) and words[-1].lower() in _BEFORE_ORDINAL
        return not ordinal and not (after in _DATES and len(word) <= 2)
    return True
