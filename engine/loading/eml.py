"""E-mail (RFC 5322, MIME) -> page 1: headers and body; then the pages of each attachment that a loader reads."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from email.message import Message
from email.parser import BytesParser
from pathlib import Path

from engine import registry
from engine.documents import Document, Page
from engine.errors import EngineError, FileTooLarge, UnsupportedFile
from engine.loading.budget import BUDGET
from engine.loading.detect import detect
from engine.loading.encoding import SAMPLE_BYTES, utf_encoding
from engine.loading.failures import reading
from engine.loading.flow import MAX_TITLE_CHARS, Flow
from engine.loading.hidden import Hidden
from engine.loading.html import read_html
from engine.loading.mail_words import charset_of, decoded, file_name, header
from engine.loading.memory_file import MemoryFile

MEDIA_TYPE = "message/rfc822"
MAX_PARTS = 2_000
MAX_ATTACHMENTS = 200
MAX_DEPTH = 3
_SHOWN = ("From", "To", "Cc", "Date", "Subject")


class EmlLoader:
    """A mail within a mail is one more page of it. Pictures that are part of the text are passed over."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        data = path.read_bytes()
        found = utf_encoding(data[:SAMPLE_BYTES])
        if found.startswith(("utf-16", "utf-32")):
            data = data.decode(found, "replace").lstrip("\ufeff").encode()
        with reading("the e-mail"):
            mail = _Mail(BytesParser().parsebytes(data.lstrip()))
            pages, warnings = mail.read()
        subject = header(mail.message, "Subject")[:MAX_TITLE_CHARS]
        return Document(name=name, media_type=MEDIA_TYPE, pages=pages, title=subject, warnings=warnings)


class _Mail:
    def __init__(self, message: Message, *, depth: int = 0) -> None:
        self.message = message
        self._depth = depth
        self._pages: list[Page] = []
        self._hidden = Hidden()
        self._warnings: list[str] = []
        self._parts = self._size = 0

    def read(self) -> tuple[tuple[Page, ...], tuple[str, ...]]:
        attachments: list[Message] = []
        mails = [self.message]
        for mail in mails:  # grows: mails within mails come after it
            self._one(mail, mails, attachments)
        for number, part in enumerate(attachments):
            shown = file_name(part) or f"attachment {number + 1}"
            if number >= MAX_ATTACHMENTS:
                self._warnings.append(f"only the first {MAX_ATTACHMENTS} attachments were read, of {len(attachments):,}")
                break
            self._attachment(part, shown)
        return tuple(self._pages), (*self._warnings, *self._hidden.warnings)

    def _one(self, mail: Message, mails: list[Message], attachments: list[Message]) -> None:
        """Append the page of one mail; note the mails and attachments in it."""
        flow = Flow()
        outer = mail is self.message
        for name in _SHOWN:
            if value := header(mail, name):
                flow.add(f"{name}: {value}")
        texts: list[str] = []
        for part in self._leaves(mail):
            kind = part.get_content_type()
            if kind == "message/rfc822":
                mails.extend(inner for inner in _children(part))
            elif _is_body(part, kind):
                self._body(flow, part, kind, gap=not texts)
                texts.append(kind)
            elif not (kind.startswith("image/") and part.get("Content-ID") and part.get_content_disposition() != "attachment"):
                attachments.append(part)
        section = () if outer else (f"attachment: {header(mail, 'Subject') or 'message'}"[:MAX_TITLE_CHARS],)
        self._add(flow.pages(), section)

    def _body(self, flow: Flow, part: Message, kind: str, *, gap: bool) -> None:
        text, lost = decoded(self._content(part), charset_of(part))
        self._warnings += lost
        if not text.strip():
            return
        if gap and not flow.empty:
            flow.add("")
        if kind == "text/html":
            read_html(text, flow, self._hidden)
        else:
            flow.add(text.strip("\n"))

    def _attachment(self, part: Message, shown: str) -> None:
        try:
            file = MemoryFile.of(self._content(part))
            kind = detect(file, name=shown)
            if kind == MEDIA_TYPE:
                pages, warnings = self._inner(file)
            else:
                document = registry.build(registry.LOADERS, "loader", kind).load(file, name=shown)
                pages, warnings = document.pages, document.warnings
        except FileTooLarge:
            raise
        except EngineError as error:
            self._warnings.append(f"the attachment {shown!r} was not read: {error}")
            return
        if not any(page.has_text for page in pages):
            scan = any(page.has_image for page in pages)
            way = ": it is a picture; upload it by itself, and its text is recognised" if scan else ""
            self._warnings.append(f"the attachment {shown!r} holds no text that can be read{way}")
            return
        self._warnings += [f"{shown}: {warning}" for warning in warnings]
        self._add(pages, (f"attachment: {shown}",))

    def _inner(self, file: Path) -> tuple[tuple[Page, ...], tuple[str, ...]]:
        if self._depth == MAX_DEPTH:
            raise UnsupportedFile("mails in it are nested too deep")
        return _Mail(BytesParser().parsebytes(file.read_bytes().lstrip()), depth=self._depth + 1).read()

    def _add(self, pages: Sequence[Page], section: tuple[str, ...]) -> None:
        BUDGET.get().check_pages(len(self._pages) + len(pages))
        for page in pages:
            self._pages.append(dataclasses.replace(page, number=len(self._pages) + 1, section=(*section, *page.section)))
        BUDGET.get().check_chars(sum(len(page.text) for page in self._pages))

    def _content(self, part: Message) -> bytes:
        payload = part.get_payload(decode=True)
        data = payload if isinstance(payload, bytes) else b""
        self._size += len(data)
        BUDGET.get().check_unpacked(self._size)
        return data

    def _leaves(self, mail: Message) -> Iterator[Message]:
        """Yield the parts that hold something, in order, without recursion; of alternatives only the best that we read."""
        stack = [mail]
        while stack:
            part = stack.pop()
            self._parts += 1
            if self._parts > MAX_PARTS:
                raise FileTooLarge(f"the e-mail has more than {MAX_PARTS:,} parts")
            kind = part.get_content_type()
            if kind == "multipart/alternative":
                stack.extend(reversed(self._chosen(_children(part))))
            elif part.is_multipart() and (kind != "message/rfc822" or part is mail):
                stack.extend(reversed(_children(part)))
            else:
                yield part

    def _chosen(self, parts: list[Message]) -> list[Message]:
        plain = [part for part in parts if part.get_content_type() == "text/plain"]
        if any(str(part.get_payload()).strip() for part in plain):
            return plain
        rich = [part for part in parts if part.get_content_type() != "text/plain"]
        return rich[-1:] or plain


def _children(part: Message) -> list[Message]:
    payload = part.get_payload()
    return [child for child in payload if isinstance(child, Message)] if isinstance(payload, list) else []


def _is_body(part: Message, kind: str) -> bool:
    return kind in {"text/plain", "text/html"} and part.get_content_disposition() != "attachment" and not file_name(part)
