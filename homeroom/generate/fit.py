"""Does a fact tell what a question asks? What code can see of a question that is near its fact and yet beside it.

A small teacher asks "What is the maximum height a bicycle can be insured for?" about a sum of money. Every word of the
answer is the document's, and still the sample teaches something false. Attribution does not see it, for the question is
nearer to this fact than to any other. So the two are compared in what they measure, count, bound, deny and name:

    measure   how tall, how far, how long, how often: the answer has a number of that sort
    unit      "120 feet" is asked, and the fact has no length
    count     "how many claims" about a fact in which the number counts something else
    bound     a least is asked, the fact tells a most; how long to wait, the fact says by when at the latest
    excepted  in which race a boat is not insured, the fact says that in just this one it is
    denial    "which plan is open to ..." about a fact that denies, or the other way round
    past      when something was, the fact tells what always is; when or at what hour, it tells how long or a day
    list      what they all are, the fact tells how many there are
    sort      which class, what direction, whose name: the answer is a time or a number; whose title: it is the name
    said      half of the name, or of the days, is in the question; who does something, and the answer is a thing
    head      somebody above the one that the fact tells: "who is in charge of the inspector?"
    turned    whom somebody thanks, the fact tells who thanks him

English only: a question in another language has no fault here.
"""

from __future__ import annotations

import re

from homeroom.core.words import is_number, words
from homeroom.generate import checks
from homeroom.generate.checks import MONTHS, Fault, content_words, is_polar, is_time, last_sentence, names, numbers
from homeroom.generate.language import bound
from homeroom.generate.polar import NEGATION


def fit_fault(question: str, statement: str, detail: str) -> Fault | None:
    """Return why a question asks for something else than its fact tells, or None.

    Args:
        detail: What of the fact stands in front of the answer; "" where the answer is the fact alone.

    Example:
        >>> told = "A bicycle is insured for at most 1,400 tallens."
        >>> fit_fault("How tall may a bicycle be?", told, "at most 1,400 tallens")
        ('fit', 'asks how tall, the fact has no length')
        >>> fit_fault("How much is a bicycle insured for?", told, "at most 1,400 tallens")
    """
    if is_polar(question):
        return None
    asked = last_sentence(question)
    reason = (
        _measure(asked, statement, detail)
        or _unit(question, statement)
        or _count(asked, statement)
        or _bound(asked, statement)
        or _time(asked, statement)
        or _list(asked, statement)
        or _head(asked, statement)
        or _turned(asked, statement)
        or (
            detail
            and (
                _much(asked, statement, detail)
                or _excepted(asked, statement, detail)
                or _denial(asked, statement, detail)
                or _sort(asked, statement, detail)
                or _said(question, detail)
            )
        )
    )
    return ("fit", reason) if reason else None


# -- what is measured ----------------------------------------------------------------------------------------------

_UNITS = {
    "time": r"seconds?|minutes?|hours?|days?|nights?|weeks?|months?|years?|quarters?|terms?|seasons?|decades?|century",
    "length": r"(?:kilo|centi|milli)?met(?:re|er)s?|feet|foot|inch(?:es)?|miles?|yards?|km|cm|mm|storeys?|floors?",
    "weight": r"(?:kilo)?grams?|kilos?|tons?|tonnes?|ounces?|kg",
}
_FOREIGN_UNITS = {"length": r"feet|foot|inches|miles|yards|(?:kilo|centi)?met(?:re|er)s", "weight": _UNITS["weight"]}
_MEASURES = (  # how it is asked -> what the fact must have
    (r"how (?:tall|wide|deep|far)\b|\b(?:height|width|depth|distance)\b", "length"),
    (r"how heavy\b|\bweigh(?:t|s)?\b", "weight"),
    (r"how (?:soon|quickly)\b|how much (?:more )?time\b|\b(?:deadline|time (?:limit|frame|period)|duration)\b", "time"),
    (r"how long\b", "time|length"),
)
REPEATED = re.compile(
    rf"\b(?:every|each|per|an?) (?:\w+ )?(?:{_UNITS['time']}|\w+day|spring|summer|autumn|winter)\b"
    r"|\b(?:once|twice|times|daily|weekly|monthly|yearly|annually|always|never|\w+days)\b",
    re.IGNORECASE,
)
_A_TIME = re.compile(
    r"\b(?:until|till|before|after|when|while|as long as|noon|midnight|morning|evening|spring|summer|autumn|winter"
    rf"|always|forever|life|\w+day|{MONTHS})\b",
    re.IGNORECASE,
)


