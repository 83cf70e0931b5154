"""What is embedded and word-searched for a chunk: a short line that says where it stands, its context, its exact text."""

from __future__ import annotations

import re
from pathlib import PurePath

from engine.chunking.ruler import Ruler
from engine.documents import Chunk
from engine.protocols import TokenCounter

PREFIX_TOKENS = 40
"""Room to leave for the first line when chunks are cut: a chunk of `max_tokens - PREFIX_TOKENS` is never crowded out."""
_MIN_TOKENS = 3


def searchable_text(
    *,
    document_name: str,
    title: str,
    section: tuple[str, ...],
    context: str,
    text: str,
    tokens: TokenCounter,
    max_tokens: int,
) -> str:
    """Return a line of document name, title and section path, then `context`, then `text`, each on its own line.

    The first line has at most PREFIX_TOKENS tokens and gives way, up to nothing, where the rest leaves less room within
    `max_tokens`; then `context` does. `text` is never cut.
    """
    body = f"{context}\n{text}" if context else text
    room = max_tokens - tokens.count(body)
    if room < 0 and context:
        body, room = text, max_tokens - tokens.count(text)
    line = _prefix(humanised(document_name), title, section, text=text, tokens=tokens, limit=min(PREFIX_TOKENS, room))
    return f"{line}\n{body}" if line else body


def lexical_text(chunk: Chunk) -> str:
    """Return what the word index holds for a chunk: the same lines as `searchable_text`, none of them shortened."""
    name = humanised(chunk.document_name)
    title = chunk.title if _words(chunk.title) - _words(name) else ""
    lines = (_line(name, title, list(chunk.section)), chunk.context, chunk.text)
    return "\n".join(line for line in lines if line)


def humanised(document_name: str) -> str:
    """Return a file name as words: "AMAZON_2017_10K.pdf" gives "AMAZON 2017 10K"."""
    stem = PurePath(document_name.replace("\\", "/")).stem
    return " ".join(re.sub(r"_|(?<!\d)-|-(?!\d)|\.(?=\D)", " ", stem).split())


def _prefix(name: str, title: str, section: tuple[str, ...], *, text: str, tokens: TokenCounter, limit: int) -> str:
    """Return "name: title: outer > inner", the deepest heading kept before the outer ones, and those before the title."""
    headings = section[:-1] if section and text.startswith(section[-1]) else section
    known = _words(name)
    head = kept = ""
    path: list[str] = []
    if limit >= _MIN_TOKENS and name:
        head = _clipped(name, tokens, limit if not headings else max(_MIN_TOKENS, limit // 2))
    for heading in reversed(headings):
        shorter = _clipped(" ".join(heading.split()), tokens, limit - _count(tokens, head, "", path) - 2)
        if not shorter:
            break
        path.insert(0, shorter)
    if _words(title) - known:
        kept = _clipped(" ".join(title.split()), tokens, limit - _count(tokens, head, "", path) - 2)
    line = _line(head, kept, path)
    return line if tokens.count(line) <= limit else ""


def _line(name: str, title: str, path: list[str]) -> str:
    return ": ".join(part for part in (name, title, " > ".join(path)) if part)


def _count(tokens: TokenCounter, name: str, title: str, path: list[str]) -> int:
    return tokens.count(_line(name, title, path))


def _clipped(text: str, tokens: TokenCounter, limit: int) -> str:
    """Return `text`, or its words that fit in `limit` tokens; nothing where that is too little to mean anything."""
    if limit < _MIN_TOKENS:
        return ""
    if tokens.count(text) <= limit:
        return text
    end = Ruler(text, tokens).reach(0, limit, len(text))
    shorter = text[:end].rsplit(None, 1)[0] if " " in text[:end] else text[:end]
    return shorter if tokens.count(shorter) <= limit else ""


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold()))
