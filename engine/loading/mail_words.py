"""Words in mail headers (RFC 2047, RFC 2231) and names of charsets, read with a bound: a header may have any length."""

from __future__ import annotations

import codecs
from email.errors import HeaderParseError, MessageError
from email.header import decode_header
from email.message import Message

from engine.loading.encoding import decode
from engine.loading.flow import clean, one_line

MAX_HEADER_CHARS = 5_000
MAX_NAME_CHARS = 200
# Names of charsets that say how the lines run, not which letters they have (RFC 1556); Python does not know them.
_DIRECTIONS = ("-i", "-e")


def header(message: Message, name: str) -> str:
    """Return a header as people read it, on one line; "" when there is none."""
    try:
        return words(str(message.get(name, "")))
    except (MessageError, LookupError, ValueError, TypeError):
        return ""


def words(text: str) -> str:
    """Return `text` with its encoded words decoded; what cannot be decoded stays as it is."""
    text = text[:MAX_HEADER_CHARS]
    try:
        parts = decode_header(text)
    except (HeaderParseError, ValueError):
        return one_line(text)
    return one_line(
        "".join(
            part if isinstance(part, str) else part.decode(known(charset or "") or "utf-8", "replace")
            for part, charset in parts
        )
    )


def file_name(part: Message) -> str:
    """Return the name of an attachment, for people; "" when it has none."""
    try:
        given = part.get_filename("")
    except (MessageError, LookupError, ValueError, TypeError):
        return ""
    name = words(str(given)).replace("\\", "/").rsplit("/", 1)[-1]
    stem, dot, suffix = name.rpartition(".")
    return name if len(name) <= MAX_NAME_CHARS else f"{stem[: MAX_NAME_CHARS - len(suffix) - 1]}{dot}{suffix[:20]}"


def charset_of(part: Message) -> str:
    """Return the declared charset under a name that Python knows, or ""."""
    try:
        return known(str(part.get_content_charset("")))
    except (MessageError, LookupError, ValueError, TypeError):
        return ""


def decoded(data: bytes, charset: str) -> tuple[str, tuple[str, ...]]:
    """Return the text of a part and warnings. A charset that the bytes contradict is not believed."""
    # UTF-8 under another name is the most common lie, and hardly ever an accident. Charsets with escapes are ASCII to the eye.
    believed = data.isascii() or charset.startswith(("utf-16", "utf-32"))
    for candidate in (charset,) if believed else ("utf-8", charset):
        try:
            if candidate:
                return clean(data.decode(candidate).lstrip("\ufeff")), ()
        except UnicodeError:
            continue
    return decode(data, declared=charset)


def known(charset: str) -> str:
    """Return `charset`, or the charset that it is a variant of, when Python can decode it; else ""."""
    name = charset.strip().lower()
    for candidate in (name, name[:-2] if name.endswith(_DIRECTIONS) else ""):
        try:
            if candidate and codecs.lookup(candidate)._is_text_encoding:
                return candidate
        except LookupError:
            continue
    return ""
