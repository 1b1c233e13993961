"""A text as a list of comparable words, so that "Within Nine weeks." and "within 9 weeks" are the same.

`words` is applied to a model's answer and to what the exam asks for, and grading then compares whole words. What is
made equal: case, accents' encoding, kinds of quotes, dashes and spaces, punctuation, "4,000" and "4000", "nine" and
"9", "third" and "3rd", "%" and "percent", "p.m." and "pm", "isn't" and "is not", hyphens and spaces, and regular
English plurals and possessives ("week", "weeks", "week's"), "36 h" and "36 hours", "meter" and "metre", and
"March 3rd, 2024", "2024-03-03" and "3 March 2024". What stays apart: "9" and "19", "9.5", "1,9" and "-9"; "7:30" and
"7"; most British and American spelling; synonyms. An exam names those as alternatives.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from decimal import Decimal
from functools import lru_cache

MAX_CHARACTERS = 100_000  # of one text; what is beyond is not looked at
REMEMBERED = 600  # characters of a text whose words are kept for the next time, so that 20,000 take some 20 MB

# Split from a text: one word a line would be a screen of its own.
_UNITS = """
    zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen
    eighteen nineteen
""".split()  # noqa: SIM905
_ORDINALS = """
    zeroth first second third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth
    fifteenth sixteenth seventeenth eighteenth nineteenth
""".split()  # noqa: SIM905
_TENS = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"]

SMALL = {word: value for value, word in enumerate(_UNITS)}
TENS = {word: 10 * value for value, word in enumerate(_TENS, 2)}
SCALES = {"dozen": 12, "thousand": 10**3, "million": 10**6, "billion": 10**9}
ORDINALS = {word: value for value, word in enumerate(_ORDINALS)}
ORDINALS |= {word[:-1] + "ieth": value for word, value in TENS.items()}
ORDINALS |= {"hundredth": 100, "thousandth": 1000, "millionth": 10**6}

_MONTHS = """
    january february march april may june july august september october november december
""".split()  # noqa: SIM905
MONTHS = {short: name for name in _MONTHS for short in (name, name[:3])} | {"sept": "september"}
ABBREVIATED = {  # after a number
    **dict.fromkeys(("h", "hr", "hrs"), "hour"),
    **dict.fromkeys(("min", "mins"), "minute"),
    **dict.fromkeys(("sec", "secs"), "second"),
    **{"km": "kilometre", "m": "metre", "cm": "centimetre", "mm": "millimetre"},
    **{"kg": "kilogram", "g": "gram", "mg": "milligram", "l": "litre", "ml": "millilitre"},
}
_RESPELLED = re.compile(r"(kilo|centi|milli|)(met|lit)er")

_CLEAN = (
    (re.compile(r"[\u2018\u2019\u201a\u201b\u2032\u00b4`]"), "'"),
    (re.compile(r"[\u2010-\u2015\u2212]"), "-"),
    (re.compile(r"(?<=\d)[\u00a0\u2009\u202f'](?=\d{3}(?!\d))"), ""),  # 4 000 and 4'000, with a special space
    (re.compile(r"(?<![\d.,])\d{1,3}(?: \d{3}){0,3} 000(?!\d)"), lambda m: m[0].replace(" ", "")),
    (re.compile(r"[\u2070\u00b9\u00b2\u00b3\u2074-\u2079]"), lambda m: " " + unicodedata.normalize("NFKC", m[0])),
    (re.compile(r"(?<=\d)\s?([\u00bc\u00bd\u00be])"), lambda m: {"¼": ".25", "½": ".5", "¾": ".75"}[m[1]]),
    (re.compile(r"[\u00bc\u00bd\u00be]"), lambda m: {"¼": " 0.25", "½": " 0.5", "¾": " 0.75"}[m[0]]),
)
_REWRITE = (
    (re.compile(r"\b(\d{4})-(0[1-9]|1[0-2])-(\d\d)\b"), lambda m: f"{m[3]} {_MONTHS[int(m[2]) - 1]} {m[1]}"),
    (re.compile(r"%|\bper cent\b"), " percent "),
    (re.compile(r"&"), " and "),
    (re.compile(r"\be-mail"), "email"),
    (re.compile(r"°\s?c\b"), " degrees celsius "),
    (re.compile(r"°\s?f\b"), " degrees fahrenheit "),
    (re.compile(r"°"), " degrees "),
    (re.compile(r"\$\s?(\d[\d.,]*\d|\d)(\s(?:thousand|million|billion)\b)?"), r" \1\2 dollars "),
    (re.compile(r"€\s?(\d[\d.,]*\d|\d)(\s(?:thousand|million|billion)\b)?"), r" \1\2 euros "),
    (re.compile(r"£\s?(\d[\d.,]*\d|\d)(\s(?:thousand|million|billion)\b)?"), r" \1\2 pounds "),
    (re.compile(r"(?<=\d)\s?([ap])\. m\b\.?"), r" \1m"),
    (re.compile(r"(?<![^\W\d])[^\W\d_](?:\.[^\W\d_])+(?![^\W_])\.?"), lambda m: m[0].replace(".", "")),  # p.m., U.S.
    (re.compile(r"\bcan(?:not|'t)\b"), "can not"),
    (re.compile(r"\bwon't\b"), "will not"),
    (re.compile(r"n't\b"), " not"),
    (re.compile(r"(?<=[^\W_])'(?:s\b|(?![^\W_]))"), " "),  # Halvard's, customers'
    (re.compile(r"(?<=[^\W\d_])'(?=(?:ll|re|ve|d|m)\b)"), " "),  # he'll: two words
    (re.compile(r"(?<=[^\W\d_])'(?=[^\W\d_])"), ""),  # o'clock
)
_WORD = re.compile(
    r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]"  # scripts written without spaces: a character is a word
    r"|\d+(?:st|nd|rd|th)\b"
    r"|(?<![\w.,:/])-\d+(?:[.,:/]\d+)*"
    r"|\d+(?:[.,:/]\d+)*"
    r"|[^\W\d_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff][^\W_\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]*"
)
_NUMBER = re.compile(r"-?\d+(?:[.:/,]\d+)*")
_ARTICLES = ("a", "an")


def words(text: str) -> list[str]:
    """Return the words of `text` in order, each in its one comparable form.

    Example:
        >>> words("Within Nine weeks, i.e. by 4 p.m.; Halvard's fee: 4,000!")
        ['within', '9', 'week', 'ie', 'by', '4', 'pm', 'halvard', 'fee', '4000']
        >>> words("two hundred and fifty, the twenty-third, 15 %")
        ['250', 'the', '23th', '15', 'percent']
    """
    text = text[:MAX_CHARACTERS]
    return list(_words(text)) if len(text) <= REMEMBERED else list(_words.__wrapped__(text))


@lru_cache(maxsize=20_000)  # the checks ask for the words of the same few thousand sentences again and again
def _words(text: str) -> tuple[str, ...]:
    for pattern, new in _CLEAN:
        text = pattern.sub(new, text)
    text = unicodedata.normalize("NFKC", text).casefold()
    text = "".join(c for c in text if unicodedata.category(c) != "Cf")  # zero-width characters, soft hyphens
    for pattern, new in _REWRITE:
        text = pattern.sub(new, text)
    found = [_plain_number(w) if is_number(w) else w for w in _WORD.findall(text)]
    return tuple(_singular(w) for w in _dated(_with_units(_on_the_hour(_with_digits(found)))))


def is_number(word: str) -> bool:
    """Tell whether a word is digits, with a sign, decimals or a time's colon; ordinals are not."""
    return _NUMBER.fullmatch(word) is not None


