"""Text of a document -> how much of it tries to command whoever reads it, where, and in which way. Pure, and linear in time.

Rules, not a model: what they catch and miss is measured in docs/hostile-content.md. A finding covers whole sentences, so that
an answer can leave them out and still quote the sentence beside them.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from engine.documents import Finding
from engine.security.hidden_characters import hidden_spans
from engine.security.injection_languages import LANGUAGES
from engine.security.injection_rules import DEMAND, FOLLOW_UP, REASONS, RULES, SECRETS
from engine.security.obscured import decoded
from engine.security.visible import visible
from engine.sentences import sentence_spans

STRONG = 0.6
"""Weight at which a sentence makes the one after it suspect."""
FOLLOW_CHARS = 240
LEFT_OVER = 24
"""Letters and digits outside the findings below which a passage says nothing else."""
DOMINATED = 0.75
"""How much of the way to certainty a passage goes that says nothing else."""
REPEATS = 6
FLOOD = 0.65
_SPELLED = re.compile(r"(?:\b\w[ ._*~-]{1,3}){9,}\w\b")

Hit = tuple[int, int, str, float]
"""Start, end, kind, weight."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """`score` is 0..1; `findings` are in order and their offsets count in the text that was assessed."""

    score: float = 0.0
    findings: tuple[Finding, ...] = ()


def assess(text: str) -> Assessment:
    """Return how suspicious a passage is. One hostile sentence scores fully, however long the rest.

    0.5 to 0.85: it holds sentences that command, beside others. 0.9 and more: it holds little else.
    """
    seen = visible(text)
    hits = [*_commands(seen.text), *_disguised(seen.text)]
    hidden = [(start, end, "hidden_characters", weight) for start, end, weight in hidden_spans(text, says=_says)]
    if not hits and not hidden:
        return Assessment()
    spans = _sentences(seen.text)
    hits = [*_on_sentences(hits, spans), *_floods(seen.text, spans, hits)]
    hits += _follow_ups(seen.text, spans, hits)
    found = [(*seen.source(start, end), kind, weight) for start, end, kind, weight in hits] + hidden
    return Assessment(_score(text, found), _findings(found))


def _says(text: str) -> float:
    """Return how much a text that was hidden or encoded commands, 0..1."""
    return max((weight for *_, weight in _commands(text)), default=0.0)


def _commands(text: str) -> Iterator[Hit]:
    low = text.lower()
    for rule in (*RULES, *LANGUAGES):
        if any(stem in low for stem in rule.stems):
            for match in rule.pattern.finditer(text if rule.cased else low):
                start = match.start() + len(match.group()) - len(match.group().lstrip(" \n.!?:;,|>\"')*]-"))
                if start < match.end():
                    yield start, match.end(), rule.kind, rule.weight


def _disguised(text: str) -> Iterator[Hit]:
    for start, end, plain in decoded(text):
        if (weight := _says(plain)) > 0:
            yield start, end, "encoded", weight
    for match in _SPELLED.finditer(text):
        letters = "".join(filter(str.isalnum, match.group())).lower()
        if any(word in letters for word in SECRETS):
            yield match.start(), match.end(), "override", STRONG


def _sentences(text: str) -> list[tuple[int, int]]:
    """Return the sentences; the cells of a table's row stay together and apart from other rows."""
    if " | " not in text:
        return sentence_spans(text)
    spans: list[tuple[int, int]] = []
    position = 0
    for line in text.splitlines(keepends=True):
        spans += [
            (position + start, position + end)
            for start, end in ([(0, len(line.rstrip()))] if " | " in line else sentence_spans(line))
        ]
        position += len(line)
    return [span for span in spans if span[0] < span[1]]


def _on_sentences(hits: Iterable[Hit], spans: list[tuple[int, int]]) -> Iterator[Hit]:
    """Widen each hit to the sentences that it touches."""
    starts = [start for start, _ in spans]
    for start, end, kind, weight in hits:
        first, last = max(0, bisect_right(starts, start) - 1), max(0, bisect_right(starts, end - 1) - 1)
        yield min(start, spans[first][0]), max(end, spans[last][1]), kind, weight


def _floods(text: str, spans: list[tuple[int, int]], hits: list[Hit]) -> Iterator[Hit]:
    if len(spans) < REPEATS or not hits:
        return
    places: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for start, end in spans:
        places[" ".join(text[start:end].lower().split())].append((start, end))
    for sentence, found in places.items():
        if len(found) >= REPEATS and DEMAND.search(sentence):
            yield from ((start, end, "flood", FLOOD) for start, end in found)


def _follow_ups(text: str, spans: list[tuple[int, int]], hits: list[Hit]) -> Iterator[Hit]:
    """Yield the sentences of the same paragraph that go on with a strong demand; they count as much as it does."""
    demands = {start: weight for start, _, _, weight in hits if weight >= STRONG}
    ends = {end: weight for _, end, _, weight in hits if weight >= STRONG}
    weight, last = 0.0, 0
    for start, end in spans:
        goes_on = "\n\n" not in text[last:start] and end - start <= FOLLOW_CHARS
        follows = weight > 0 and goes_on and FOLLOW_UP.match(text[start:end].lower())
        if start not in demands and follows:
            yield start, end, "follow_up", weight
        elif start in demands or end in ends:
            weight = max(demands.get(start, 0.0), ends.get(end, 0.0))
        else:
            weight = 0.0
        last = end


def _score(text: str, hits: list[Hit]) -> float:
    doubts: dict[tuple[int, int], dict[str, float]] = defaultdict(dict)
    for start, end, kind, weight in hits:
        kinds = doubts[start, end]
        kinds[kind] = max(kinds.get(kind, 0.0), weight)
    score = min(0.85, max(_either(kinds.values()) for kinds in doubts.values()))
    if _left_over(text, hits) < LEFT_OVER:
        score += (1 - score) * DOMINATED
    return round(score, 3)


def _either(weights: Iterable[float]) -> float:
    """Return the probability that at least one of independent signs is right (noisy or)."""
    doubt = 1.0
    for weight in weights:
        doubt *= 1 - weight
    return 1 - doubt


def _left_over(text: str, hits: list[Hit]) -> int:
    """Return the number of letters and digits outside the findings, counted up to LEFT_OVER and a little more."""
    count = position = 0
    for start, end, *_ in [*sorted(hits), (len(text), len(text), "", 0.0)]:
        for index in range(position, start):
            count += text[index].isalnum()
            if count >= LEFT_OVER:
                return count
        position = max(position, end)
    return count


def _findings(hits: list[Hit]) -> tuple[Finding, ...]:
    """Return the findings in order; those of one kind that touch become one."""
    joined: list[Finding] = []
    latest: dict[str, int] = {}
    for start, end, kind, _ in sorted(hits):
        at = latest.get(kind)
        if at is not None and start <= joined[at].end + 2:
            joined[at] = Finding(kind=kind, start=joined[at].start, end=max(end, joined[at].end), reason=REASONS[kind])
        else:
            latest[kind] = len(joined)
            joined.append(Finding(kind=kind, start=start, end=end, reason=REASONS[kind]))
    return tuple(joined)
