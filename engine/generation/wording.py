"""Text -> what evidence is weighed by: content terms, numbers, names, negation, and the kind of answer a question expects.

Pure. Knows nothing of passages or models. Word lists are English; other languages fall back on terms and numbers alone.
"""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from engine.words import terms

_STOP_WORDS = """
a about after again all also am an and any are as at be because been before being between both but by can could
did do does doing don down during each either else even ever few for from further get give given had has have having he her here
hers him his how i if in into is it its itself just let many may me might more most much must my no nor not now of off on once
only or other our out over own per please same shall she should since so some such tell than that the their theirs them then
there these they this those through to too under until up upon us very was we were what when where whether which while who whom
whose why will with within without would you your
"""
_NEGATIONS = re.compile(
    r"\b(?:not|no|never|none|neither|nor|cannot|nobody|nothing|lack(?:s|ed)?|fail(?:s|ed)?|unable|except"
    r"|exclud(?:e|es|ed|ing)|refus(?:e|es|ed))\b|n['’]t\b",
    re.I,
)
_CJK_NEGATIONS = re.compile("[不没沒未無无非]")
# Not part of a word such as COVID19; scripts without spaces put digits right behind a letter.
_NUMBER = re.compile(r"(?<![A-Za-z\u00c0-\u0dff])(?<![\d.,])\d+(?:[.,]\d+)*")
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+(?:\.\d+)?")
_EUROPEAN = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+|\d{1,3}(?:\.\d{3}){2,}")
_NUMBER_WORDS = (
    {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6", "seven": "7", "eight": "8", "nine": "9", "ten": "10"}
    | {"eleven": "11", "twelve": "12", "thirteen": "13", "fourteen": "14", "fifteen": "15", "sixteen": "16"}
    | {
        "seventeen": "17",
        "eighteen": "18",
        "nineteen": "19",
        "twenty": "20",
        "thirty": "30",
        "forty": "40",
        "fifty": "50",
        "sixty": "60",
    }
    | {"seventy": "70", "eighty": "80", "ninety": "90"}
)
_WORD = re.compile(r"[^\W\d_]+(?:['’\-][^\W\d_]+)*")
_NAME = re.compile(r"(?<![\w])[A-Z][\w&]*(?:[.'’\-]\w+)*")

TIME, NUMBER, AMOUNT, PERSON, PLACE, REASON, OTHER = "time", "number", "amount", "person", "place", "reason", "other"
_KINDS = (
    (TIME, r"\bwhen\b|\b(?:what|which|whose)\b(?:\s+\w+)?\s+(?:year|date|day|month|century|decade|era|period)s?\b"),
    (NUMBER, r"\bhow\s+(?:many|much|long|old|tall|far|large|big|high|often|deep|wide|fast|heavy|few)\b"),
    (NUMBER, r"\b(?:what|which)\b.{0,25}\b(?:percent(?:age)?|number|amount|population|size|share|rate|ratio)\b"),
    (
        AMOUNT,
        r"\bwhat\s+(?:is|was|are|were)\b.{0,60}\b(?P<head>sales|revenues?|income|profits?|earnings|expenses?|costs?|cash|debt|capex"
        r"|ebitda?|assets|liabilities|inventor(?:y|ies)|salar(?:y|ies)|wages?|price|budget|turnover)\b(?!\s+\w+ing\b)",
    ),
    (PERSON, r"\bwho(?:m|se)?\b"),
    (PLACE, r"\bwhere\b|\b(?:what|which)\s+(?:country|city|state|region|continent|town|river|place|location)\b"),
    (REASON, r"\bwhy\b|\bwhat\s+(?:is|was|were|are)\s+the\s+(?:reason|cause)"),
)
_MONTHS = "january|february|march|april|may|june|july|august|september|october|november|december"
_TIME = re.compile(
    rf"\b(?:1\d{{3}}|20\d\d)s?\b|\b(?:{_MONTHS})\b|\bcentur(?:y|ies)\b|\bdecades?\b|\b\d{{1,4}}\s*(?:BCE?|AD|CE)\b", re.I
)
_REASON = re.compile(
    r"\b(?:because|since|due to|owing to|so that|in order|therefore|as a result|caused?|reason|thus|led to|for)\b", re.I
)
_LABELLED = re.compile(
    r"^\s*\(?\d{1,3}[.)](?=\s)|\b\d+\([a-z]\)|\b(?:no|nos|form|item|note|section|rule|page|exhibit|figure|table)\b\.?\s+[\w.-]*\d[\w.-]*",
    re.I,
)
_DATE = re.compile(
    rf"\b(?:{_MONTHS})\s+\d{{1,2}}\b|\b\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?(?:{_MONTHS})\b|(?<![\d.,$€£])(?:19|20)\d\d(?![\d%]|[.,]\d)",
    re.I,
)
_COUNTED = re.compile(r"\bhow\s+(?:many|much)\s+(\w+(?:\s+\w+){0,2})", re.I)
_PERCENT = re.compile(r"\d[\d.,]*\s*\)?\s?(?:%|per\s?cent\b|percent)", re.I)
_VERB = re.compile(
    r"\b(?:am|is|are|was|were|be|been|being|has|have|had|do|does|did|will|would|shall|should|can|cannot|could|may|might|must"
    r"|(?!ended\b)[a-z]{2,}ed|[a-z]+n['’]t|became|began|brought|built|came|fell|gave|grew|held|kept|led|left|lost|made|makes"
    r"|means|met|paid|ran|rose|said|says|sold|sells|spent|stood|took|told|went|won|wrote|contains|employs|includes|operates|provides|serves)\b"
)
_LOWER_WORD = re.compile(r"\b[^\W\d_A-Z][^\W\d_]*")
_PLACE = re.compile(r"\b(?:in|at|near|from|to|of|into|across|through)\s+(?:the\s+)?[A-Z]\w+")


@lru_cache(maxsize=1)
def stop_terms() -> frozenset[str]:
    """Return the terms that carry no content, as `words.terms` spells them."""
    return frozenset(terms(_STOP_WORDS))


def content_terms(text: str) -> list[str]:
    """Return the distinct terms of `text` that carry content, in order of first use; all terms when none does."""
    found = list(dict.fromkeys(terms(text)))
    return [term for term in found if term not in stop_terms() and (len(term) > 1 or not term.isascii())] or found


def numbers(text: str) -> frozenset[str]:
    """Return the numbers of `text` in plain notation: "1,234.50" and "1234.5" are equal, "three" is "3", signs are ignored."""
    found = {_plain(match) for match in _NUMBER.findall(text)}
    found |= {_NUMBER_WORDS[word] for word in _WORD.findall(text.lower()) if word in _NUMBER_WORDS}
    return frozenset(found)


def _plain(number: str) -> str:
    if _THOUSANDS.fullmatch(number):
        number = number.replace(",", "")
    elif _EUROPEAN.fullmatch(number):
        number = number.replace(".", "").replace(",", ".")
    if not number.isascii() or len(number) > 25 or number.count(".") + number.count(",") > 1:
        return number
    return f"{Decimal(number.replace(',', '.')).normalize():f}"


def figures(text: str) -> frozenset[str]:
    """Return `numbers` without those that only label: of a list item, a form, a note, a registration."""
    return numbers(_LABELLED.sub(" ", text))


def amounts(text: str) -> frozenset[str]:
    """Return `figures` without calendar dates and years."""
    return figures(_DATE.sub(" ", _LABELLED.sub(" ", text)))


def states(text: str) -> bool:
    """Return whether `text` may state something: it has a verb, an amount, or a full stop behind words that are no names.

    A heading, a letterhead ("ACME, INC."), the header row of a table and a line that leads in ("as follows:") do not. Text
    without letter case is given the benefit of the doubt.
    """
    text = text.strip()
    if text.endswith((":", "：")):
        return False
    if text.lower() == text.upper():
        return any(c.isalpha() for c in text)
    spoken = text.lower() if text.isupper() else text
    if _VERB.search(spoken) or amounts(text) or re.search(r":\s+\S|\||\t", text):
        return True
    plain = [word for word in _LOWER_WORD.findall(text) if not stop_terms().issuperset(terms(word))]
    return bool(plain) and text.rstrip("\"'”’»)]").endswith((".", "!", "?", "…", "؟", "।", "。"))


def names(text: str) -> frozenset[str]:
    """Return the terms of capitalised words that do not merely begin a sentence."""
    found: set[str] = set()
    for match in _NAME.finditer(text):
        before = text[: match.start()].rstrip(" \t\"'“‘([")
        starts = not before or before[-1] in ".!?:;\n•*-" or before.endswith("”")
        if not starts or _inner_capital(match.group()):
            found.update(term for term in terms(match.group()) if term not in stop_terms())
    return frozenset(found)


def _inner_capital(word: str) -> bool:
    return any(letter.isupper() or letter.isdigit() for letter in word[1:])


def negated(text: str) -> bool:
    """Return whether `text` holds a negation."""
    return bool(_NEGATIONS.search(text) or _CJK_NEGATIONS.search(text))


def expected_kind(question: str) -> str:
    """Return the kind of answer asked for: "time", "number", "amount", "person", "place", "reason" or "other"."""
    return next((kind for kind, pattern in _KINDS if re.search(pattern, question, re.I)), OTHER)


def counted(question: str) -> frozenset[str]:
    """Return the terms of what is counted ("how many NEW HOUSES were") or summed up ("what were the net SALES"); else none."""
    if match := _COUNTED.search(question):
        words = match[1].split()
        stop = next((i for i, word in enumerate(words) if stop_terms().issuperset(terms(word))), len(words))
        return frozenset(terms(" ".join(words[:stop])))
    amount = next((re.search(pattern, question, re.I) for kind, pattern in _KINDS if kind == AMOUNT), None)
    return frozenset(terms(amount["head"])) if amount else frozenset()


def counts(things: frozenset[str], sentence: str) -> bool:
    """Return whether an amount in `sentence` stands close to one of `things`: 4 words behind it or 6 before."""
    words = _DATE.sub(" ", _LABELLED.sub(" ", sentence)).split()
    places = (i for i, word in enumerate(words) if numbers(word))
    return any(not things.isdisjoint(terms(" ".join(words[max(0, i - 4) : i + 7]))) for i in places)


def offers(kind: str, sentence: str, *, asked: frozenset[str]) -> bool:
    """Return whether `sentence` holds something of `kind` that the question (`asked`: its terms and numbers) did not name."""
    if kind == TIME:
        return any(not asked.issuperset(terms(match.group())) for match in _TIME.finditer(sentence))
    if kind == NUMBER:
        return bool(amounts(sentence) - asked)
    if kind == AMOUNT:
        return bool(amounts(_PERCENT.sub(" ", sentence)) - asked)
    if kind == PERSON:
        return bool(names(sentence) - asked)
    if kind == PLACE:
        return any(not asked.issuperset(terms(match.group().split()[-1])) for match in _PLACE.finditer(sentence))
    return kind != REASON or bool(_REASON.search(sentence))
