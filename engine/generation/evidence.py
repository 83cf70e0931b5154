"""Question and passages -> candidate sentences with the evidence that each of them answers. Pure."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from engine.documents import Chunk
from engine.generation import wording
from engine.sentences import sentence_spans
from engine.types import Hit
from engine.words import terms

_LINE = re.compile(r"[^\s\n](?:[^\n]*[^\s\n])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One sentence: `text == chunk.text[start:end]` of passage number `n`; `position` counts sentences in the passage.

    `read` is the text with the header of its table, if any. `terms` are those of `read`, `near` also those of the neighbours,
    `passage` those of everything around it.
    """

    n: int
    position: int
    start: int
    end: int
    text: str
    read: str
    sequence: tuple[str, ...]
    terms: frozenset[str]
    near: frozenset[str]
    passage: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A question taken apart."""

    text: str
    terms: tuple[str, ...]
    numbers: frozenset[str]
    names: frozenset[str]
    kind: str
    counted: frozenset[str]
    negated: bool
    asked: frozenset[str]


def read_question(text: str) -> Question:
    """Return the parts of a question that evidence is measured against."""
    numbers = wording.numbers(text)
    return Question(
        text=text,
        terms=tuple(wording.content_terms(text)),
        numbers=numbers,
        names=wording.names(text),
        kind=wording.expected_kind(text),
        counted=wording.counted(text),
        negated=wording.negated(text),
        asked=frozenset(terms(text)) | numbers,
    )


def candidates(hits: Sequence[Hit]) -> list[Candidate]:
    """Return every sentence of every passage, in order, but for findings; sentences without a letter or digit are left out."""
    found: list[Candidate] = []
    for n, hit in enumerate(hits, start=1):
        chunk = hit.chunk
        spans = [span for span in _spans(chunk) if any(c.isalnum() for c in chunk.text[slice(*span)])]
        sequences = [tuple(terms(chunk.text[start:end])) for start, end in spans]
        header = frozenset(terms(chunk.context))
        around = header.union(terms(" ".join((chunk.title, *chunk.section))), *sequences)
        for position, ((start, end), sequence) in enumerate(zip(spans, sequences, strict=True)):
            near = frozenset().union(*sequences[max(0, position - 1) : position + 2], header)
            found.append(
                Candidate(
                    n=n,
                    position=position,
                    start=start,
                    end=end,
                    text=chunk.text[start:end],
                    read=f"{chunk.context} {chunk.text[start:end]}".strip(),
                    sequence=sequence,
                    terms=header.union(sequence),
                    near=near,
                    passage=around,
                )
            )
    return found


def statements(found: Sequence[Candidate], hits: Sequence[Hit]) -> list[Candidate]:
    """Return the candidates that may state something (`wording.states`) and are no heading or header row of their passage.

    All of them when none does: a refusal is for the judge to give.
    """
    kept = []
    for one in found:
        chunk = hits[one.n - 1].chunk
        headings = {_plain(line) for line in (chunk.context, *chunk.context.splitlines(), chunk.title, *chunk.section)}
        if _plain(one.text) not in headings and (is_row(one.text, chunk.context) or wording.states(one.text)):
            kept.append(one)
    return kept or list(found)


_SUPERLATIVE = re.compile(r"\b(?:(most|highest|largest|greatest|biggest|maximum)|least|fewest|lowest|smallest|minimum)\b", re.I)


def extremes(question: Question, found: Sequence[Candidate], hits: Sequence[Hit]) -> frozenset[int]:
    """Return the indices of the rows that hold what a superlative asks for: the extreme of the best named column of figures.

    Tables with the same header count as one. Only rows among the passages are compared.
    """
    asks = _SUPERLATIVE.search(question.text)
    tables: dict[str, list[int]] = {}
    for index, one in enumerate(found if asks else ()):
        if is_row(one.text, header := hits[one.n - 1].chunk.context):
            tables.setdefault(header, []).append(index)
    best: set[int] = set()
    for header, rows in tables.items():
        shared, values = 0, {}
        for position, name in enumerate(cells(header, header)):
            column = {
                index: value for index in rows if (value := _value(cells(found[index].text, header)[position])) is not None
            }
            if column and (named := len(frozenset(question.terms) & frozenset(terms(name)))) > shared:
                shared, values = named, column
        extreme = (max if asks and asks[1] else min)(values.values(), default=None)
        best.update(index for index, value in values.items() if value == extreme)
    return frozenset(best)


def is_row(line: str, header: str) -> bool:
    """Return whether `line` has as many cells as the header of its table, at least two."""
    return len(cells(line, header)) == len(cells(header, header)) > 1


def cells(line: str, header: str) -> list[str]:
    """Return the cells of a line, parted by what parts those of `header`; the whole line when nothing does."""
    separator = next((one for one in ("|", "\t", ";", ",") if one in header), None)
    return [" ".join(cell.split()) for cell in line.strip().strip("|").split(separator)] if separator else [line]


def _value(cell: str) -> float | None:
    found = wording.numbers(cell)
    try:
        return float(next(iter(found))) if len(found) == 1 else None
    except ValueError:
        return None


def _plain(line: str) -> str:
    return " ".join(line.split())


def _spans(chunk: Chunk) -> list[tuple[int, int]]:
    spans: list[tuple[int, int]] = []
    for start, end in _outside(chunk):
        if not chunk.context:
            spans += [(start + left, start + right) for left, right in sentence_spans(chunk.text[start:end])]
        else:
            # A context is the header of a table, whose rows are lines: a full stop inside a cell ends nothing.
            spans += [match.span() for match in _LINE.finditer(chunk.text, start, end)]
    return spans


def _outside(chunk: Chunk) -> list[tuple[int, int]]:
    """Return the stretches outside the findings: what tries to command its reader is never quoted as an answer."""
    found: list[tuple[int, int]] = []
    position = 0
    for start, end in (*sorted((one.start, one.end) for one in chunk.findings), (len(chunk.text), len(chunk.text))):
        if start > position:
            found.append((position, start))
        position = max(position, end)
    return found


def rarity(found: Sequence[Candidate]) -> Mapping[str, float]:
    """Return the inverse document frequency of each term over the candidate sentences (Robertson's, never negative)."""
    counts = Counter(term for one in found for term in one.terms)
    return {term: _idf(len(found), count) for term, count in counts.items()}


def _idf(total: int, count: int) -> float:
    return math.log(1 + (total - count + 0.5) / (count + 0.5))


def coverage(wanted: Iterable[str], present: frozenset[str], idf: Mapping[str, float], *, unseen: float) -> float:
    """Return the share of `wanted`, weighed by rarity, that is `present`; 0..1. `unseen` weighs terms outside `idf`."""
    weights = {term: idf.get(term, unseen) for term in wanted}
    total = sum(weights.values())
    return sum(weight for term, weight in weights.items() if term in present) / total if total else 0.0


LEXICAL_FEATURES = ("here", "pairs", "kind", "numbers", "names", "first", "length")


def lexical_features(question: Question, one: Candidate, idf: Mapping[str, float], *, unseen: float) -> tuple[float, ...]:
    """Return the numbers of LEXICAL_FEATURES for one candidate, each 0..1.

    Share of the question's terms, weighed by rarity, in the sentence; share of its neighbouring terms that are close together;
    whether something of the expected kind is offered; shares of its numbers (sentence) and names (passage); one over the
    passage's rank; length up to 40 terms.
    """
    return (
        coverage(question.terms, one.terms, idf, unseen=unseen),
        _pairs(question.terms, one.sequence),
        kind_offered(question, one),
        _share(question.numbers, wording.numbers(one.text)),
        _share(question.names, one.passage),
        1 / one.n,
        min(1.0, len(one.sequence) / 40),
    )


def kind_offered(question: Question, one: Candidate) -> float:
    """Return 1 when something of the expected kind is offered; 0.5 for a number of other things than those counted; else 0."""
    if not wording.offers(question.kind, one.text, asked=question.asked):
        return 0.0
    if question.kind == wording.AMOUNT:
        return float(not question.counted.isdisjoint(one.terms))
    headed = not question.counted.isdisjoint(one.terms.difference(one.sequence))
    counting = question.kind == wording.NUMBER and question.counted and not headed
    return 0.5 if counting and not wording.counts(question.counted, one.text) else 1.0


ANSWER_FEATURES = ("near", "kind", "numbers", "names", "cosine", "most_cosine", "gap", "not_denied")


def answer_features(
    question: Question, best: Candidate, idf: Mapping[str, float], *, unseen: float, cosine: float, most_cosine: float
) -> tuple[float, ...]:
    """Return the numbers of ANSWER_FEATURES for a question and its best sentence, each 0..1.

    Share of the question's terms in the sentence and its neighbours; kind, numbers and names as above; cosine of the sentence,
    and the highest of all sentences; rarity of the rarest question term that the sentence lacks, as a share of `unseen`;
    whether the question is negated and the sentence is not.
    """
    missing = (idf.get(term, unseen) for term in question.terms if term not in best.terms)
    return (
        coverage(question.terms, best.near, idf, unseen=unseen),
        kind_offered(question, best),
        _share(question.numbers, wording.numbers(best.text)),
        _share(question.names, best.passage),
        cosine,
        most_cosine,
        max(missing, default=0.0) / unseen,
        float(question.negated and not wording.negated(best.text)),
    )


def _share(wanted: frozenset[str], present: frozenset[str]) -> float:
    return len(wanted & present) / len(wanted) if wanted else 1.0


def _pairs(wanted: Sequence[str], sequence: Sequence[str]) -> float:
    """Return the share of neighbouring question terms that are also close together (3 terms) in the sentence."""
    places: dict[str, list[int]] = {}
    for index, term in enumerate(sequence):
        places.setdefault(term, []).append(index)
    pairs = list(zip(wanted, wanted[1:], strict=False))
    close = sum(any(abs(a - b) <= 3 for a in places.get(x, ()) for b in places.get(y, ())) for x, y in pairs)
    return close / len(pairs) if pairs else 0.0
