"""A follow-up question made complete by a language model, where `engine.generation.rewrite` only has rules."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing

from engine.errors import BadResponse
from engine.protocols import Generator
from engine.types import Message, Prompt, Usage
from engine.vendors.deadline import bounded

SYSTEM = (
    "Rewrite the user's last question so that it can be understood without the conversation: put in the names, subjects and "
    "dates that it refers to. Keep its language and its meaning, and add nothing. Reply with the question alone, on one line."
)
SECONDS = 15.0
MAX_TURNS = 6
MAX_CHARS = 600
TURN_CHARS = 1000


async def rewritten(question: str, history: Sequence[Message], generator: Generator) -> tuple[str, Usage]:
    """Return the question as the model completes it, and what that used. Raises ProviderError."""
    turns = tuple(Message(role=one.role, text=one.text[:TURN_CHARS]) for one in history[-MAX_TURNS:])
    prompt = Prompt(question=question, passages=(), history=turns, system=SYSTEM, answer_tokens=120, plain=True)
    parts: list[str] = []
    usage = Usage()
    async with aclosing(bounded(generator.stream(prompt), seconds=SECONDS, provider=generator.provider)) as deltas:  # type: ignore[type-var]
        async for delta in deltas:
            parts.append(delta.text)
            usage = delta.usage or usage
    text = " ".join("".join(parts).split()).strip("\"'“”")
    if not text or len(text) > max(MAX_CHARS, 2 * len(question)):
        raise BadResponse("the model gave no question back", hint="Choose another model for rewriting.")
    return text, usage
