"""Text -> the terms that word search and grounding compare: normalised, stemmed, and split where a script has no spaces.

docs/retrieval.md holds the measurements behind each choice. Equal words must give equal terms in a question and in a
passage, so nothing here depends on the rest of the text (no guess of its language).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from threading import Lock

import snowballstemmer

# Scripts written without spaces between words, and Hangul, whose particles hang on words: Kana, Han, Hangul, Thai, Lao,
# Tibetan, Myanmar, Khmer. Their runs become overlapping pairs of characters (Lee & Ahn 1996 for Korean).
_PAIRED = (
    "\u0e00-\u0fff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u3005\u3040-\u30ff\u3130-\u318f\u3400-\u4dbf\u4e00-\u9fff"
    "\ua960-\ua97f\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
# `\w` leaves out the combining marks that are part of words: accents, Hebrew points, Arabic signs, Indic vowels.
_MARKS = "\u0300-\u036f\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
_LETTER = f"(?:[^\\W_{_PAIRED}]|[{_MARKS}])"
_TOKEN = re.compile(
    f"(?P<paired>[{_PAIRED}]+)|(?P<number>[0-9]+(?:[.,][0-9]+)+(?!{_LETTER}))|(?P<word>{_LETTER}+(?:['\u2019]{_LETTER}+)?)"
)
_THOUSANDS = re.compile(r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])|(?<=[A-Za-z])(?=[0-9]{4})")
_HAN = re.compile("[\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_ARABIC = re.compile("[\u0600-\u06ff]")
_ARABIC_SIGNS = re.compile("[\u0610-\u061a\u0640\u064b-\u065f\u0670\u06d6-\u06ed]")
# Spellings of one letter: alef with and without hamza, ya with and without dots; after stemming also ta marbuta and ha.
_ARABIC_LETTERS = str.maketrans("\u0623\u0625\u0622\u0671\u0649", "\u0627\u0627\u0627\u0627\u064a")
_ARABIC_ENDINGS = str.maketrans("\u0629\u0624\u0626", "\u0647\u0648\u064a")
_INDIC = re.compile("[\u0900-\u0dff]")
# Zero width, direction, filler, tag and variation characters, and controls: shown by nothing, read by models.
INVISIBLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u2069\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff9-\ufffb"
    "\U000e0000-\U000e0fff\x00-\x08\x0b\x0c\x0e-\x1f\x7f]"
)
MAX_TERM_CHARS = 64
CACHED_WORDS = 200_000

# "no" and "not" stay: whether a passage carries a sentence can hang on them.
# fmt: off
STOP_WORDS = frozenset((
    "a", "about", "after", "all", "also", "an", "and", "any", "are", "as", "at", "be", "been", "before", "between",
    "but", "by", "can", "could", "did", "do", "does", "each", "for", "from", "had", "has", "have", "he", "her", "his",
    "how", "i", "if", "in", "into", "is", "it", "its", "more", "most", "of", "on", "or", "other", "our", "per",
    "she", "some", "such", "than", "that", "the", "their", "then", "there", "these", "they", "this", "to", "was", "we",
    "were", "what", "when", "where", "which", "who", "whom", "why", "will", "with", "would", "you", "your",
))
# fmt: on


def terms(text: str) -> list[str]:
    """Return the terms of `text` in order, repeated terms included, common English words left out.

    A number loses its thousands separators; an identifier such as `maxPageCount` or `FY2017` gives itself and its parts; a
    run of a script without spaces gives its overlapping pairs of characters, and each Chinese character alone, which often
    is a word.
    """
    found: list[str] = []
    for match in _TOKEN.finditer(unicodedata.normalize("NFKC", text)):
        token = match.group()
        if match.lastgroup == "paired":
            found += [token[i : i + 2] for i in range(max(1, len(token) - 1))]
            found += _HAN.findall(token) if len(token) > 1 else ()
        elif match.lastgroup == "number":
            found.append(token.replace(",", "") if _THOUSANDS.fullmatch(token) else token)
        else:
            found += _word_terms(token)
    return found


@lru_cache(maxsize=CACHED_WORDS)
def _word_terms(token: str) -> tuple[str, ...]:
    # IT, US and WHO are names.
    kept = frozenset() if len(token) > 1 and token.isupper() else STOP_WORDS
    return tuple(stem(word) for word in _words(token) if word and word not in kept)


def _words(token: str) -> Iterator[str]:
    base, _, suffix = token.replace("\u2019", "'").partition("'")
    yield fold(base)
    # "company's", "don't" end in a grammatical letter; in "l'entreprise" the second part is the word.
    if len(suffix) > 2:
        yield fold(suffix)
    parts = _HUMP.split(base)
    if len(parts) > 1:
        yield from (fold(part) for part in parts if len(part) > 2)


@lru_cache(maxsize=CACHED_WORDS)
def stem(word: str) -> str:
    """Return the stem of one word (any case). Arabic by Snowball's Arabic, all else by Snowball's English (Porter 2)."""
    word = fold(word)
    if word.isascii() and not word.isalpha():
        return word
    with _lock:
        if _ARABIC.search(word):
            return str(_arabic.stemWord(word.translate(_ARABIC_LETTERS))).translate(_ARABIC_ENDINGS)
        return str(_english.stemWord(word))


def without_invisible(source: str) -> str:
    """Return `source` without the characters that no reader sees: what a model may be given of a document."""
    return source if source.isascii() and source.isprintable() else INVISIBLE.sub("", source)


def fold(word: str) -> str:
    """Return `word` in lower case without accents, points and lengthening; at most MAX_TERM_CHARS characters.

    Vowel signs of Indic scripts stay: there they are letters.
    """
    word = _ARABIC_SIGNS.sub("", word.casefold())
    if not word.isascii() and not _INDIC.search(word) and not _ARABIC.search(word):
        word = "".join(c for c in unicodedata.normalize("NFKD", word) if not unicodedata.combining(c))
    return word[:MAX_TERM_CHARS]


# The stemmers keep the word they work on in themselves, so two threads must not share a call.
_lock = Lock()
_english = snowballstemmer.stemmer("english")
_arabic = snowballstemmer.stemmer("arabic")
