"""What a request may look like, before anybody asks who sent it: its line, its headers, the announced body."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from engine.security.options import Options
from engine.security.refusals import Refused
from engine.security.request import Request

# Sent twice, these mean one thing to a proxy and another to the application behind it.
ONCE = (b"authorization", b"x-api-key", b"content-type", b"content-length", b"host")
_BAD_PERCENT = re.compile(rb"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_HEADER = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_SEGMENT_ENDS = re.compile(r"[/\\]")


def check_request(request: Request, options: Options) -> None:
    """Raise Refused (400, 405, 413, 414, 415, 431) for a request that is malformed or over a limit."""
    if request.kind == "http" and request.method not in options.methods:
        raise Refused(
            405, "this method is not allowed", hint="Use another method.", headers=(("allow", ", ".join(options.methods)),)
        )
    if len(request.target) + len(request.query) > options.max_url_bytes:
        raise Refused(414, "the address is too long", hint=f"At most {options.max_url_bytes} bytes; send the rest as a body.")
    check_path(request.target)
    decode(request.query, "query")
    _check_headers(request, options)
    _check_announced_body(request, options)


def check_path(target: bytes) -> None:
    """Raise Refused (400) for a path with control characters, wrong encoding, or steps upwards (decoded up to twice)."""
    path = decode(target, "path")
    for form in (path, unquote_to_bytes(path).decode("utf-8", "replace")):
        if ".." in _SEGMENT_ENDS.split(form) or _CONTROL.search(form):
            raise Refused(400, "the path leads upwards or hides control characters", hint="Ask for the address itself.")


def decode(encoded: bytes, part: str) -> str:
    """Return percent-encoded text, decoded once. Raises Refused (400); overlong UTF-8 is invalid UTF-8 (RFC 3629)."""
    if _BAD_PERCENT.search(encoded):
        raise Refused(400, f"the {part} has an incomplete percent-encoding", hint="Encode '%' itself as '%25'.")
    try:
        text = unquote_to_bytes(encoded).decode("utf-8")
    except UnicodeDecodeError:
        raise Refused(400, f"the {part} is not valid UTF-8", hint="Encode it as UTF-8.") from None
    if _CONTROL.search(text):
        raise Refused(400, f"the {part} has control characters", hint="Remove line breaks and NUL, or send them in a body.")
    return text


def media_type(request: Request) -> str:
    """Return the type of the body in lower case, without parameters."""
    return request.value(b"content-type").split(";")[0].strip().lower()


def announced_bytes(request: Request) -> int | None:
    """Return the length that the request announces; 0 when it has no body, None when the length is open (chunked)."""
    if request.values(b"transfer-encoding"):
        return None
    text = request.value(b"content-length") or "0"
    if not text.isascii() or not text.isdigit() or len(text) > 18:
        raise Refused(400, "the announced length is no number", hint="Send a correct Content-Length.")
    return int(text)


def too_large(limit: int) -> Refused:
    """Return the 413 for a body beyond `limit` bytes."""
    return Refused(413, "the body is too large", hint=f"Send at most {limit} bytes.")


def _check_headers(request: Request, options: Options) -> None:
    if len(request.headers) > options.max_headers:
        raise Refused(431, "there are too many headers", hint=f"Send at most {options.max_headers}.")
    if sum(len(name) + len(value) for name, value in request.headers) > options.max_header_bytes:
        raise Refused(431, "the headers are too large", hint=f"Send at most {options.max_header_bytes} bytes of them.")
    if any(_CONTROL_IN_HEADER.search(value) for _, value in request.headers):
        raise Refused(400, "a header has control characters", hint="Remove them.")
    for name in ONCE:
        if len(request.values(name)) > 1:
            raise Refused(400, f"the header {name.decode()!r} is there more than once", hint="Send it once.")


def _check_announced_body(request: Request, options: Options) -> None:
    announced = announced_bytes(request)
    if announced is None and request.values(b"content-length"):
        raise Refused(400, "the request has two lengths", hint="Send either Content-Length or Transfer-Encoding.")
    if announced == 0 or request.kind == "websocket":
        return
    check_type(request, options)
    limit = body_limit(request, options)
    if announced is not None and announced > limit:
        raise too_large(limit)


def check_type(request: Request, options: Options) -> None:
    """Raise Refused (415) when the body is of a type that is not accepted."""
    if media_type(request) not in options.content_types:
        raise Refused(415, "this type of content is not accepted", hint=f"Send one of: {', '.join(options.content_types)}.")


def is_parsed(request: Request) -> bool:
    """Tell whether the body is read and checked before the application sees it: JSON and plain forms."""
    kind = media_type(request)
    return kind == "application/json" or kind.endswith("+json") or kind == "application/x-www-form-urlencoded"


def body_limit(request: Request, options: Options) -> int:
    """Return the most bytes that the body may have."""
    return min(options.max_parsed_bytes, options.max_body_bytes) if is_parsed(request) else options.max_body_bytes
