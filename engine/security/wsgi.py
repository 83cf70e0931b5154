"""The rules in front of a WSGI application (PEP 3333)."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator
from http import HTTPStatus
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from engine.security.headers import Headers
from engine.security.refusals import Refused
from engine.security.request import Request, claims_identity
from engine.security.rules import Rules
from engine.security.validation import announced_bytes, body_limit, is_parsed, too_large

if TYPE_CHECKING:
    from engine.security.integration import SecurityIntegration

Environ: TypeAlias = dict[str, Any]
StartResponse: TypeAlias = Callable[..., Any]
WSGIApp: TypeAlias = Callable[[Environ, StartResponse], Iterable[bytes]]
Error: TypeAlias = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]
T = TypeVar("T")

USER = "workbench.user"
REQUEST_ID = "workbench.request_id"
PIECE = 64 * 1024
logger = logging.getLogger(__name__)


class _Loop:
    """One event loop in a thread of its own, for hooks that are coroutine functions; started by the first of them."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock = threading.Lock()

    async def settle(self, value: Any) -> Any:
        """Wait for what a hook returned by blocking this thread: a WSGI server gave it to this one request."""
        if not inspect.isawaitable(value):
            return value

        async def waited() -> Any:
            return await value

        return asyncio.run_coroutine_threadsafe(waited(), self._running()).result()

    def _running(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="security-hooks", daemon=True).start()
            return self._loop