def find(pattern: Sequence[str], in_words: Sequence[str]) -> list[int]:
    """Return every position at which all words of `pattern` stand in a row; none for an empty pattern."""
    size, wanted = len(pattern), list(pattern)
    if not size:
        return []
    starts = (i for i, word in enumerate(in_words) if word == wanted[0])
    return [i for i in starts if list(in_words[i : i + size]) == wanted]


def without(patterns: Sequence[Sequence[str]], in_words: Sequence[str]) -> list[str]:
    """Return `in_words` without the occurrences of `patterns`, the longest pattern first."""
    gone: set[int] = set()
    for pattern in sorted(patterns, key=len, reverse=True):
        for start in find(pattern, in_words):
            span = range(start, start + len(pattern))
            if gone.isdisjoint(span):
                gone.update(span)
    return [word for i, word in enumerate(in_words) if i not in gone]


def _plain_number(word: str) -> str:
    """4,000 -> 4000; 1,9 -> 1.9; 9.50 -> 9.5; 07:30 -> 7:30."""
    if ":" in word:
        return re.sub(r"^0(?=\d:)", "", word)
    if re.fullmatch(r"-?\d{1,3}(,\d{3})+(\.\d+)?", word):
        word = word.replace(",", "")
    elif re.fullmatch(r"-?\d{1,3}(\.\d{3})+,\d+", word):
        word = word.replace(".", "").replace(",", ".")
    elif re.fullmatch(r"-?\d+,\d+", word):
        word = word.replace(",", ".")
    return word.rstrip("0").rstrip(".") if re.fullmatch(r"-?\d+\.\d+", word) else word


def _with_digits(tokens: list[str]) -> list[str]:
    """Replace number words by digits: cardinals by "25", ordinals by "25th" whatever their ending."""
    out: list[str] = []
    i = 0
    while i < len(tokens):
        word, after = tokens[i], tokens[i + 1] if i + 1 < len(tokens) else ""
        if word in TENS and 0 < ORDINALS.get(after, 0) < 10:
            out.append(f"{TENS[word] + ORDINALS[after]}th")
            i += 2
        elif word in ORDINALS and not (word == "second" and out and is_number(out[-1])):  # 30 second(s): a unit
            out.append(f"{ORDINALS[word]}th")
            i += 1
        elif word[0].isdecimal() and word[-2:] in ("st", "nd", "rd", "th"):
            out.append(f"{word[:-2]}th")
            i += 1
        elif word == "minus" and is_number((_with_digits(tokens[i + 1 : i + 2]) or [""])[0]):
            value, i = _cardinal(tokens, i + 1) or (after, i + 2)
            out.append(f"-{value.lstrip('-')}")
        elif (cardinal := _cardinal(tokens, i)) is not None:
            value, i = cardinal
            out.append(value)
        else:
            out.append(word)
            i += 1
    return out


