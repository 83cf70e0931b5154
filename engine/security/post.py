"""The one function that sends something to a web address that people name: webhooks of alerts."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx2

from engine.errors import AddressDenied, ProviderRejected, ProviderTimeout, ProviderUnavailable
from engine.security.egress import Egress, target
from engine.security.fetch import client_for

MAX_ANSWER = 64 << 10


async def post_json(url: str, body: bytes, *, rules: Egress, seconds: float, network: Any = None) -> int:
    """Send JSON and return the status, which is 2xx. Redirects are not followed; what is answered is not read.

    `network` replaces httpcore's backend below the check, for tests. Raises AddressDenied, InputError (no web address),
    ProviderTimeout, ProviderUnavailable, ProviderRejected; no text of them repeats the address.
    """
    hop = target(url)
    headers = {"Content-Type": "application/json", "Content-Length": str(len(body))}
    try:
        async with (
            asyncio.timeout(seconds),
            await client_for(rules, network) as client,
            client.stream("POST", hop.url, content=body, headers=headers) as response,
        ):
            status: int = response.status_code
    except TimeoutError:
        raise ProviderTimeout(f"the receiver gave no answer within {seconds:.0f} s", hint="Try again.") from None
    except (httpx2.ConnectError, httpx2.ConnectTimeout):
        raise AddressDenied(host=hop.host, by_rule=False) from None
    except (httpx2.HTTPError, httpx2.InvalidURL, httpx2.StreamError, OSError) as error:
        raise ProviderUnavailable(f"the receiver broke off ({type(error).__name__})", hint="Try again.") from None
    if status >= 500 or status in (408, 429):
        raise ProviderUnavailable(f"the receiver answered {status}", hint="It is tried again.")
    if not 200 <= status < 300:
        raise ProviderRejected(f"the receiver answered {status}", hint="Check the address of the channel.")
    return status
