"""Follow-up question + conversation -> a question that can be searched on its own. Pure, no model.

Conservative: a question is touched only when its wording shows that something is missing. What is added are words of the
conversation, in brackets or in place of the value they replace, so that the reader sees what was searched.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from engine.generation import wording
from engine.generation.prompt import is_refusal
from engine.types import Message
from engine.words import terms

MAX_TURNS = 6
MAX_ADDED_WORDS = 10

_PERSON = re.compile(r"\b(?:he|him|his|she|her|hers)\b", re.I)
_THING = re.compile(r"\b(?:it|its|they|them|their|theirs|these|those)\b", re.I)
_POINTING = re.compile(
    r"\b(?:this|that)(?=\s*[?.!]|$)|\b(?:about|in|by|after|before|for|from|with|does|did|was|do)\s+(?:this|that)\b|^is\s+(?:this|that)\b"
    r"|\bthe\s+(?:same|former|latter|company|firm|author|report|document|contract|study|paper|agreement)\b(?!\s+(?:\w+\s+)?of\b)",
    re.I,
)
_EXPLETIVE = re.compile(
    r"\b(?:is|was|does|did|will|would|can|could|should|has)\s+it\s+(?:take|possible|true|necessary|legal|likely|allowed|mean|cost|rain)\b"
    r"|\bit\s+(?:takes?|is|was|seems|appears|follows)\b(?=.*\b(?:to|that)\b)|\btime\s+is\s+it\b",
    re.I,
)
_OPENING = re.compile(r"^\s*(?:(?:and|but|so|or|also|then|ok(?:ay)?|well)\b[\s,]*)+", re.I)
_ABOUT = re.compile(r"^\s*(?:and\s+|but\s+)?(?:what|how)\s+about\b\s*", re.I)
_LINK = re.compile(r"^\s*(?:in|on|at|for|from|by|with|to|during|before|after|since|until|under|over|per|versus|vs)\b", re.I)
_CHINESE_FOLLOW_UP = re.compile("^(?:那么?|还有)?.{1,14}呢[?？。]?$")
_WORD = re.compile(r"[^\W_]+(?:['’.,\-&][^\W_]+)*")
_YEAR = re.compile(r"\b(?:1[5-9]|20)\d\d\b")
_NAME = r"\b\d*[A-Z][\w&]*(?:[.'’\-]\w+)*"
_NAME_RUN = re.compile(rf"{_NAME}(?:\s+(?:(?:of|the|de|van|von)\s+)?{_NAME})*")
_POSSESSIVE = re.compile(r"['’]s$")


def standalone_question(question: str, history: Sequence[Message]) -> str:
    """Return `question`, made complete from `history` (oldest message first) when it leans on the conversation.

    A question that stands on its own, or of which one cannot tell (most languages but English), is returned unchanged.
    """
    previous, answer = "", ""
    for message in history[-MAX_TURNS:]:
        if message.role == "user":
            previous, answer = (_complete(message.text, previous, answer) if previous else message.text.strip()), ""
        elif not is_refusal(message.text):
            answer = message.text
    return _complete(question, previous, answer) if previous and question.strip() else question


def _complete(question: str, previous: str, answer: str) -> str:
    stripped = question.strip()
    if _CHINESE_FOLLOW_UP.match(stripped):
        return f"{previous} {stripped}"
    if (person := _refers(_PERSON, stripped)) or _refers(_THING, stripped) or _refers(_POINTING, stripped):
        return _with_context(question, _referents(previous, answer, person=person))
    if not _elliptic(stripped):
        return question
    return _replaced(stripped, previous) or _with_context(question, _words(previous))


def _refers(pattern: re.Pattern[str], question: str) -> bool:
    """Return whether a pronoun has nothing before it in the question that it could stand for."""
    match = pattern.search(_EXPLETIVE.sub(lambda found: " " * len(found.group()), question))
    return match is not None and not _names(question[: match.start()])


def _elliptic(question: str) -> bool:
    """Return whether the question is a fragment: "and in 2016?", "what about Globex?", "why?"."""
    if _ABOUT.match(question):
        return True
    rest = _OPENING.sub("", question)
    content = [term for term in wording.content_terms(rest) if term not in wording.stop_terms()]
    if not content:
        return question.isascii()
    if len(content) > 3:
        return False
    opened = rest != question.lstrip()
    return bool(_LINK.match(rest)) or (opened and len(terms(rest)) <= 5)


def _replaced(question: str, previous: str) -> str:
    """Return `previous` with its one year or its one name exchanged for that of the fragment; "" when that is not clear-cut."""
    fragment = _ABOUT.sub("", _OPENING.sub("", question))
    new_years, old_years = _YEAR.findall(fragment), _YEAR.findall(previous)
    new_names, old_names = _names(fragment), _names(previous)
    if len(new_years) == 1 and len(old_years) == 1 and not new_names:
        return previous.replace(old_years[0], new_years[0])
    if len(new_names) == 1 and len(old_names) == 1 and not new_years and _bare(fragment) == _bare(new_names[0]):
        return previous.replace(old_names[0], new_names[0])
    return ""


def _bare(text: str) -> list[str]:
    return [term for term in terms(text) if term not in wording.stop_terms()]


def _referents(previous: str, answer: str, *, person: bool) -> list[str]:
    """Return what a pronoun most likely stands for: names of the last question, for persons those of the last answer first."""
    asked, told = _names(previous), _names(answer)
    if person or (not asked and wording.expected_kind(previous) == wording.PERSON):
        return told[:1] + asked if told else asked or _words(previous)
    return asked or _words(previous)


def _with_context(question: str, words: Sequence[str]) -> str:
    present = set(terms(question))
    added = [word for word in dict.fromkeys(words) if not present.issuperset(terms(word))][:MAX_ADDED_WORDS]
    return f"{question.strip()} ({', '.join(added)})" if added else question


def _words(text: str) -> list[str]:
    """Return the content words of `text` as they are written; names stay together."""
    names = _names(text)
    rest = text
    for name in names:
        rest = rest.replace(name, " ")
    stop = wording.stop_terms()
    return names + [word for word in _WORD.findall(rest) if not stop.issuperset(terms(word)) and terms(word)]


def _names(text: str) -> list[str]:
    """Return capitalised runs that are not merely the beginning of a sentence, as they are written."""
    found: list[str] = []
    for match in _NAME_RUN.finditer(text):
        run = match.group()
        before = text[: match.start()].rstrip(" \"'“‘([")
        if not before or before[-1] in ".!?:;\n":
            first, _, others = run.partition(" ")
            if not others and wording.stop_terms().issuperset(terms(first)):
                continue
            run = others if wording.stop_terms().issuperset(terms(first)) else run
        found.append(_POSSESSIVE.sub("", run))
    return list(dict.fromkeys(found))
