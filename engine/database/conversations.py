"""Conversations, their messages, and the citations that messages keep for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from engine.database.answer_json import hit_from_json, hit_to_json, sentence_from_json, serving_from_json
from engine.database.chat_models import CitationRow, Conversation, MessageRow
from engine.database.columns import now
from engine.errors import NotFound
from engine.types import Answer, Citation, Principal, Usage
from engine.views import ConversationInfo, MessageInfo

TITLE_CHARS = 80


async def own(session: AsyncSession, principal: Principal, conversation_id: str) -> Conversation:
    """Return the conversation. Raises NotFound unless it is the principal's own."""
    row = await session.get(Conversation, conversation_id)
    if row is None or row.user_id != principal.user_id:
        raise NotFound("there is no such conversation, or it is not yours", hint="Choose one from the list.")
    return row


async def own_message(session: AsyncSession, principal: Principal, message_id: str) -> MessageRow:
    """Return the message. Raises NotFound unless it is in one of the principal's own conversations."""
    row = await session.get(MessageRow, message_id)
    if row is None:
        raise NotFound("there is no such message, or it is not yours")
    await own(session, principal, row.conversation_id)
    return row


async def infos(session: AsyncSession, principal: Principal) -> list[ConversationInfo]:
    """Return the principal's conversations, last used first."""
    rows = await session.scalars(
        select(Conversation).where(Conversation.user_id == principal.user_id).order_by(Conversation.updated_at.desc())
    )
    return [info(row) for row in rows]


def info(row: Conversation) -> ConversationInfo:
    """Return a row as shown in the list."""
    return ConversationInfo(
        id=row.id, title=row.title or "New conversation", collections=tuple(row.collections), updated_at=row.updated_at
    )


async def add_turn(session: AsyncSession, conversation: Conversation, question: str) -> MessageRow:
    """Add the user's message and the still empty assistant's one, which is returned."""
    last = await session.scalar(select(func.max(MessageRow.position)).where(MessageRow.conversation_id == conversation.id))
    position = 0 if last is None else last + 1
    session.add(MessageRow(conversation_id=conversation.id, position=position, role="user", text=question))
    reply = MessageRow(conversation_id=conversation.id, position=position + 1, role="assistant", state="streaming")
    session.add(reply)
    conversation.updated_at = now()
    if not conversation.title:
        conversation.title = shortened(question)
    await session.flush()
    return reply


def shortened(text: str) -> str:
    """Return `text` on one line, as a title."""
    line = " ".join(text.split())
    return line if len(line) <= TITLE_CHARS else line[: TITLE_CHARS - 1].rstrip() + "…"


async def save_answer(session: AsyncSession, message: MessageRow, answer: Answer, *, state: str) -> None:
    """Write a finished (or stopped) answer with its citations, once."""
    message.text, message.state, message.refused, message.query = answer.text, state, answer.refused, answer.query
    message.provider, message.model = answer.provider, answer.model
    message.input_tokens, message.output_tokens = answer.usage.input_tokens, answer.usage.output_tokens
    message.sentences = [asdict(sentence) for sentence in answer.sentences]
    message.nearest = [hit_to_json(hit) for hit in answer.nearest]
    message.trace = dict(answer.trace)
    message.serving = asdict(answer.serving)
    for citation in answer.citations:
        session.add(CitationRow(message_id=message.id, **{**asdict(citation), "section": list(citation.section)}))


async def interrupted(session: AsyncSession) -> None:
    """Mark answers that were being written when the process ended; called at the start."""
    await session.execute(
        update(MessageRow)
        .where(MessageRow.state == "streaming")
        .values(state="failed", error="The server was restarted while this answer was being written.", hint="Ask again.")
    )


async def messages(session: AsyncSession, conversation_id: str) -> list[MessageInfo]:
    """Return all messages of a conversation in order, with answers and citations."""
    rows = list(
        await session.scalars(
            select(MessageRow).where(MessageRow.conversation_id == conversation_id).order_by(MessageRow.position)
        )
    )
    cited = await _citations(session, [row.id for row in rows])
    return [message_info(row, cited.get(row.id, [])) for row in rows]


async def message(session: AsyncSession, row: MessageRow) -> MessageInfo:
    """Return one message with its answer and citations."""
    return message_info(row, (await _citations(session, [row.id])).get(row.id, []))


async def _citations(session: AsyncSession, message_ids: Sequence[str]) -> dict[str, list[Citation]]:
    found: dict[str, list[Citation]] = {}
    query = select(CitationRow).where(CitationRow.message_id.in_(message_ids)).order_by(CitationRow.n)
    for row in await session.scalars(query):
        names = Citation.__dataclass_fields__
        values = {name: getattr(row, name) for name in names} | {"section": tuple(row.section)}
        found.setdefault(row.message_id, []).append(Citation(**values))
    return found


def message_info(row: MessageRow, citations: Sequence[Citation]) -> MessageInfo:
    """Return a row as screens show it."""
    answer = None
    if row.role == "assistant" and row.state in {"done", "stopped"}:
        answer = Answer(
            text=row.text,
            refused=row.refused,
            sentences=tuple(map(sentence_from_json, row.sentences)),
            citations=tuple(citations),
            provider=row.provider,
            model=row.model,
            usage=Usage(input_tokens=row.input_tokens, output_tokens=row.output_tokens),
            nearest=tuple(map(hit_from_json, row.nearest)),
            query=row.query,
            trace=row.trace,
            serving=serving_from_json(row.serving or {}),
        )
    return MessageInfo(
        id=row.id,
        conversation_id=row.conversation_id,
        role=row.role,
        text=row.text,
        state=row.state,
        error=row.error,
        hint=row.hint,
        answer=answer,
        created_at=row.created_at,
    )