_AGED = re.compile(
    r"\b(?:old|older|oldest|young|younger|youngest|age[ds]?|born|built|made|under|over)\b", re.IGNORECASE
)


def _measure(asked: str, statement: str, detail: str) -> str:
    """Return what a question measures that its answer has no number of, or ""."""
    told = detail if numbers(detail) else statement
    for pattern, sorts in _MEASURES:
        found = re.search(pattern, asked, re.IGNORECASE)
        if not found:
            continue
        has = any(_has_unit(told, sort) for sort in sorts.split("|"))
        if not has and not ("time" in sorts and _A_TIME.search(told)):
            return f"asks {_how(found[0])}, the fact has no {sorts.replace('|', ' or ')}"
    if re.search(r"\bhow (?:often|frequently)\b", asked, re.IGNORECASE) and not REPEATED.search(detail or statement):
        return "asks how often, the fact does not tell"
    if re.search(r"\bhow old\b", asked, re.IGNORECASE) and not _AGED.search(statement):
        return "asks how old, the fact does not tell"
    return ""


def _how(found: str) -> str:
    found = found.casefold()
    return found if found.startswith("how") else f"for a {found}"


def _has_unit(text: str, sort: str) -> bool:
    return re.search(rf"\b(?:{_UNITS[sort]})\b", text, re.IGNORECASE) is not None


def _unit(question: str, statement: str) -> str:
    """Return a measure that a question names and its fact has nothing of, or ""."""
    for sort, names_of in _FOREIGN_UNITS.items():
        found = re.search(rf"\d ?(?:{names_of})\b|\bhow many (?:{names_of})\b", question, re.IGNORECASE)
        if found and not _has_unit(statement, sort):
            return f"speaks of a {sort}, the fact has none"
    return ""


# -- what is counted and bounded -----------------------------------------------------------------------------------

_COUNTED = re.compile(
    r"\bhow many ((?:[a-z-]+ ){0,2}?[a-z-]+)(?=,|\?| (?:is|are|was|were|do|does|did|can|could|may|must|should|will"
    r"|would|has|have|of|per|in|on|at|for|to|from|with)\b)",
    re.IGNORECASE,
)


_ONE = words("one")[0]
_HOW_MUCH = re.compile(r"\bhow much\b(?! (?:more |longer )?time\b)", re.IGNORECASE)


_MONEY = re.compile(
    r"\b(?:costs?|pay\w*|paid|prices?|fees?|charge\w*|worth|rent|sold|sells?|buys?|bought|earn\w*|spen[dt]\w*|fines?"
    r"|deposits?|bills?)\b",
    re.IGNORECASE,
)


def _much(asked: str, statement: str, detail: str) -> str:
    """Return that a sum is asked for and the answer counts a few things ("six beehives"), or ""."""
    number, _, unit = detail.rpartition(" ")
    few = number.split(" ")[-1].isalpha() and is_number((words(number) or [""])[-1])
    measured = unit == "percent" or any(_has_unit(unit, sort) for sort in _UNITS)
    if not few or measured or _MONEY.search(statement):
        return ""
    return "asks how much, the fact counts things" if _HOW_MUCH.search(asked) else ""


def _count(asked: str, statement: str) -> str:
    """Return what a question counts that its fact has, but not behind the number, or ""."""
    found = _COUNTED.search(asked)
    counted = content_words(found[1].split()[-1]) if found else set()
    is_row = statement.startswith("|")  # of a table, in which the number counts what stands first
    if is_row or not counted or not counted <= content_words(statement) or not numbers(statement):
        return ""
    own = words(statement)
    places = [n for n, word in enumerate(own) if is_number(word)]
    places = [n for n in places if own[n] != _ONE] or places  # "six beehives for one household" counts beehives
    behind = {w for n in places for w in own[n + 1 : n + 4]}
    if is_number(own[-1]):
        behind.add(own[-2])  # "a pot holds litres: four"
    return "" if counted & content_words(" ".join(behind)) else f"counts {found[1]}, the fact counts something else"


