"""What the gate decides from a request's first lines alone, before anybody is looked up. Nothing here waits or remembers."""

from __future__ import annotations

import re
from collections.abc import Collection
from urllib.parse import quote, unquote

from engine.security.wire import Scope, header_values

PROBES = frozenset({"/healthz/live", "/healthz/ready", "/healthz/startup"})
OPEN_PATHS = PROBES | {"/login", "/login/code", "/login/password", "/login/style.css", "/invite", "/setup"}
CONSTANT_PATHS = PROBES | {"/login/style.css"}  # they cost next to nothing, however often they are asked
HIDDEN_PATHS = frozenset({"/_stcore/metrics"})  # Streamlit's own figures, of no use to anybody who uses pages
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "[::1]")
MAX_QUERY = 500  # characters that are carried through a sign-in

_UPLOAD = re.compile(r"/_stcore/upload_file/([^/]+)/[^/]+|/api/v1/collections/[^/]+/documents")
_MEDIA = re.compile(r"/media/([^/]+)")
_ODD = re.compile(r"//|\\|/\.{1,2}(?:/|$)|[\x00-\x1f\x7f]")


def is_open(scope: Scope) -> bool:
    """Tell whether strangers may have this path. Only its one plain spelling is open: `/%6cogin` and `/login/` are not."""
    path: str = scope["path"]
    return path in OPEN_PATHS and scope.get("raw_path", path.encode()) == path.encode() and not scope.get("root_path")


def is_odd(scope: Scope) -> bool:
    """Tell whether a path is written so that two readers could understand it differently (RFC 3986, 6.2.2)."""
    path: str = scope["path"]
    raw = scope.get("raw_path", b"").lower()
    return not path.startswith("/") or bool(_ODD.search(path)) or unquote(path) != path or b"%2f" in raw or b"%5c" in raw


def uploads_to(scope: Scope) -> str | None:
    """Return the Streamlit session that an upload is meant for, "" for an upload to the API, None for anything else."""
    found = _UPLOAD.fullmatch(scope["path"])
    return None if found is None else found[1] or ""


def media_id(scope: Scope) -> str:
    """Return which media file is asked for, or ""."""
    found = _MEDIA.fullmatch(scope["path"])
    return found[1] if found else ""


def host_of(text: str) -> str:
    """Return the name in a Host header without its port, in lower case."""
    name = text.strip().lower()
    return re.sub(r":\d*$", "", name).rstrip(".")


def host_problem(scope: Scope, allowed: Collection[str]) -> int:
    """Return 0 when the Host header is one of `allowed` (empty: any), else the status of the refusal (RFC 9110, 15.5.20).

    A page of a foreign site whose name was pointed at this server (DNS rebinding) sends that foreign name.
    """
    values = header_values(scope["headers"], b"host")
    if len(values) > 1:
        return 400
    if not allowed or scope["path"] in PROBES:  # orchestrators ask by address
        return 0
    return 0 if values and host_of(values[0]) in allowed else 421


def scheme_of(scope: Scope) -> str:
    """Return the scheme that the trusted proxy in front reports; the server's own when it tells none, or several."""
    told = ",".join(header_values(scope["headers"], b"x-forwarded-proto")).strip().lower()
    web = {"http": "http", "ws": "http", "https": "https", "wss": "https"}.get(told)
    if web is None:
        own: str = scope.get("scheme", "http")
        return own
    return web if scope["type"] == "http" else web.replace("http", "ws")


def login_url(scope: Scope) -> bytes:
    """Return where a browser signs in and then comes back to what it asked for."""
    query = scope.get("query_string", b"").decode("latin-1")
    if scope["path"] == "/" and not query:
        return b"/login"
    target = quote(scope["path"], safe="/") + (f"?{query}" if 0 < len(query) <= MAX_QUERY else "")
    return b"/login?next=" + quote(target, safe="/").encode()
