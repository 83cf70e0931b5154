"""Question and passages -> ranked sentences and the probability that they answer. Two small logistic models.

Coefficients were fitted by `benchmarks/answers.py --fit`; docs/answers.md says on which questions and how well they hold.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.generation.evidence import (
    Candidate,
    Question,
    answer_features,
    candidates,
    extremes,
    kind_offered,
    lexical_features,
    rarity,
    read_question,
    statements,
)
from engine.generation.wording import AMOUNT, NUMBER
from engine.protocols import Embedder
from engine.types import Hit

RANK_WEIGHTS: Mapping[str, float] = {
    "here": 3.42, "pairs": 1.15, "kind": 1.04, "numbers": 0.69, "names": 0.51, "first": 4.44, "length": 0.77, "cosine": 3.34,
}  # fmt: skip
ANSWER_WEIGHTS: Mapping[str, float] = {
    "near": -0.30, "kind": 0.36, "numbers": 1.22, "names": 0.91, "cosine": 1.21, "most_cosine": 2.52, "gap": -0.73,
    "not_denied": -3.14,
}  # fmt: skip
ANSWER_BIAS = -3.95
THRESHOLD = 0.3
MAX_EMBEDDED = 8
EXTREME = 5.0
NO_AMOUNT = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ranked:
    """A candidate, its log-odds of holding the answer (up to a constant), and its cosine with the question."""

    candidate: Candidate
    score: float
    cosine: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """Candidates by falling score (ties in reading order) and the probability that the passages answer the question."""

    ranked: tuple[Ranked, ...]
    answerability: float


def judge(question: str, hits: Sequence[Hit], *, embedder: Embedder) -> Judgement:
    """Rank the sentences of `hits` and judge whether they answer `question`. CPU work. Raises ProviderError.

    Only the MAX_EMBEDDED best sentences by their words are embedded: this bounds the time, whatever the number of passages.
    """
    asked = read_question(question)
    found = statements(candidates(hits), hits)
    if not found or not asked.terms:
        return Judgement(ranked=(), answerability=0.0)
    idf = rarity(found)
    unseen = math.log(1 + (len(found) + 0.5) / 0.5)
    lexical = [lexical_features(asked, one, idf, unseen=unseen) for one in found]
    weights = list(RANK_WEIGHTS.values())
    known = priors(asked, found, hits)
    words = [_dot(weights[:-1], row) + prior for row, prior in zip(lexical, known, strict=True)]
    chosen = sorted(range(len(found)), key=lambda i: -words[i])[:MAX_EMBEDDED]
    cosines = embedder.embed_documents([found[i].read for i in chosen]) @ embedder.embed_query(question)
    ranked = [
        Ranked(candidate=found[i], score=words[i] + weights[-1] * float(cosine), cosine=float(cosine))
        for i, cosine in zip(chosen, cosines, strict=True)
    ]
    ranked.sort(key=lambda one: (-one.score, one.candidate.n, one.candidate.position))
    best = ranked[0]
    features = answer_features(
        asked, best.candidate, idf, unseen=unseen, cosine=best.cosine, most_cosine=max(one.cosine for one in ranked)
    )
    odds = ANSWER_BIAS + _dot(list(ANSWER_WEIGHTS.values()), features)
    return Judgement(ranked=tuple(ranked), answerability=1 / (1 + math.exp(-odds)))


def priors(asked: Question, found: Sequence[Candidate], hits: Sequence[Hit]) -> list[float]:
    """Return log-odds set by hand, for SQuAD has neither tables nor lines of accounts.

    EXTREME is added to the row that a superlative asks for, more than rank and wording tell rows apart. NO_AMOUNT is taken from
    a sentence without a number when a number is asked for, and from one without an amount of what is asked ("net sales").
    """
    extreme = extremes(asked, found, hits)
    amount = asked.kind in (AMOUNT, NUMBER)
    return [EXTREME * (i in extreme) - NO_AMOUNT * (amount and not kind_offered(asked, one)) for i, one in enumerate(found)]


def _dot(weights: Sequence[float], values: Sequence[float]) -> float:
    return sum(weight * value for weight, value in zip(weights, values, strict=True))
