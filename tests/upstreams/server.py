"""The base of the servers: requests are recorded, faults are injected, streams are counted."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from engine.types import Endpoint

KEY = "sk-canary-7f3e9a1b5c2d4e6f8091a2b3"
STATUS_FAULTS = ("400", "401", "403", "404", "413", "429", "500", "503")
STREAM_FAULTS = ("hang", "reset", "garbage", "cut")
FAULTS = (*STATUS_FAULTS, *STREAM_FAULTS)


@dataclass
class Call:
    """One request as it came in; header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: Any


@dataclass
class Reply:
    """What a route answers. `stream` holds the raw pieces to send one by one; else `body` is sent as JSON."""

    body: Any = None
    stream: Iterator[bytes] | None = None
    content_type: str = "application/json"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)


class Upstream:
    """A running server. Subclasses set `routes(call) -> Reply`, `error_body(status)`, and `endpoint` after start.

    `text` is what the next answers say (streamed word by word); `calls` are the requests so far; `fail(fault, times)` spoils the
    next requests: a status of STATUS_FAULTS, "hang" (no answer for 30 s), "reset" (connection closed at once), "garbage" (200 with
    a body of another world), "cut" (a stream that breaks off after its first piece). `slow` seconds pass between pieces.
    `open_streams` counts streams that are being sent; a client that goes away ends its stream within one piece.
    """

    def __init__(self) -> None:
        self.text = "The Northfield plant employs 412 people [1]. It makes pumps [1]."
        self.usage = (321, 17)  # input and output tokens that it reports
        self.calls: list[Call] = []
        self.slow = 0.0
        self.retry_after = "7"
        self.open_streams = 0
        self.endpoint = Endpoint()
        self._faults: deque[str] = deque()
        self._lock = threading.Lock()
        self.closing = threading.Event()
        self.connections: list[socket.socket] = []
        self.url = ""

    def fail(self, fault: str, times: int = 1) -> None:
        """Spoil the next requests."""
        assert fault in FAULTS, fault
        self._faults.extend([fault] * times)

    def heal(self) -> None:
        """Forget faults that were not used."""
        self._faults.clear()
        self.slow = 0.0

    def next_fault(self) -> str:
        """Take the fault of this request."""
        with self._lock:
            return self._faults.popleft() if self._faults else ""

    def routes(self, call: Call) -> Reply:
        """Answer a request as the vendor would."""
        raise NotImplementedError

    def error_body(self, status: int) -> Any:
        """Return what the vendor sends with an error; it repeats the key as some do."""
        return {"error": {"message": f"upstream says {status}; your key is {KEY}", "code": status}}

    def words(self) -> list[str]:
        """Return the answer in pieces."""
        words = self.text.split(" ")
        return [word + " " for word in words[:-1]] + words[-1:]

    def wait_until_no_stream(self, seconds: float = 5.0) -> bool:
        """Tell whether all streams end within `seconds`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.open_streams == 0:
                return True
            time.sleep(0.02)
        return False


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    upstream: Upstream

    def setup(self) -> None:
        super().setup()
        self.upstream.connections.append(self.connection)

    def log_message(self, *args: Any) -> None:
        pass

    def _serve(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length) if length else b""
        try:
            body = json.loads(raw) if raw else None
        except ValueError:
            body = raw
        call = Call(self.command, self.path, {name.lower(): value for name, value in self.headers.items()}, body)
        self.upstream.calls.append(call)
        fault = self.upstream.next_fault()
        if fault == "hang":
            self.upstream.closing.wait(30)
            self.close_connection = True
        elif fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            self.close_connection = True
        elif fault == "garbage":
            self._send(Reply(content_type="text/html", body=b"<html><body>It works!</body></html>"))
        elif fault in STATUS_FAULTS:
            headers = {"Retry-After": self.upstream.retry_after} if fault == "429" else {}
            self._send(Reply(status=int(fault), body=self.upstream.error_body(int(fault)), headers=headers))
        else:
            self._send(self.upstream.routes(call), cut=fault == "cut")

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = _serve

    def _send(self, reply: Reply, *, cut: bool = False) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Type", reply.content_type)
        if reply.stream is None:
            content = reply.body if isinstance(reply.body, bytes) else json.dumps(reply.body).encode()
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)
            return
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        with self.upstream._lock:
            self.upstream.open_streams += 1
        try:
            for piece in reply.stream:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
                if cut:
                    self.close_connection = True
                    return
                if self.upstream.slow:
                    self.upstream.closing.wait(self.upstream.slow)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            self.close_connection = True
        finally:
            with self.upstream._lock:
                self.upstream.open_streams -= 1


@contextmanager
def serving(upstream: Upstream, endpoint: Callable[[str], Endpoint]) -> Iterator[Upstream]:
    """Run the server on a free port of loopback; `endpoint(url)` makes the upstream's endpoint."""
    handler = type("Handler", (_Handler,), {"upstream": upstream})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that goes away is part of the tests
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    upstream.url = f"http://127.0.0.1:{server.server_address[1]}"
    upstream.endpoint = endpoint(upstream.url)
    try:
        yield upstream
    finally:
        upstream.closing.set()
        server.shutdown()
        server.server_close()
        for connection in upstream.connections:  # kept-alive ones too: a server that is killed answers nobody
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