_LEAST = re.compile(r"\b(?:minimum|at least|lowest|smallest|shortest|youngest|earliest|fewest)\b", re.IGNORECASE)
_MOST = re.compile(r"\b(?:maximum|at most|highest|largest|longest|biggest|oldest|latest|upper)\b", re.IGNORECASE)
_BELOW = re.compile(r"\b(?:below|under|less than|fewer than|younger than|shorter than|smaller than)\b", re.IGNORECASE)
_BY_THEN = re.compile(r"\b(?:within|at the latest|no later than)\b", re.IGNORECASE)


def _bound(asked: str, statement: str) -> str:
    """Return that a question asks for the other end of what its fact bounds, or ""."""
    told, denies = bound(statement), NEGATION.search(statement) is not None
    told = -told if told < 0 and denies else told or int(not denies and _BELOW.search(statement) is not None)
    if told > 0 and _LEAST.search(asked) and not _MOST.search(asked):
        return "asks for the least, the fact tells the most"
    if told < 0 and _MOST.search(asked) and not _LEAST.search(asked):
        return "asks for the most, the fact tells the least"
    if re.search(r"\bwait\b", asked, re.IGNORECASE) and _BY_THEN.search(statement):
        return "asks how long to wait, the fact tells by when at the latest"
    return ""


# -- what is denied, when it is, who and what ----------------------------------------------------------------------

_DENIES = re.compile(
    rf"{NEGATION.pattern}|\b(?:exclud\w+|except\w*|refus\w+|forbid\w*|forbidden|reject\w*|exempt\w*|prohibit\w*|lack\w*"
    r"|prevent\w*|lose[sd]?|lost|un(?:available|suitable|insured|acceptable|covered|cultivated|attended)|instead|only"
    r"|restrict\w*|clos\w+|leav\w+|left)\b",
    re.IGNORECASE,
)
_ASIDE = re.compile(r"\b(?:that|who|which) (?:\w+ )?(?:cannot|can't|not|never|no)\b", re.IGNORECASE)


def _denial(asked: str, statement: str, detail: str) -> str:
    """Return that one of the two denies and the other does not, or ""; a number is asked for either way."""
    if numbers(detail) or bound(statement) or _ASIDE.search(statement):
        return ""
    parts = [p for p in re.split(r"[;,]", statement) if set(words(detail)) <= set(words(p))]
    if len(parts) != 1 or re.search(r"\b(?:except|unless|but|or|instead)\b", statement, re.IGNORECASE):
        return ""
    if NEGATION.search(parts[0]) and not _DENIES.search(asked):
        return "asks for what holds, the fact denies"
    if NEGATION.search(asked) and not _DENIES_MORE.search(parts[0]):
        return "asks for what does not hold, the fact tells what does"
    return ""


def _excepted(asked: str, statement: str, detail: str) -> str:
    """Return that a question asks for what is excepted as if it were not, or ""."""
    main, _, excepted = statement.partition(" except")
    if not excepted or not set(words(detail)) <= set(words(excepted)):
        return ""
    return "asks for what the fact excepts" if bool(_DENIES.search(asked)) == bool(NEGATION.search(main)) else ""


_DENIES_MORE = re.compile(_DENIES.pattern.replace("|only", ""), re.IGNORECASE)
_WAS = re.compile(r"\b(?:when|(?:what|which) (?:year|month|day)) (?:did|was|were)\b", re.IGNORECASE)
_PAST = re.compile(r"\b(?:was|were|did|had|ago|began|took|(?<!is )(?<!are )(?<!be )\w+ed)\b", re.IGNORECASE)


