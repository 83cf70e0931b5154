"""Conversations with answers that the engine owns: a rerun, a click or a closed tab loses nothing; Stop keeps what is there."""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from engine.correlation import working_for
from engine.database import collections, conversations, holds
from engine.database.audit import record
from engine.database.chat_models import Conversation, MessageRow
from engine.database.cited import states
from engine.database.columns import new_id
from engine.database.database import Database
from engine.errors import EngineError, InputError, QuestionRejected
from engine.monitoring.tracing import Traces
from engine.pipelines.ask import Ask, AskEvent, Finished, Step, Token, drained
from engine.pipelines.draft import Draft
from engine.protocols import Meter
from engine.services import outcomes
from engine.services.pace import Pace
from engine.services.trail import Trail
from engine.types import Answer, Filter, Message, Principal
from engine.views import ConversationInfo, MessageInfo

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Running:
    """An answer that is being written: what a page shows of it while it tails."""

    task: asyncio.Task[None]
    draft: Draft
    step: str = "Reading the question"
    stopped: bool = False


class Chat:
    """Conversations of principals, each seeing only their own."""

    def __init__(
        self, *, database: Database, ask: Ask, trail: Trail, pace: Pace, meter: Meter, traces: Traces, max_question_chars: int
    ) -> None:
        self._database = database
        self._pace = pace
        self._ask = ask
        self._trail = trail
        self._meter = meter
        self._traces = traces
        self._max_chars = max_question_chars
        self._running: dict[str, Running] = {}

    async def conversations(self, principal: Principal) -> list[ConversationInfo]:
        """Return the principal's conversations, last used first."""
        async with self._database.read() as session:
            return await conversations.infos(session, principal)

    async def create(self, principal: Principal, collection_ids: Sequence[str]) -> ConversationInfo:
        """Start a conversation over these collections. Raises NotFound for one that is not readable."""
        async with self._database.write() as session:
            readable = await collections.readable(session, principal, collection_ids)
            row = Conversation(user_id=principal.user_id, collections=[one.id for one in readable])
            session.add(row)
            await session.flush()
        return conversations.info(row)

    async def rename(self, principal: Principal, conversation_id: str, title: str) -> None:
        """Give a conversation another title. Raises NotFound, InputError."""
        if not title.strip():
            raise InputError("a title needs at least one character", hint="Type a title.")
        async with self._database.write() as session:
            row = await conversations.own(session, principal, conversation_id)
            row.title = conversations.shortened(title)

    async def set_scope(self, principal: Principal, conversation_id: str, collection_ids: Sequence[str]) -> None:
        """Choose which collections the next questions search. Raises NotFound."""
        async with self._database.write() as session:
            row = await conversations.own(session, principal, conversation_id)
            row.collections = [one.id for one in await collections.readable(session, principal, collection_ids)]

    async def delete(self, principal: Principal, conversation_id: str) -> None:
        """Remove a conversation with all of its messages; a running answer is stopped. Raises NotFound."""
        async with self._database.read() as session:
            rows = await conversations.messages(session, (await conversations.own(session, principal, conversation_id)).id)
        for message in rows:
            if message.id in self._running:
                await self.stop(principal, message.id)
        async with self._database.write() as session:
            await holds.refuse(session, "this conversation", ("user", principal.user_id))
            await session.delete(await conversations.own(session, principal, conversation_id))
            await record(session, principal, "conversation.delete", conversation_id, messages=len(rows))

    async def messages(self, principal: Principal, conversation_id: str) -> list[MessageInfo]:
        """Return all messages in order; a running answer shows what is there so far. Raises NotFound."""
        async with self._database.read() as session:
            row = await conversations.own(session, principal, conversation_id)
            return [self._live(message) for message in await conversations.messages(session, row.id)]

    async def message(self, principal: Principal, message_id: str) -> MessageInfo:
        """Return one message as it is now. Raises NotFound."""
        async with self._database.read() as session:
            row = await conversations.own_message(session, principal, message_id)
            return self._live(await conversations.message(session, row))

    def _live(self, message: MessageInfo) -> MessageInfo:
        running = self._running.get(message.id)
        if running is None or message.state != "streaming":
            return message
        return replace(message, text="".join(running.draft.parts), step=running.step)

    async def send(self, principal: Principal, conversation_id: str, question: str, *, fresh: bool = False) -> MessageInfo:
        """Ask in a conversation and return the assistant's message, which fills while it is tailed.

        A `fresh` answer is not taken from the kept ones. A question of this conversation that is asked again so is asked as
        it was then: what was said since does not change its meaning.

        Raises NotFound, TooMany, QuestionRejected; also while the previous answer is still being written.
        """
        question = question.strip()
        if not question or len(question) > self._max_chars:
            raise QuestionRejected(f"a question has 1 to {self._max_chars} characters", hint="Change it and send it again.")
        await self._pace.question(principal)
        async with self._database.write() as session:
            row = await conversations.own(session, principal, conversation_id)
            earlier = await conversations.messages(session, row.id)
            if any(message.id in self._running for message in earlier):
                raise QuestionRejected("the previous answer is still being written", hint="Stop it, or wait for it.")
            if not row.collections:
                raise QuestionRejected("this conversation has no collection to search", hint="Choose at least one.")
            reply = await conversations.add_turn(session, row, question)
            scope = list(row.collections)
        history = [Message(role=message.role, text=message.text) for message in earlier if message.text]
        if fresh:
            history = _before(question, history)
        draft = Draft(question)
        events = self._ask.stream(principal, question, collection_ids=scope, history=history, draft=draft, fresh=fresh)
        with working_for(principal.request_id):
            task = asyncio.create_task(self._answer(principal, reply.id, draft, events), name=f"answer-{reply.id}")
        self._running[reply.id] = Running(task=task, draft=draft)
        return conversations.message_info(reply, [])

    async def ask(
        self,
        principal: Principal,
        question: str,
        *,
        collections: Sequence[str],
        history: Sequence[Message] = (),
        where: Filter = (),
        fresh: bool = False,
    ) -> Answer:
        """Return a cited answer, or an honest refusal with the nearest passages; no conversation keeps it.

        A `fresh` answer is not taken from the kept ones, and takes the place of the one that is.

        Raises NotFound, TooMany, InputError, ProviderError, StoreError.
        """
        if not collections:
            raise InputError("there is no collection to search", hint="Choose at least one.")
        await self._pace.question(principal)
        with self._pace.answering(principal), self._traces.trace("question", principal.request_id):
            events = self._ask.stream(
                principal, question, collection_ids=collections, history=history, where=where, fresh=fresh
            )
            answer = await drained(events)
        async with self._database.write() as session:
            await self._trail.answered(session, principal, new_id(), question, answer)
        return answer

    async def stop(self, principal: Principal, message_id: str) -> None:
        """Stop a running answer and keep what is there; quiet when it is finished already. Raises NotFound."""
        async with self._database.read() as session:
            await conversations.own_message(session, principal, message_id)
        running = self._running.get(message_id)
        if running is not None:
            await _stop(running)

    async def close(self) -> None:
        """Stop all running answers and keep what is there; for the end of the process."""
        await asyncio.gather(*(_stop(running) for running in self._running.values()))

    async def _answer(self, principal: Principal, message_id: str, draft: Draft, events: AsyncIterator[AskEvent]) -> None:
        try:
            with self._pace.answering(principal), self._traces.trace("question", principal.request_id):
                answer = await self._generate(message_id, events)
            await self._save(principal, message_id, draft.question, answer, "done")
        except asyncio.CancelledError:
            await self._keep_stopped(principal, message_id, draft)
        except EngineError as error:
            outcomes.failed(self._meter, error)
            await self._fail(principal, message_id, str(error), error.hint)
        except Exception as error:  # the reader must learn that it failed, whatever it was
            outcomes.failed(self._meter, error)
            reference = uuid.uuid4().hex[:8]
            logger.exception("answering failed (%s)", reference)
            await self._fail(principal, message_id, f"something unexpected went wrong (reference {reference})", "Ask again.")
        finally:
            self._running.pop(message_id, None)

    async def _keep_stopped(self, principal: Principal, message_id: str, draft: Draft) -> None:
        try:
            await self._save(principal, message_id, draft.question, await self._ask.finish(draft, stopped=True), "stopped")
        except EngineError as error:
            await self._fail(principal, message_id, str(error), error.hint)
        except Exception:  # a message must not look as if it were being written until the next start
            reference = uuid.uuid4().hex[:8]
            logger.exception("keeping a stopped answer failed (%s)", reference)
            await self._fail(principal, message_id, f"what was written could not be kept (reference {reference})", "Ask again.")

    async def _generate(self, message_id: str, events: AsyncIterator[AskEvent]) -> Answer:
        async with aclosing(events) as stream:  # type: ignore[type-var]
            async for event in stream:
                match event:
                    case Finished(answer):
                        return answer
                    case Step(text) if message_id in self._running:
                        self._running[message_id].step = text
                    case Token():
                        pass  # the draft holds the text
        raise AssertionError("the stream ended without an answer")

    async def _save(self, principal: Principal, message_id: str, question: str, answer: Answer, state: str) -> None:
        async with self._database.write() as session:
            row = await session.get(MessageRow, message_id)
            if row is None:
                return
            await conversations.save_answer(session, row, answer, state=state)
            await self._trail.answered(session, principal, message_id, question, answer, state=state)

    async def _fail(self, principal: Principal, message_id: str, error: str, hint: str) -> None:
        async with self._database.write() as session:
            row = await session.get(MessageRow, message_id)
            if row is not None:
                row.state, row.error, row.hint = "failed", error, hint
                await record(session, principal, "question.ask", message_id, outcome="failure", reason=error[:200])

    async def citation_states(self, principal: Principal, message_id: str) -> dict[int, str]:
        """Return, for each citation, whether its source is "current", "changed", "removed" or of "no access".

        What the words mean is told in `engine.database.cited`.
        """
        async with self._database.read() as session:
            row = await conversations.own_message(session, principal, message_id)
            info = await conversations.message(session, row)
            held = await collections.rights(session, principal)
            return await states(session, info.answer.citations if info.answer else (), set(held))


def _before(question: str, history: list[Message]) -> list[Message]:
    """Return the conversation up to where this question was last asked; all of it when it never was."""
    asked = [n for n, message in enumerate(history) if message.role == "user" and message.text == question]
    return history[: asked[-1]] if asked else history


async def _stop(running: Running) -> None:
    """Cancel once: a second click on Stop must not interrupt the keeping of what is there."""
    if not running.stopped:
        running.stopped = True
        running.task.cancel()
    await asyncio.wait([running.task])
