"""The answerer that needs no language model: it quotes the sentences that answer, or refuses. It never invents."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence

import anyio
import anyio.lowlevel
import anyio.to_thread

from engine.documents import Chunk
from engine.errors import ConfigError
from engine.generation.answerability import THRESHOLD, Judgement, Ranked, judge
from engine.generation.evidence import Candidate, cells, is_row
from engine.generation.prompt import REFUSAL
from engine.generation.wording import figures, stop_terms
from engine.protocols import Embedder
from engine.types import Delta, Endpoint, Prompt, Usage

MAX_SENTENCES = 4
ENOUGH = 0.8
DOMINANT = 0.7
"""Share of the mass at which the best sentence is shown alone."""
REDUNDANT = 0.8
"""Share of its content terms in a sentence already chosen at which another adds nothing, unless it has figures of its own."""
CONTEXT_TOKENS = 8192


class ExtractiveGenerator:
    """Satisfies Generator. Quotes one to four sentences word for word (line breaks become spaces), each with its marker.

    The same prompt and the same embedder give the same answer. `details` of the first piece hold "answerability" (0..1),
    "threshold" and "sentences": (passage number, start, end, log-odds) of each candidate that was weighed, best first.
    """

    def __init__(self, endpoint: Endpoint | None = None, *, embedder: Embedder | None = None) -> None:
        if embedder is None:
            raise ConfigError("the extractive generator weighs sentences with an embedder", hint="pass one")
        self._embedder = embedder

    @property
    def provider(self) -> str:
        """The registry name."""
        return "extractive"

    @property
    def model(self) -> str:
        """Changes whenever the same prompt may give another answer."""
        return "extractive-2"

    @property
    def context_tokens(self) -> int:
        """A bound on work, not on the model: few sentences are embedded whatever the number of passages."""
        return CONTEXT_TOKENS

    def count_tokens(self, text: str) -> int:
        """Return the number of tokens of `text` in the embedder's vocabulary."""
        return self._embedder.tokens.count(text)

    async def models(self) -> list[str]:
        """There is one."""
        return [self.model]

    async def close(self) -> None:
        """Nothing is held."""

    async def stream(self, prompt: Prompt) -> AsyncIterator[Delta]:
        """Yield the quotation sentence by sentence, or one refusal; usage comes last. Raises ProviderError."""
        judgement = await anyio.to_thread.run_sync(self._judge, prompt, abandon_on_cancel=True)
        details = {
            "answerability": round(judgement.answerability, 4),
            "threshold": THRESHOLD,
            "sentences": [
                (one.candidate.n, one.candidate.start, one.candidate.end, round(one.score, 3)) for one in judgement.ranked
            ],
        }
        refused = judgement.answerability < THRESHOLD
        pieces = [REFUSAL] if refused else quotations(prompt, judgement)
        written = 0
        for index, piece in enumerate(pieces):
            await anyio.lowlevel.checkpoint()
            written += self.count_tokens(piece)
            yield Delta(text=piece, refused=refused, details=details if index == 0 else {})
        yield Delta(usage=Usage(input_tokens=prompt.tokens, output_tokens=written))

    def _judge(self, prompt: Prompt) -> Judgement:
        return judge(prompt.question, prompt.passages, embedder=self._embedder)


def quotations(prompt: Prompt, judgement: Judgement) -> list[str]:
    """Return the pieces of the answer: chosen sentences with their markers, best first."""
    pieces: list[str] = []
    for one in choose(judgement.ranked):
        number = one.candidate.n
        chunk = prompt.passages[number - 1].chunk
        # Each quotation is a paragraph: one without a full stop must not run into the next.
        gap = "\n\n" if pieces else ""
        pieces.append(f"{gap}{shown(one.candidate.text, chunk)} [{number}]")
    return pieces


def choose(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Return the best sentences, until together they hold ENOUGH of the probability mass; one to MAX_SENTENCES of them.

    The best alone when it holds DOMINANT of it. One that repeats a better one is skipped: Carbonell and Goldstein (1998) weigh
    relevance against novelty; here novelty is a bar.
    """
    top = ranked[0].score
    masses = [math.exp(one.score - top) for one in ranked]
    total, mass = sum(masses), 0.0
    chosen: list[Ranked] = []
    for one, share in zip(ranked, masses, strict=True):
        if mass >= (DOMINANT if len(chosen) == 1 else ENOUGH) * total or len(chosen) == MAX_SENTENCES:
            break
        mass += share
        if not any(repeats(one.candidate, better.candidate) for better in chosen):
            chosen.append(one)
    return chosen


def repeats(one: Candidate, better: Candidate) -> bool:
    """Return whether `one` adds neither words nor figures to `better`, as the same sentence of an overlapping chunk does."""
    if not figures(one.text) <= figures(better.text):
        return False
    words = {term for term in one.sequence if not term.isdigit()} - stop_terms()
    return len(words.intersection(better.sequence)) >= REDUNDANT * len(words)


def shown(text: str, chunk: Chunk) -> str:
    """Return a sentence as the reader sees it: line breaks as spaces, a table row with the header of its columns."""
    row = " ".join(text.split())
    if not chunk.context or row == " ".join(chunk.context.split()):
        return row
    if is_row(text, chunk.context):
        header, values = cells(chunk.context, chunk.context), cells(text, chunk.context)
        return "; ".join(f"{name}: {cell}" if name else cell for name, cell in zip(header, values, strict=True) if cell)
    return f"{' '.join(chunk.context.split())}: {row}"