def finish(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine that never has to wait: those of the rules, whose only waiting is `settle`, which blocks here."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise RuntimeError("the rules tried to wait outside of an event loop")


class SecurityWSGI:
    """Wraps `app`. The verified caller is `environ["workbench.user"]` (an Identity, or None on public paths)."""

    security: SecurityIntegration

    def __init__(self, app: WSGIApp, rules: Rules) -> None:
        self._app = app
        self._rules = rules
        self._loop = _Loop()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer one request."""
        return _Answer(self._app, self._rules, self._loop, environ, start_response).begin()


class _Answer:
    """One request, its response, and the record of how it ended."""

    def __init__(self, app: WSGIApp, rules: Rules, loop: _Loop, environ: Environ, start_response: StartResponse) -> None:
        self._app, self._rules, self._settle = app, rules, loop.settle
        self._environ, self._start_response = environ, start_response
        self._exchange = rules.open(_request(environ))
        self._ticket: int | None = None
        self._status = 0
        self._head: tuple[str, Headers, Error | None] | None = None
        self._written: list[bytes] = []
        self._result: Iterable[bytes] = ()
        self._input: _Limited | None = None
        self._over = False

    def begin(self) -> Iterable[bytes]:
        """Return the body; the head is decided with its first piece."""
        try:
            finish(self._rules.admit(self._exchange, self._settle))
            self._check_body()
            self._ticket = finish(self._rules.enter(self._exchange, self._settle))
            pieces = self._call()
        except Refused as refusal:
            return self._refuse(refusal)
        except Exception:
            logger.exception("the protected application failed, request %s", self._exchange.request_id)
            return self._refuse(Refused(500, "the application failed", hint="Try again, or tell its operator the request id."))
        return _Pieces(pieces, self._end)

    def _begin(self, status: int) -> None:
        """Note the status before it is sent: whoever reads it may ask again before this request is over."""
        self._status = status
        self._rules.leave(self._ticket, status)

    def _check_body(self) -> None:
        options, request = self._rules.options, self._exchange.request
        if not options.enable_validation:
            return
        length, ended = announced_bytes(request), bool(self._environ.get("wsgi.input_terminated"))
        if length is None and not ended:
            # Only of a server that ends the stream itself can the end be found.
            raise Refused(411, "this server needs to know the length", hint="Send Content-Length.")
        self._input = _Limited(self._environ["wsgi.input"], body_limit(request, options))
        if not is_parsed(request):
            self._environ["wsgi.input"] = self._input
            return
        body = self._input.read(-1 if length is None else length)
        if len(body) < (length or 0):
            raise Refused(400, "the body ended early", hint="Send all of it.")
        self._rules.check_body(self._exchange, body)
        self._environ["wsgi.input"] = io.BytesIO(body)
        self._environ["CONTENT_LENGTH"] = str(len(body))
        self._environ.pop("HTTP_TRANSFER_ENCODING", None)

    def _call(self) -> Iterator[bytes]:
        environ = {name: value for name, value in self._environ.items() if not _claims(name)}
        environ |= {USER: self._exchange.identity, REQUEST_ID: self._exchange.request_id}
        self._result = self._app(environ, self._remember)
        pieces = iter(self._result)
        first = next((piece for piece in pieces if piece), b"")  # the application has to name its head before this
        if self._input and self._input.overflow:
            raise self._input.overflow
        if self._head is None:
            raise RuntimeError("the application gave no response head")
        line, headers, error = self._head
        self._begin(int(line.split()[0]))
        self._start_response(line, _text(self._rules.headers(self._exchange, headers)), error)
        return self._body(first, pieces)

    def _body(self, first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
        yield from self._written
        yield first
        yield from rest

    def _remember(self, line: str, headers: list[tuple[str, str]], error: Error | None = None) -> Callable[[bytes], None]:
        self._head = line, [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers], error
        return self._written.append

    def _refuse(self, refusal: Refused) -> Iterable[bytes]:
        status, headers, body = self._rules.answer(self._exchange, refusal)
        self._begin(status)
        self._start_response(f"{status} {HTTPStatus(status).phrase}", _text(headers))
        return _Pieces(iter([body]), self._end)

    def _end(self, *, whole: bool, failed: bool) -> None:
        if self._over:
            return
        self._over = True
        try:
            close = getattr(self._result, "close", None)
            if close:
                close()
        finally:
            if failed and self._status < 500:
                self._begin(500)
            if not whole:
                self._exchange.outcome = "failed" if failed else "aborted"
            finish(self._rules.close(self._exchange, self._status, self._settle))


class _Pieces:
    """The body as the server reads it; `end` is called once, whatever happens."""

    def __init__(self, pieces: Iterator[bytes], end: Callable[..., None]) -> None:
        self._pieces = pieces
        self._end = end
        self._whole = self._failed = False

    def __iter__(self) -> Iterator[bytes]:
        try:
            yield from self._pieces
        except Exception:
            self._failed = True
            raise
        self._whole = True

    def close(self) -> None:
        """Called by the server at the end of every request."""
        self._end(whole=self._whole, failed=self._failed)


class _Limited:
    """The body as a stream that raises once it has given more than `limit` bytes."""

    def __init__(self, stream: Any, limit: int) -> None:
        self._stream = stream
        self._limit = limit
        self._given = 0
        self.overflow: Refused | None = None

    def read(self, size: int | None = -1) -> bytes:
        """Return up to `size` bytes; all of them when it is None or negative."""
        if size is not None and size >= 0:
            return self._counted(self._stream.read(size))
        pieces = []
        while piece := self._counted(self._stream.read(PIECE)):
            pieces.append(piece)
        return b"".join(pieces)

    def readline(self, size: int = -1) -> bytes:
        """Return one line, or `size` bytes of it."""
        return self._counted(self._stream.readline(size if 0 <= size < PIECE else PIECE))

    def readlines(self, hint: int = -1) -> list[bytes]:
        """Return all lines; the hint may be ignored (PEP 3333)."""
        return list(self)

    def __iter__(self) -> Iterator[bytes]:
        while line := self.readline():
            yield line

    def _counted(self, piece: bytes) -> bytes:
        self._given += len(piece)
        if self._given > self._limit:
            self.overflow = too_large(self._limit)
            raise self.overflow
        return piece


def _request(environ: Environ) -> Request:
    path = (environ.get("SCRIPT_NAME", "") + environ.get("PATH_INFO", "")).encode("latin-1")
    # Servers that keep the target as it was sent let its percent-encoding be checked, too; others give the decoded path.
    raw = str(environ.get("RAW_URI") or environ.get("REQUEST_URI") or "").encode("latin-1", "replace").split(b"?")[0]
    headers = [
        (_name(key), str(value).encode("latin-1", "replace")) for key, value in environ.items() if _is_header(key, value)
    ]
    return Request(
        kind="http",
        method=environ["REQUEST_METHOD"],
        path=path.decode("utf-8", "replace"),
        target=raw or path.replace(b"%", b"%25"),
        query=environ.get("QUERY_STRING", "").encode("latin-1", "replace"),
        headers=headers,
        peer=environ.get("REMOTE_ADDR", ""),
        secure=environ.get("wsgi.url_scheme") == "https",
    )


def _is_header(key: str, value: Any) -> bool:
    return key.startswith("HTTP_") or (key in {"CONTENT_TYPE", "CONTENT_LENGTH"} and bool(value))


def _name(key: str) -> bytes:
    return key.removeprefix("HTTP_").replace("_", "-").lower().encode("latin-1")


def _claims(key: str) -> bool:
    return key.startswith("HTTP_") and claims_identity(key.removeprefix("HTTP_"))


def _text(headers: Headers) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), value.decode("latin-1")) for name, value in headers]
