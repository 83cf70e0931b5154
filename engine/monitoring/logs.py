"""Log lines for people (text) or for machines (JSON, one object a line), with the request they belong to and without secrets.

What is written: our own loggers from INFO, everybody else's from WARNING; other libraries log addresses and bodies at INFO. No
log call of ours has the text of a document, a question or an answer, and a test looks for them.
"""

from __future__ import annotations

import json
import logging
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO

from engine.correlation import request_id
from engine.vendors.status import HIDDEN, without_keys

OURS = ("engine", "ui", "api", "pages")
# They bring handlers of their own, which would write past the format and past the redaction.
ADOPTED = ("uvicorn", "streamlit", "alembic", "hypercorn")
_IN_URL = re.compile(r"(://[^\s/:@]{0,200}:)[^\s/@]{1,500}(?=@)")
_NAMED = re.compile(
    r"""(?ix) \b (pass(?:word|wd)? | secret | token | api[_-]?key | x-api-key | authorization | cookie | session)
        (["']? \s* [=:] \s* ["']?) (?!\[key\]) [^\s"',;&)}\]]{4,500}"""
)
_OWN_KEY = re.compile(r"\bwb_[0-9a-f]{12}_[A-Za-z0-9_-]{10,}")
_JWT = re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")


def redact(text: str) -> str:
    """Return `text` without what looks like a key, bearer, token or password."""
    text = _IN_URL.sub(rf"\g<1>{HIDDEN}", text)
    text = _JWT.sub(HIDDEN, _OWN_KEY.sub(HIDDEN, without_keys(text)))
    return _NAMED.sub(rf"\g<1>\g<2>{HIDDEN}", text)


def _one_line(text: str) -> str:
    """Return `text` without what ends lines, moves cursors or cannot be written."""
    return "".join(char if char.isprintable() else " " if char.isspace() else ascii(char)[1:-1] for char in text)


def trace_id() -> str:
    """Return the trace of OpenTelemetry that this is part of, as 32 hexadecimal digits, or ""."""
    # Nothing is imported for it: without the module there is no trace.
    trace = sys.modules.get("opentelemetry.trace")
    number = trace.get_current_span().get_span_context().trace_id if trace else 0
    return f"{number:032x}" if number else ""


class JsonLines(logging.Formatter):
    """One object a line: time (ISO 8601, UTC), level, logger, message, process, and request_id, trace_id, error if any."""

    def __init__(self, trace: Callable[[], str] = trace_id) -> None:
        super().__init__()
        self._trace = trace

    def format(self, record: logging.LogRecord) -> str:
        """Return the line; a traceback is the field `error`, with its line ends escaped."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": redact(record.getMessage()),
            "process": record.process,
            "request_id": request_id(),
            "trace_id": self._trace(),
            "error": redact(self.formatException(record.exc_info)) if record.exc_info else "",
        }
        text = json.dumps({name: value for name, value in told.items() if value != ""}, ensure_ascii=False)
        # Within JSON the other ends of lines are no ends, but not everybody who reads lines knows that.
        return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


class TextLines(logging.Formatter):
    """Time (UTC), level, logger, request and message; a traceback follows on indented lines of its own."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line."""
        time = datetime.fromtimestamp(record.created, UTC).strftime("%Y-%m-%d %H:%M:%S")
        # One event is one line, whatever the message holds: nobody forges a second one, or moves a terminal's cursor.
        message = _one_line(redact(record.getMessage()))
        line = f"{time} {record.levelname.lower():7} {record.name} [{request_id() or '-'}] {message}"
        if not record.exc_info:
            return line
        trace = redact(self.formatException(record.exc_info)).split("\n")
        return "\n".join([line, *(f"  {_one_line(one)}" for one in trace)])


class _Handler(logging.StreamHandler[TextIO]):
    """Ours, to be told from handlers of tests and of embedders."""


def configure_logging(format: str = "text", *, stream: TextIO | None = None) -> logging.Handler:
    """Send every log line to `stream` (None: stderr) as "text" or "json", and return the handler. Idempotent.

    For the start of a process, never at import: who uses the engine as a library configures logging themselves.
    """
    handler = _Handler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if format == "json" else TextLines())
    root = logging.getLogger()
    for before in [one for one in root.handlers if isinstance(one, _Handler)]:
        root.removeHandler(before)
    root.addHandler(handler)
    for name in list(root.manager.loggerDict):
        logger = logging.getLogger(name)
        if name.split(".")[0] in ADOPTED:
            logger.handlers.clear()
            logger.propagate = True
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    return handler