_DAYS = frozenset(words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday"))
_WHEN = re.compile(rf"{checks.WHEN}|^when's\b", re.IGNORECASE)
_HOUR = re.compile(r"\b(?:at|by|until|from|after|before) (?:what|which) (?:time|hour)\b(?! of)", re.IGNORECASE)
_CLOCK = re.compile(
    r"\d ?[ap]\.?m\b|\d[:.]\d\d|\bo'clock\b"
    r"|\b(?:noon|midnight|dawn|dusk|sun(?:rise|set)|morning|evening|afternoon|night)\b"
    r"|\b(?:at|from|until|till|by|after|before|between) (?:half past |quarter (?:past|to) )?"
    r"(?:one|two|three|four|five|six|seven|eight|nine|ten|eleven|twelve)\b",
    re.IGNORECASE,
)
_HOW_LONG = re.compile(r"\bhow (?:long|much time)\b(?! ago\b| (?:has|have|is)\b)", re.IGNORECASE)
_LASTS = re.compile(
    r"\b(?:(?:takes?|took|lasts?|lasted)\b(?: \w+){0,4}?|for(?: up to| about| at (?:least|most))? \w+)"
    rf" (?:{_UNITS['time']})\b",
    re.IGNORECASE,
)


def _time(asked: str, statement: str) -> str:
    """Return that a question asks when something was or at what hour it is, and its fact tells another time, or ""."""
    if _WAS.search(asked) and not _PAST.search(statement):
        return "asks when it was, the fact tells of no past"
    if _HOUR.search(asked) and not _CLOCK.search(statement):
        return "asks for the hour, the fact tells none"
    lasts = _LASTS.search(statement)
    if _WHEN.search(asked) and lasts and not is_time(statement.replace(lasts[0], "")):
        return "asks when, the fact tells how long"
    if _HOW_LONG.search(asked) and re.search(r"\bago\b", statement, re.IGNORECASE):
        return "asks how long, the fact tells how long ago"
    days = _DAYS & set(words(statement))
    if _WHEN.search(asked) and days and days <= set(words(asked)) and not _CLOCK.search(statement):
        return "says the days that it asks for"
    return ""


_ALL = re.compile(
    r"\bwhat are (?:they|these|those)\b|\bwhat (?:are|were) (?:the|these|its|their) (?:different|various|"
    r"(?:two|three|four|five|six|seven|eight) )",
    re.IGNORECASE,
)


def _list(asked: str, statement: str) -> str:
    """Return that a question asks for all of several, and its fact has no list, or ""."""
    return "asks for a list, the fact has none" if _ALL.search(asked) and not _LISTED.search(statement) else ""


_LISTED = re.compile(r", (?:\w+ ){0,4}(?:and|or) \w| (?:and|or) (?:the |an? )?\w+(?: \w+)?[.,;]", re.IGNORECASE)


_SORT = re.compile(
    r"\b(?:what|which) (?:\w+ )?(?:kinds?|types?|sorts?|class|direction|regulation|colou?r|shape|material|role"
    r"|benefits?|functions?|process|procedures?|guide|company|person|advantages?)\b"
    r"|\bwhat (?:is|are|was|were) (?:\w+ ){1,3}?(?:names?|roles?|functions?|jobs?|benefits?|advantages?|process"
    r"|procedures?|different types|range|purpose)\b"
    r"|\bwhat does (?:the|this|an?) \w+ (?:do|represent|mean|replace)\b",
    re.IGNORECASE,
)


_CONDITION = re.compile(r"(?:only )?(?:if|when|in|for)\b", re.IGNORECASE)


def _sort(asked: str, statement: str, detail: str) -> str:
    """Return that a thing is asked for, or what something is for, and the answer is a time, a number or a condition."""
    found, is_name = _SORT.search(asked), bool(names(f"It is {detail}"))
    of_a_name = is_name and found is not None and "name" in found[0].casefold()  # "in the Old Rope Loft" has one
    if found and (numbers(detail) or is_time(detail) or (_CONDITION.match(detail) and not of_a_name)):
        return f"asks {found[0]}, the answer is a number, a time or a condition"
    if _SOMEBODY.search(asked) and is_time(detail) and not _PERSON.fullmatch(detail):
        return "asks for a person, the answer is a time"
    if _POST.search(asked) and is_name and _IS_NAME.match(statement):
        return "asks what somebody is, the answer is the name"
    if _FLOOR.search(asked) and not _FLOOR.search(detail):
        return "asks for a floor, the answer is another place"
    is_when = is_time(detail) and not detail.isdigit() and not _PERSON.fullmatch(detail)
    if _THING.search(asked) and (_TIMES.fullmatch(detail) or is_when) and not _ABOUT_TIME.search(asked):
        return "asks for a thing, the answer is a time"
    return ""


_POST = re.compile(
    r"\bwhat(?:'s| is| was) the (?:job )?(?:title|position|occupation|profession|job) of\b", re.IGNORECASE
)
_FLOOR = re.compile(r"\b(?:floor|storey)s?\b", re.IGNORECASE)
_PERSON = re.compile(r"[A-Z]\w+ (?!\w+day\b)[A-Z]\w+")  # "June Tillery" is no month
_THING = re.compile(r"\b(?:what|which)\b(?! (?:if|happens|about)\b)", re.IGNORECASE)
_TIMES = re.compile(r"(?:once|twice|\w+ times)", re.IGNORECASE)
_ABOUT_TIME = re.compile(
    rf"\b(?:{_UNITS['time']}|times?|timeframe|dates?|weekdays?|age|period|deadline|limit|length|long|duration|schedule"
    r"|often|frequency|frequently|interval|wait|maximum|minimum|most|least|when|until|opening|latest|earliest|notice|delay"
    r"|point|stage|moment|number|range|average|part|rules?|polic(?:y|ies)|pattern|threshold|punishment|penalt(?:y|ies)"
    r"|sentence|conditions?|requirements?|floor|storey|count|plan|arrangement|routine|custom|habit)\b",
    re.IGNORECASE,
)


def _said(question: str, detail: str) -> str:
    """Return that a question says half of the name or of the days that it asks for, or for a person gets a thing."""
    if _DAYS & set(words(detail)) & set(words(question)):
        return "says a part of the days that it asks for"
    if not _SOMEBODY.search(last_sentence(question)):
        return ""
    own = [w for w in words(detail) if w in names(f"It is {detail}")]
    if len(own) > 1 and own[0] in words(question):
        return "says half of the name that it asks for"
    return "asks for a person, the answer is a thing" if re.fullmatch(r"(?i:the) [A-Z]\w+ [a-z]+", detail) else ""


_SOMEBODY = re.compile(r"\b(?:who|whom|whose|(?:which|what|name of the)(?: \w+)? (?:company|person))\b", re.IGNORECASE)
_ABOVE = re.compile(
    r"\b(?:in charge of|responsible for|oversees?|supervises?|manages?|above|boss of|head of|leads?|reports? to)\b",
    re.IGNORECASE,
)
_IS_NAME = re.compile(r"(?i:the|an?) (?P<who>[^,]{3,60}?) is (?=[A-Z])")


def _head(asked: str, statement: str) -> str:
    """Return that a question asks for somebody above the person whom the fact names, or ""."""
    above, told = _ABOVE.search(asked), _IS_NAME.match(statement)
    if not above or not told or not re.search(r"\bwho\b", asked[: above.start()], re.IGNORECASE):
        return ""
    own = content_words(told["who"])
    return "asks for somebody above the one that the fact names" if own <= content_words(asked[above.end() :]) else ""


_WHOM = re.compile(r"\b(?i:whom?) (?:does|did|do|will) (?P<who>(?:[A-Z][\w'-]+ ?)+)[a-z]+")
_WHO = re.compile(
    r"\b(?i:who) (?!(?:is|are|was|were|does|did|do|will|can|has|had)\b)[a-z]+ (?P<whom>(?:[A-Z][\w'-]+ ?)+)"
)


def _turned(asked: str, statement: str) -> str:
    """Return that the one who acts and the one who is acted on have changed places, or ""."""
    told = words(statement)
    if "by" in told or not told:
        return ""
    whom, who = _WHOM.search(asked), _WHO.search(asked)
    if whom and (own := words(whom["who"])) and own[0] in told[2:] and own[0] not in told[:2]:
        return "asks whom somebody acts on, the fact tells who acts on him"
    if who and (own := words(who["whom"])) and told[: len(own)] == own and not re.search(r"\b(?:is|was)\b", statement):
        return "asks who acts on somebody, the fact tells on whom he acts"
    return ""
