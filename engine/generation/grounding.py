"""Sentence + passages -> how far the passages carry it, and which of their sentences do. Pure but for the embedder.

Strict where readers are hurt most: a number or name that the passage lacks, a negation on one side only, or an opposite
("rose"/"fell") never counts as supported. Known limits: see docs/answers.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engine.generation import wording
from engine.generation.evidence import Candidate, candidates
from engine.protocols import Embedder
from engine.types import Hit, Support
from engine.words import stem, terms

COVERED, COVERED_WITH_LIKENESS, COVERED_IN_PART = 0.8, 0.5, 0.4
LIKE, SOMEWHAT_LIKE = 0.85, 0.6
CLAUSE_COVERED = 0.4
SHORTLIST = 3

_CLAUSE = re.compile(r"[,;:(]\s+|\s+(?:and|but|while|whereas|although|though|however|because|which|who)\s+|[，；、]", re.I)
_QUANTIFIERS = frozenset({"all", "same", "only", "every", "both", "most", "always", "without", "equal", "entire", "each"})
_PRONOUN = re.compile(
    r"\b(?:it|its|he|she|they|his|her|their|this|these|the\s+(?:company|group|firm|bank|agency|party))\b", re.I
)
_YEAR = re.compile(r"(?<!\d)(?:1[5-9]|20)\d\d(?!\d)")
_MOVE = re.compile(r"\b(from|to)\s+(?:the\s+)?([A-Z]\w+)")
_OPPOSITES = tuple(
    (stem(one), stem(other))
    for one, other in (
        *(("increase", "decrease"), ("increased", "declined"), ("rise", "fall"), ("rose", "fell"), ("rose", "declined")),
        *(("grew", "shrank"), ("grew", "declined"), ("gain", "loss"), ("profit", "loss"), ("higher", "lower"), ("high", "low")),
        *(
            ("more", "less"),
            ("more", "fewer"),
            ("before", "after"),
            ("first", "last"),
            ("largest", "smallest"),
            ("above", "below"),
        ),
        *(("win", "lose"), ("won", "lost"), ("include", "exclude"), ("import", "export"), ("buy", "sell"), ("bought", "sold")),
        *(("accept", "reject"), ("allow", "forbid"), ("permitted", "prohibited"), ("open", "close"), ("always", "never")),
        *(("north", "south"), ("east", "west"), ("maximum", "minimum"), ("best", "worst"), ("early", "late"), ("begin", "end")),
        *(("increase", "decline"), ("increase", "fall"), ("increased", "fell"), ("grew", "fell"), ("rise", "decline")),
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A slice of passage number `n`: `passages[n - 1].chunk.text[start:end]`."""

    n: int
    start: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Grounding:
    """The verdict on one statement; `spans` are the sentences it rests on, at most one slice of each passage."""

    support: Support
    spans: tuple[Span, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """One to three neighbouring sentences of one passage, measured against a statement."""

    sentences: tuple[Candidate, ...]
    best: Candidate
    coverage: float
    likeness: float = 0.0


def ground(statements: Sequence[tuple[str, Sequence[int]]], passages: Sequence[Hit], *, embedder: Embedder) -> list[Grounding]:
    """Return the verdict on each (text, cited passage numbers), in order. CPU work. Raises ProviderError.

    Cited passages are asked first; when they do not carry the statement, or none is cited, all passages are. Whole sentences
    that stand word for word in a passage are supported by construction and cost no embedding.
    """
    sentences = candidates(passages)
    verdicts: list[Grounding | None] = []
    for text, cited in statements:
        verdicts.append(_verbatim(text, cited, passages, sentences))
    open_ones = [i for i, verdict in enumerate(verdicts) if verdict is None]
    shortlists = {i: _shortlist(*statements[i], sentences) for i in open_ones}
    likeness = _likeness({statements[i][0]: [one.text for one in shortlists[i]] for i in open_ones}, embedder)
    return [
        verdict or _weighed(statements[i][0], statements[i][1], passages, sentences, shortlists[i], likeness)
        for i, verdict in enumerate(verdicts)
    ]


def _verbatim(text: str, cited: Sequence[int], passages: Sequence[Hit], sentences: Sequence[Candidate]) -> Grounding | None:
    words = text.split()
    if not words:
        return Grounding(support=Support.UNSUPPORTED)
    pattern = re.compile(r"\s+".join(map(re.escape, words)))
    starts = {(one.n, one.start) for one in sentences}
    ends = {(one.n, one.end) for one in sentences}
    for n in dict.fromkeys((*cited, *range(1, len(passages) + 1))):
        for match in pattern.finditer(passages[n - 1].chunk.text):
            # Part of a sentence may say the opposite of the whole: "profit rose" within "it is not true that profit rose".
            if (n, match.start()) in starts and (n, match.end()) in ends:
                return Grounding(support=Support.SUPPORTED, spans=(Span(n=n, start=match.start(), end=match.end()),))
    return None


def _shortlist(text: str, cited: Sequence[int], sentences: Sequence[Candidate]) -> list[Candidate]:
    """Return the sentences with most of the statement's terms: of all, and the best one of each cited passage."""
    wanted = wording.content_terms(text)
    ranked = sorted(sentences, key=lambda one: (-_share(wanted, one.terms), one.n, one.position))
    best_of_passage = {one.n: one for one in reversed(ranked)}
    return list(dict.fromkeys((*ranked[:SHORTLIST], *(best_of_passage[n] for n in cited if n in best_of_passage))))


def _likeness(pairs: dict[str, list[str]], embedder: Embedder) -> dict[tuple[str, str], float]:
    texts = list(dict.fromkeys(text for statement, others in pairs.items() for text in (statement, *others)))
    rows = dict(zip(texts, embedder.embed_documents(texts), strict=True)) if texts else {}
    return {(one, other): float(rows[one] @ rows[other]) for one, others in pairs.items() for other in others}


def _weighed(
    text: str,
    cited: Sequence[int],
    passages: Sequence[Hit],
    sentences: Sequence[Candidate],
    shortlist: Sequence[Candidate],
    likeness: dict[tuple[str, str], float],
) -> Grounding:
    windows = [_grown(text, one, sentences, likeness[text, one.text]) for one in shortlist]
    windows.sort(key=lambda one: -(one.coverage + 0.5 * one.likeness))
    own = [one for one in windows if one.best.n in cited]
    verdict = _verdict(text, own, passages)
    if verdict.support is Support.SUPPORTED:
        return verdict
    best = _verdict(text, windows[:1], passages)
    return best if _RANK[best.support] > _RANK[verdict.support] else verdict


_RANK = {Support.UNSUPPORTED: 0, Support.PARTLY: 1, Support.SUPPORTED: 2}


def _grown(text: str, best: Candidate, sentences: Sequence[Candidate], likeness: float) -> _Window:
    """Return `best` with those neighbours that carry something more of the statement."""
    wanted = wording.content_terms(text)
    around = {one.position: one for one in sentences if one.n == best.n}
    chosen, present = [best], set(best.terms)
    for position in (best.position - 1, best.position + 1):
        if (neighbour := around.get(position)) and any(term in neighbour.terms and term not in present for term in wanted):
            chosen.append(neighbour)
            present |= neighbour.terms
    chosen.sort(key=lambda one: one.position)
    return _Window(sentences=tuple(chosen), best=best, coverage=_share(wanted, present), likeness=likeness)


def _verdict(text: str, windows: Sequence[_Window], passages: Sequence[Hit]) -> Grounding:
    """Judge a statement against the best window of each passage among `windows`, taken together."""
    firsts = list({one.best.n: one for one in reversed(windows)}.values())[::-1]
    if not firsts:
        return Grounding(support=Support.UNSUPPORTED)
    lead = max(firsts, key=lambda one: one.coverage + 0.5 * one.likeness)
    alone = _judged(text, [lead], passages)
    if alone is Support.SUPPORTED or len(firsts) == 1:
        return Grounding(support=alone, spans=(_span(lead),))
    together = _judged(text, firsts, passages)
    if _RANK[together] > _RANK[alone]:
        return Grounding(support=together, spans=tuple(_span(one) for one in firsts))
    return Grounding(support=alone, spans=(_span(lead),))


def _span(window: _Window) -> Span:
    return Span(n=window.best.n, start=window.sentences[0].start, end=window.sentences[-1].end)


def _judged(text: str, windows: Sequence[_Window], passages: Sequence[Hit]) -> Support:
    wanted = wording.content_terms(text)
    sources = [_source(one, passages) for one in windows]
    present = frozenset().union(*(wording.content_terms(source) for source in sources))
    covered = _share(wanted, present)
    like = max(one.likeness for one in windows)
    enough = covered >= COVERED or (covered >= COVERED_WITH_LIKENESS and like >= LIKE)
    if enough and all(_share(part, present) >= CLAUSE_COVERED for part in _clauses(text)):
        quoted = " ".join(one.best.text for one in windows)
        # "It moved to Bristol" leans on a name elsewhere in the passage; a sentence without a pronoun does not.
        around = [one.best.passage for one in windows if _PRONOUN.search(one.best.text)]
        if not (_misses(text, " ".join(sources), present.union(*around)) or _contradicts(text, quoted)):
            return Support.SUPPORTED
    if covered >= COVERED_IN_PART or (like >= SOMEWHAT_LIKE and covered > 0):
        return Support.PARTLY
    return Support.UNSUPPORTED


def _source(window: _Window, passages: Sequence[Hit]) -> str:
    chunk = passages[window.best.n - 1].chunk
    return " \n".join((chunk.title, *chunk.section, chunk.context, *(one.text for one in window.sentences)))


def _clauses(text: str) -> Iterator[list[str]]:
    """Yield the content terms of each part of a sentence that can be true or false by itself."""
    for clause in _CLAUSE.split(text):
        if len(words := wording.content_terms(clause)) >= 2:
            yield words


def _misses(text: str, source: str, named: frozenset[str]) -> bool:
    """Return whether a number or quantifier of the statement is missing in the source, or a name in `named`."""
    first = re.match(r"\W*(\w+)", text)
    names = wording.names(text) | (wording.names(f"- x {first.group(1)}") if first else frozenset())
    quantified = _QUANTIFIERS.intersection(_words(text))
    return not (wording.numbers(text) <= wording.numbers(source) and names <= named and quantified <= set(_words(source)))


def _contradicts(text: str, quoted: str) -> bool:
    stated, told = {stem(word) for word in _words(text)}, {stem(word) for word in _words(quoted)}
    for pair in _OPPOSITES:
        for one, other in (pair, pair[::-1]):
            if one in stated and other not in stated and other in told and one not in told:
                return True
    return _denied(text, stated) != _denied(quoted, stated) or _swapped(text, quoted) or _misdated(text, quoted)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _denied(text: str, stated: set[str]) -> tuple[bool, bool]:
    """Return whether the clauses of `text` that speak of what is stated hold a negation, and whether a "without"."""
    clauses = [(len(stated.intersection(wording.content_terms(part))), part) for part in _CLAUSE.split(text)]
    most = max(shared for shared, _ in clauses)
    near = " ".join(part for shared, part in clauses if shared * 2 >= most)
    return wording.negated(near), "without" in _words(near)


def _swapped(text: str, quoted: str) -> bool:
    """Return whether names change places: "Alice sued Bob" against "Bob sued Alice", "from A to B" against "from B to A"."""
    moves, told_moves = set(_MOVE.findall(text)), set(_MOVE.findall(quoted))
    if any(({"from": "to", "to": "from"}[way], place) in told_moves - moves for way, place in moves - told_moves):
        return True
    told = terms(quoted)
    names = [term for term in terms(text) if term in wording.names(f"x {text}") and term in told]
    passive = ("by" in _words(text)) != ("by" in _words(quoted))
    if passive or len(names) < 2 or names[0] not in terms(text)[:2] or not set(wording.content_terms(text)) <= set(told):
        return False
    return told.index(names[0]) > told.index(names[-1])


def _misdated(text: str, quoted: str) -> bool:
    """Return whether a number stands in a clause of another year than the statement's only year."""
    years = set(_YEAR.findall(text))
    values = wording.numbers(text) - years
    clauses = [part for part in _CLAUSE.split(quoted) if values & wording.numbers(part)]
    return len(years) == 1 and any(_YEAR.search(part) and not years & set(_YEAR.findall(part)) for part in clauses)


def _share(wanted: Sequence[str], present: frozenset[str] | set[str]) -> float:
    return sum(term in present for term in wanted) / len(wanted) if wanted else 0.0