def _cardinal(tokens: list[str], start: int) -> tuple[str, int] | None:
    """Read "one thousand five hundred", "18 thousand", "a hundred and three"; None where no number word stands."""
    total, scale_before, i = Decimal(0), 0, start
    while True:
        at = i + 1 if scale_before and tokens[i : i + 1] == ["and"] else i
        part = _below_thousand(tokens, at)
        if part is None:
            break
        value, at = part
        scale = SCALES.get(tokens[at]) if at < len(tokens) else None
        if scale_before and (scale or 0) >= scale_before:
            break
        if scale is None:
            if scale_before and value >= scale_before:
                break
            total, i = total + value, at
            break
        total, i, scale_before = total + value * scale, at + 1, scale
    if i == start:
        return None
    return (format(total.normalize(), "f") if total else "0"), i


def _below_thousand(tokens: list[str], i: int) -> tuple[Decimal, int] | None:
    word, after = [*tokens[i : i + 2], "", ""][:2]
    scaled = after == "hundred" or after in SCALES
    if word in _ARTICLES and scaled:
        value, i = Decimal(1), i + 1
    elif word == "hundred" or word in SCALES:
        value = Decimal(1)
    elif scaled and len(word) <= 15 and re.fullmatch(r"\d+(\.\d+)?", word):
        value, i = Decimal(word), i + 1
    elif (small := _below_hundred(tokens, i)) is not None:
        value, i = small
    else:
        return None
    if tokens[i : i + 1] != ["hundred"]:
        return value, i
    value, i = 100 * value, i + 1
    rest = _below_hundred(tokens, i + 1 if tokens[i : i + 1] == ["and"] else i)
    if rest is not None and tokens[rest[1] : rest[1] + 1] != ["hundred"]:
        return value + rest[0], rest[1]
    return value, i


def _below_hundred(tokens: list[str], i: int) -> tuple[Decimal, int] | None:
    word, after = [*tokens[i : i + 2], "", ""][:2]
    if word in TENS:
        unit = SMALL.get(after, 0)
        return (Decimal(TENS[word] + unit), i + 2) if 0 < unit < 10 else (Decimal(TENS[word]), i + 1)
    return (Decimal(SMALL[word]), i + 1) if word in SMALL else None


def _on_the_hour(tokens: list[str]) -> list[str]:
    """4:00 pm -> 4 pm; a bare 16:00 stays, for 16 may be anything."""
    after = [*tokens, ""][1:]
    return [w[:-3] if w.endswith(":00") and n in ("am", "pm") else w for w, n in zip(tokens, after, strict=True)]


def _with_units(tokens: list[str]) -> list[str]:
    """36 h -> 36 hour; meter -> metre."""
    before = ["", *tokens]
    spelled = [ABBREVIATED.get(w, w) if is_number(b) else w for b, w in zip(before, tokens, strict=False)]
    return [re.sub("ers?$", "re", w) if _RESPELLED.fullmatch(w.removesuffix("s")) else w for w in spelled]


def _dated(tokens: list[str]) -> list[str]:
    """Put the day before the month, as a number: "march 3rd", "the 3rd of march" and "03 mar" -> "3 march"."""
    out: list[str] = []
    i = 0
    while i < len(tokens):
        day, month, used = _date(tokens[i : i + 3])
        if used:
            out += [day, month]
        else:
            out.append(tokens[i])
        i += used or 1
    return out


def _date(tokens: list[str]) -> tuple[str, str, int]:
    """Return day, month and the number of tokens they took; 0 where no date begins here."""
    first, second, third = [*tokens, "", ""][:3]
    if _day(first) and second == "of" and third in MONTHS:
        return _day(first), MONTHS[third], 3
    if _day(first) and second in MONTHS:
        return _day(first), MONTHS[second], 2
    is_sure = second.endswith("th") or re.fullmatch(r"[12]\d{3}", third) or first not in ("may", "march", "mar", "sept")
    if first in MONTHS and _day(second) and is_sure:
        return _day(second), MONTHS[first], 2
    return "", "", 0


def _day(word: str) -> str:
    number = word.removesuffix("th")
    return str(int(number)) if re.fullmatch(r"[0-9]{1,2}", number) and 1 <= int(number) <= 31 else ""


def _singular(word: str) -> str:
    """Fold regular English plurals: weeks, boxes, families; "ss", "us" and "is" are no plural endings."""
    if len(word) < 4 or word[0].isdecimal() or not word.endswith(("s", "ie")):
        return word
    if len(word) > 4 and word.endswith(("ies", "ie")):
        return word.removesuffix("s").removesuffix("ie") + "y"
    if word.endswith(("xes", "ches", "shes", "sses", "zes")):
        return word[:-2]
    return word if word.endswith(("ss", "us", "is", "ie")) else word[:-1]
