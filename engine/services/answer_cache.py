"""Answers that were written before, given again while nothing that they rest on has changed.

The name of a kept answer is made of everything that could change it (the question, the content of the collections, what admins
chose, who asks), so a change needs no clearing: it leads to another name. What is found is checked against SQL once more before
it is given. Only whole answers are kept; docs/answer-cache.md says which, and why refusals are not.
"""

from __future__ import annotations

import asyncio
import json
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from engine import __version__
from engine.caching.keys import keyed
from engine.database import collections, content
from engine.database.answer_json import answer_from_json, answer_to_json
from engine.database.columns import now
from engine.database.database import Database
from engine.generation.prompt import PROMPT_VERSION
from engine.protocols import Meter
from engine.resilience.deadline import remaining
from engine.sections import Retrieval
from engine.services.configuration import Configured
from engine.settings import Settings
from engine.types import Answer, Filter, Message, Principal

PREFIX = "answers:"
WAIT_SHARE = 0.5  # of the time for a question: who waits in vain for another's answer has as much left for an own one


class Keeping(Protocol):
    """Where bytes are kept for a while. It seals them, and loses them rather than raise."""

    async def get(self, key: str, *, name: str) -> bytes | None:
        """Return what is kept, None for nothing; `name` is for metrics, "" for none."""
        ...

    async def set(self, key: str, value: bytes, *, ttl: float) -> Any:
        """Keep a value for `ttl` seconds."""
        ...

    async def delete(self, key: str) -> Any:
        """Forget one."""
        ...

    async def delete_prefix(self, prefix: str) -> int:
        """Forget all whose key begins so; return how many."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question as it would be searched and answered: rewritten already, with the conversation that its prompt shows."""

    principal: Principal
    question: str
    collection_ids: Sequence[str]
    history: Sequence[Message] = ()
    where: Filter = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptAnswer:
    """An answer as it was when it was written, and when that was."""

    answer: Answer
    at: datetime


class AnswerCache:
    """The answers of this installation that may be given again."""

    def __init__(
        self,
        *,
        cache: Keeping,
        database: Database,
        configured: Configured,
        settings: Settings,
        secret: bytes,
        meter: Meter | None = None,
        clock: Callable[[], datetime] = now,
    ) -> None:
        self._cache = cache
        self._database = database
        self._configured = configured
        self._rules = settings.caching
        self._retrieval: Retrieval = settings.retrieval
        self._wait_seconds = settings.resilience.answer_seconds * WAIT_SHARE
        self._secret = secret
        self._meter = meter
        self._clock = clock
        self._writing: dict[str, asyncio.Future[None]] = {}

    async def name(self, asked: Asked) -> str:
        """Return the name of the answer as things are now; "" where answers are not kept.

        Raises NotFound for a collection that the principal may not read, StoreError.
        """
        if not self._rules.answers:
            return ""
        async with self._database.read() as session:
            rows = await collections.readable(session, asked.principal, asked.collection_ids)
            moved = await content.moved(session, [row.id for row in rows])
        choices = (await self._configured.current()).choices
        shared = self._rules.share_answers
        # The model saw the text as it was typed: what one user did with white space must not shape what others are given.
        text = asked.question if shared else " ".join(unicodedata.normalize("NFC", asked.question).split())
        return PREFIX + keyed(
            self._secret,
            # Whose it is. Where answers are shared, it is everybody's who may read all of the collections, whatever else
            # they may do with them: each look-up has asked SQL for that just now.
            "" if shared else asked.principal.user_id,
            # Letters keep their case: "US" and "us", "May" and "may" are different questions to a model.
            text,
            [[message.role, message.text] for message in asked.history],
            [asdict(condition) for condition in asked.where],
            sorted([row.id, row.model_id, row.generation, *moved[row.id]] for row in rows),
            # A change of a provider or a price is a new version; the choices stand beside it for those of the settings file.
            [choices.version, [asdict(link) for link in choices.chain]],
            [asdict(one) if one else None for one in (choices.rewrite, choices.rerank)],
            self._retrieval.model_dump(),
            [__version__, PROMPT_VERSION],
        )

    async def get(self, name: str, asked: Asked) -> KeptAnswer | None:
        """Return what is kept under a name, if the principal may read it and all that it shows answers questions now.

        What is damaged, too old, or not as it was is forgotten. Raises NotFound, StoreError.
        """
        value = await self._cache.get(name, name="")
        kept = self._opened(name, value) if value is not None else None
        if kept is not None and not await self._still_true(kept.answer, asked):
            kept = None
        if kept is None and value is not None:
            await self._cache.delete(name)
        if self._meter is not None:
            self._meter.counted("cache_requests_total", ("answers", "hit" if kept else "miss"))
        return kept

    async def keep(self, name: str, answer: Answer) -> None:
        """Keep an answer that is worth it; another is quietly not kept."""
        if name and worth_keeping(answer):
            value = {"name": name, "at": self._clock().isoformat(), "answer": answer_to_json(answer)}
            await self._cache.set(name, json.dumps(value).encode(), ttl=self._rules.answer_hours * 3600)

    def age_seconds(self, kept: KeptAnswer) -> float:
        """Return how long ago it was written."""
        return max(0.0, (self._clock() - kept.at).total_seconds())

    @contextmanager
    def turn(self, name: str) -> Iterator[asyncio.Future[None] | None]:
        """Take the turn of writing this answer; yields None when it is ours, else what ends with the turn of who has it.

        It ends however the block is left, so a failed or stopped writer holds nobody up.
        """
        other = self._writing.get(name)
        if other is not None or not name:
            yield other
            return
        mine = self._writing[name] = asyncio.get_running_loop().create_future()
        try:
            yield None
        finally:
            del self._writing[name]
            mine.set_result(None)

    async def ended(self, other: asyncio.Future[None]) -> None:
        """Wait until another's turn has ended, at most half of the time that a question has."""
        await asyncio.wait([other], timeout=max(0.0, min(self._wait_seconds, remaining() * WAIT_SHARE)))

    def _opened(self, name: str, value: bytes) -> KeptAnswer | None:
        try:
            found = json.loads(value)
            kept = KeptAnswer(answer=answer_from_json(found["answer"]), at=datetime.fromisoformat(found["at"]))
            own = found["name"] == name  # a value that was moved from one name to another is nobody's
            age = self._clock() - kept.at.astimezone(UTC)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        fresh = timedelta(0) <= age <= timedelta(hours=self._rules.answer_hours)
        return kept if own and fresh and worth_keeping(kept.answer) else None

    async def _still_true(self, answer: Answer, asked: Asked) -> bool:
        shown = {citation.chunk_id for citation in answer.citations} | {hit.chunk.id for hit in answer.nearest}
        async with self._database.read() as session:
            rows = await collections.readable(session, asked.principal, asked.collection_ids)
            live = await content.live_names(session, sorted(shown), [row.id for row in rows])
        return live.keys() == shown


def worth_keeping(answer: Answer) -> bool:
    """Whether an answer is as good as it can be: written by the first link, from all that could be searched.

    A refusal is not: who reads that the documents do not tell asks again precisely because they doubt it, and a model that
    missed the passage once may find it then.
    """
    helped = not any(step.get("failed") for step in answer.trace.get("steps", ()))
    whole = bool(answer.sentences) and not answer.refused
    return whole and helped and not answer.serving.outages and not answer.serving.notes and not answer.serving.cached_at
