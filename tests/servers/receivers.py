"""Receivers of alerts: a web server that takes webhooks, and a mail server. Real ones, on loopback."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from aiosmtpd.controller import Controller


@dataclass
class Hooks:
    """What came, and what is answered."""

    url: str = ""
    status: int = 200
    bodies: list[dict[str, Any]] = field(default_factory=list)


@contextmanager
def web_receiver() -> Iterator[Hooks]:
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            hooks.bodies.append(json.loads(body))
            self.send_response(hooks.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    hooks.url = f"http://127.0.0.1:{server.server_port}/hook/secret-path-canary"
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass
class Mails:
    """What came: (receivers, text with headers)."""

    url: str = ""
    got: list[tuple[list[str], str]] = field(default_factory=list)


@contextmanager
def mail_receiver() -> Iterator[Mails]:
    mails = Mails()

    class Handler:
        async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802
            mails.got.append((list(envelope.rcpt_tos), envelope.content.decode()))
            return "250 taken"

    controller = Controller(Handler(), hostname="127.0.0.1", port=0)
    # The controller tries a connection to the port it was given, so it needs to know one.
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        controller.port = free.getsockname()[1]
    controller.start()
    mails.url = f"smtp://127.0.0.1:{controller.port}"
    try:
        yield mails
    finally:
        controller.stop()
