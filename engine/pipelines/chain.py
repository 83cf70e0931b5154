"""The chain of generators behind one answer: the first that can answers, and each that could not is told to the reader."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from engine.errors import CircuitOpen, ConfigError, EngineError, ProviderError, ProviderUnavailable, QuestionRejected
from engine.protocols import Generator
from engine.provider_views import Choice
from engine.services.configuration import Configured
from engine.services.ledger import Call
from engine.services.parts import Parts
from engine.types import Delta, Outage, Prompt, Usage
from engine.vendors.deadline import bounded

ANSWER_SECONDS = 180.0  # for the whole chain
LAST_SECONDS = 15.0  # what is left for a link however late it is


@dataclass(slots=True)
class Attempts:
    """Which link is writing now, which ones could not, and what the calls used; kept by the caller of `Chain.stream`."""

    choice: Choice | None = None
    started: float = 0.0
    usage: Usage = field(default_factory=Usage)
    outages: list[Outage] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)

    def begin(self, choice: Choice) -> None:
        """Note who tries now."""
        self.choice, self.started, self.usage = choice, time.perf_counter(), Usage()

    def end(self, error: str = "") -> None:
        """Write the call of the present link down, once."""
        if self.choice is not None and self.started:
            call = Call(
                provider=self.choice.provider,
                model=self.choice.model,
                job="chat",
                elapsed_ms=(time.perf_counter() - self.started) * 1000,
                input_tokens=self.usage.input_tokens,
                output_tokens=self.usage.output_tokens,
                error=error,
            )
            self.calls.append(call)
        self.started = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The next link begins, and what an earlier one had written is void. `outage` says why, None for the first link."""

    choice: Choice
    prompt: Prompt
    outage: Outage | None = None


class Chain:
    """Generators in the order that an admin chose."""

    def __init__(self, *, configured: Configured, parts: Parts) -> None:
        self._configured = configured
        self._parts = parts

    async def stream(self, assemble: Callable[[Generator], Prompt], attempts: Attempts) -> AsyncIterator[Turn | Delta]:
        """Yield a Turn for each link that is tried, then its pieces, until one link has answered.

        `assemble` makes the prompt within a link's own budget. A link that fails half-way is replaced too: its text is void.
        Raises ProviderError when no link could answer; it names them all.
        """
        links = (await self._configured.current()).choices.chain
        end = time.monotonic() + ANSWER_SECONDS
        outage: Outage | None = None
        for choice in links:
            attempts.begin(choice)
            try:
                generator = await self._parts.generator(choice)
                choice = Choice(provider=choice.provider, model=generator.model)
                attempts.choice = choice
                prompt = assemble(generator)
                yield Turn(choice, prompt, outage)
                left = max(LAST_SECONDS, end - time.monotonic())
                async with aclosing(bounded(generator.stream(prompt), seconds=left, provider=choice.provider)) as deltas:  # type: ignore[type-var]
                    async for delta in deltas:
                        attempts.usage = delta.usage or attempts.usage
                        yield delta
            except (ProviderError, ConfigError, CircuitOpen, QuestionRejected) as error:
                attempts.end(type(error).__name__)
                outage = Outage(provider=choice.provider, model=choice.model, reason=str(error))
                attempts.outages.append(outage)
                if len(links) == 1:
                    raise
            else:
                attempts.end()
                return
        raise none_left(attempts.outages)


def none_left(outages: Sequence[Outage]) -> EngineError:
    """Return the error of a chain in which every link failed."""
    told = "; ".join(f"{one.provider}: {one.reason}" for one in outages) or "the chain is empty"
    return ProviderUnavailable(
        f"no provider could answer ({told})",
        hint="Nothing of your question is lost: ask again, or have an admin look at the providers page.",
    )
