"""Which documents does the question name? "Amazon in FY2017" means AMAZON_2017_10K.pdf, though all filings read alike.

A third signal of the fusion, beside vectors and words: passages of different editions of one document resemble each
other more than any of them resembles the question, so what tells them apart is the file's name.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping
from functools import lru_cache

from engine.words import terms

_PARTS = re.compile(r"\d+|[^\W\d_]{2,}")


def named(question: str, names: Mapping[str, str]) -> dict[str, float]:
    """Return, for each document (key -> file name), how far the question names it: 0..1.

    1 means that it carries every term of the question that any of the names carries; rare terms count more (inverse
    document frequency over `names`). A term that all names share tells nothing.
    """
    asked = _asked(question)
    carried = {key: _name_terms(name) & asked for key, name in names.items()}
    frequency = Counter(term for found in carried.values() for term in found)
    weight = {term: math.log(len(names) / count) for term, count in frequency.items()}
    total = sum(weight.values())
    if not total:
        return dict.fromkeys(names, 0.0)
    return {key: sum(weight[term] for term in found) / total for key, found in carried.items()}


def _asked(question: str) -> frozenset[str]:
    words = terms(question)
    # "Best Buy" is BESTBUY in a file name.
    joined = (first + second for first, second in zip(words, words[1:], strict=False))
    return frozenset([*words, *joined, *_split(words)])


@lru_cache(maxsize=50_000)
def _name_terms(name: str) -> frozenset[str]:
    stem = name.rpartition("/")[2].rpartition(".")[0] or name
    words = terms(re.sub(r"[_.-]+", " ", stem))
    return frozenset([*words, *_split(words)])


def _split(words: list[str]) -> list[str]:
    """Return the letters and the digits of mixed words: "2023q2" has 2023 in it."""
    return [part for word in words for part in _PARTS.findall(word)]
