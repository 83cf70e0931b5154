"""The chain of generators behind one answer: the first that can answers, and each that could not is told to the reader."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field

from engine.errors import CallNotPermitted, EngineError, ProviderUnavailable
from engine.protocols import Generator
from engine.provider_views import Choice
from engine.resilience.deadline import remaining
from engine.resilience.streams import under
from engine.services.configuration import Configured
from engine.services.ledger import Call
from engine.services.parts import Parts
from engine.tokens import ApproximateTokens
from engine.types import Delta, Outage, Prompt, Usage
from engine.vendors.deadline import bounded

logger = logging.getLogger(__name__)
LAST_SECONDS = 15.0  # of the time of the whole chain, kept for its last link


@dataclass(slots=True)
class Attempts:
    """Which link is writing now, which ones could not, and what the calls used; kept by the caller of `Chain.stream`."""

    choice: Choice | None = None
    usage: Usage = field(default_factory=Usage)
    outages: list[Outage] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    _started: float = 0.0
    _prompt_tokens: int = 0
    _written: list[str] = field(default_factory=list)

    def begin(self, choice: Choice, prompt: Prompt) -> None:
        """Note who is asked from now on."""
        self.choice, self._started, self.usage = choice, time.perf_counter(), Usage()
        self._prompt_tokens, self._written = prompt.tokens, []

    def add(self, delta: Delta) -> None:
        """Note what came."""
        self.usage = delta.usage or self.usage
        self._written.append(delta.text)

    def refused(self) -> None:
        """Note that the present link was not called: there is nothing to write down."""
        self._started = 0.0

    def end(self, error: str = "") -> None:
        """Write the call of the present link down, once."""
        if self.choice is None or not self._started:
            return
        if error and self.usage == Usage() and (error == "stopped" or any(self._written)):
            # The vendor did not get to tell: what it read and wrote is estimated, from above.
            self.usage = Usage(
                input_tokens=self._prompt_tokens, output_tokens=ApproximateTokens().count("".join(self._written))
            )
        call = Call(
            provider=self.choice.provider,
            model=self.choice.model,
            job="chat",
            elapsed_ms=(time.perf_counter() - self._started) * 1000,
            input_tokens=self.usage.input_tokens,
            output_tokens=self.usage.output_tokens,
            error=error,
        )
        self.calls.append(call)
        self._started = 0.0


@dataclass(frozen=True, slots=True)
class Turn:
    """The next link begins, and what an earlier one had written is void. `outage` says why, None for the first link."""

    choice: Choice
    prompt: Prompt
    outage: Outage | None = None


class Chain:
    """Generators in the order that an admin chose. `seconds` are for all of them, where the question has no time limit."""

    def __init__(self, *, configured: Configured, parts: Parts, seconds: float) -> None:
        self._seconds = seconds
        self._configured = configured
        self._parts = parts

    async def stream(self, assemble: Callable[[Generator], Prompt], attempts: Attempts) -> AsyncIterator[Turn | Delta]:
        """Yield a Turn for each link that is tried, then its pieces, until one link has answered.

        `assemble` makes the prompt within a link's own budget. A link that fails half-way is replaced too: its text is void.
        A link whose breaker is open, or that is full, costs no time and no call: the next one is asked at once.

        Raises ProviderError when no link could answer; it names them all. A chain of one link raises that link's own error.
        """
        links = (await self._configured.current()).choices.chain
        end = time.monotonic() + min(self._seconds, remaining())
        outage: Outage | None = None
        for n, choice in enumerate(links, start=1):
            # The last link has its time kept for it; the ones between are not begun when there is none left.
            left = end - time.monotonic()
            left = max(left, LAST_SECONDS) if n == len(links) else left - LAST_SECONDS
            if left <= 0:
                outage = self._failed(attempts, choice, "no time was left for it")
                continue
            try:
                async with asyncio.timeout(left):
                    generator = await self._parts.generator(choice, hurried=n < len(links))
                choice = Choice(provider=choice.provider, model=generator.model)
                prompt = assemble(generator)
                yield Turn(choice, prompt, outage)
                attempts.begin(choice, prompt)
                stream = under(bounded(generator.stream(prompt), seconds=left, provider=choice.provider), seconds=left)
                async with aclosing(stream) as deltas:  # type: ignore[type-var]
                    async for delta in deltas:
                        attempts.add(delta)
                        yield delta
                attempts.end()
            except EngineError as error:
                if isinstance(error, CallNotPermitted):
                    attempts.refused()
                attempts.end(type(error).__name__)
                outage = self._failed(attempts, choice, str(error))
                if len(links) == 1:
                    raise
            except TimeoutError:  # while its library was loaded
                outage = self._failed(attempts, choice, "it was not ready in time")
            except Exception as error:  # a fault in one link, ours or its library's, must not cost the answer
                logger.exception("the generator %s failed in a way it should not", choice.provider)
                attempts.end(type(error).__name__)
                outage = self._failed(attempts, choice, "something unexpected went wrong in it")
            else:
                return
        raise none_left(attempts.outages)

    def _failed(self, attempts: Attempts, choice: Choice, reason: str) -> Outage:
        outage = Outage(provider=choice.provider, model=choice.model, reason=reason)
        attempts.outages.append(outage)
        return outage


def none_left(outages: Sequence[Outage]) -> EngineError:
    """Return the error of a chain in which every link failed."""
    told = "; ".join(f"{one.provider}: {one.reason}" for one in outages) or "the chain is empty"
    return ProviderUnavailable(
        f"no provider could answer ({told})",
        hint="Nothing of your question is lost: ask again, or have an admin look at the providers page.",
    )
