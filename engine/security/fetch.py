"""The one function that fetches what a user names by a web address. Only `engine.security.post` shares its client."""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import Message
from typing import Any
from urllib.parse import unquote, urljoin

import httpx2

from engine.errors import AddressDenied, FileTooLarge, InputError
from engine.security.egress import Egress, Target, target
from engine.vendors.pinned import pinned

CONNECT_SECONDS = 10.0
REDIRECTS = (301, 302, 303, 307, 308)
# Content codings are declined: a small answer must not unpack to a large one, and bytes are counted as they come.
HEADERS = {"User-Agent": "RAG-Workbench", "Accept": "*/*", "Accept-Encoding": "identity"}
_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:")
_DOWN = (httpx2.ConnectError, httpx2.ConnectTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """What an address gave. `media_type` and `file_name` are what the server claims: to be shown, never trusted."""

    url: str
    final_url: str
    content: bytes = field(repr=False)
    media_type: str
    file_name: str


async def fetch(
    url: str,
    *,
    rules: Egress,
    max_bytes: int,
    seconds: float,
    max_redirects: int = 5,
    network: Any = None,
) -> Fetched:
    """Return what lies at `url`, at most `max_bytes` of it, in at most `seconds` with everything that takes time.

    Each hop is read, looked up and judged from the start and connected to at the very address that was judged; https never
    leads to http. No cookies, credentials, proxies or settings of the environment. `network` replaces httpcore's backend
    below the check, for tests. Raises AddressDenied, FileTooLarge, InputError; no text of them repeats the address.
    """
    first = hop = target(url)
    try:
        async with asyncio.timeout(seconds):
            for _ in range(max_redirects + 1):
                async with _asked(hop, rules, network) as response:
                    if response.status_code not in REDIRECTS:
                        content = await _read(response, max_bytes)
                        return Fetched(
                            url=first.url,
                            final_url=hop.url,
                            content=content,
                            media_type=response.headers.get("content-type", "").partition(";")[0].strip().lower()[:100],
                            file_name=_file_name(response.headers.get("content-disposition", ""), hop),
                        )
                    hop = _next(hop, response.headers.get("location", ""))
    except TimeoutError:
        raise InputError(f"the file did not arrive within {seconds:.0f} s", hint="Try again, or upload the file.") from None
    raise InputError(f"the address leads on more than {max_redirects} times", hint="Copy the address of the file itself.")


@asynccontextmanager
async def _asked(hop: Target, rules: Egress, network: Any) -> AsyncIterator[httpx2.Response]:
    client = await client_for(rules, network)
    try:
        async with client, client.stream("GET", hop.url) as response:
            yield response
    except _DOWN:
        # Closed, filtered, not there, or no TLS: all of it is told as the refusal of a rule is.
        raise AddressDenied(host=hop.host, by_rule=False) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise InputError(
            f"the server of this address broke off its answer ({type(error).__name__})",
            hint="Try again, or upload the file.",
        ) from None


async def client_for(rules: Egress, network: Any = None) -> httpx2.AsyncClient:
    """Return a client whose connections are judged by `rules` and made to the very address that was judged."""
    transport = httpx2.AsyncHTTPTransport(verify=await asyncio.to_thread(_tls), trust_env=False)
    if network is not None:
        transport._pool._network_backend = network
    return httpx2.AsyncClient(
        transport=pinned(transport, httpx2, rules),
        trust_env=False,
        follow_redirects=False,
        headers=HEADERS,
        timeout=httpx2.Timeout(None, connect=CONNECT_SECONDS),
    )


def _next(hop: Target, location: str) -> Target:
    try:
        # One with a scheme stands for itself: `urljoin` would mend what is wrong in it.
        following = target(location if _SCHEME.match(location) else urljoin(hop.url, location))
    except (InputError, ValueError):  # a file, a user in it, or no address at all
        raise AddressDenied(host=hop.host) from None
    if (hop.scheme, following.scheme) == ("https", "http"):
        raise AddressDenied(host=following.host)
    return following


async def _read(response: httpx2.Response, max_bytes: int) -> bytes:
    if response.status_code != httpx2.codes.OK:
        raise InputError(
            f"the server of this address answered {response.status_code}",
            hint="Open it in a browser; if that asks you to sign in, save the file and upload it.",
        )
    if response.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise InputError("the server sent the file compressed, which was not asked for", hint="Download and upload it.")
    too_large = FileTooLarge(
        f"the file is larger than {max_bytes >> 20} MB", hint="Ask an operator to raise `egress.url_max_mb`."
    )
    length = response.headers.get("content-length", "")
    if length.isdecimal() and (len(length) > 15 or int(length) > max_bytes):
        raise too_large
    pieces, size = [], 0
    async for piece in response.aiter_raw():
        size += len(piece)
        if size > max_bytes:
            raise too_large
        pieces.append(piece)
    return b"".join(pieces)


def _file_name(disposition: str, hop: Target) -> str:
    """Return the name that the server gives (RFC 6266), else the last part of the path, else the host."""
    message = Message()
    message["Content-Disposition"] = disposition.replace("\r", " ").replace("\n", " ")
    for name in (message.get_filename() or "", unquote(hop.path.partition("?")[0])):
        if last := name.replace("\\", "/").rpartition("/")[2].strip():
            return last
    return hop.host


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context(trust_env=False)
