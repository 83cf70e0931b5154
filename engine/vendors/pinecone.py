"""Pinecone: clients that never try twice by themselves and read no environment, and its errors in our words."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, TypeVar

import httpx
from pinecone import ApiError, ConflictError, NotFoundError, Pinecone, ServerlessSpec
from pinecone.errors import PineconeConnectionError, PineconeTimeoutError
from pinecone.models.indexes.schema import DenseVectorField

from engine.errors import CollectionMissing, DimensionMismatch, ProviderError, StoreError, StoreUnavailable
from engine.types import Endpoint
from engine.vendors.limits import Limits, sync_settings
from engine.vendors.status import redacted, retry_seconds, waiting_helps

CONTROL = "https://api.pinecone.io"
READY_SECONDS = 120.0
"""How long a new index may take until it can be used."""
MOST_BYTES = 256 * 2**20
"""The longest answer that is read."""
METRICS = ("cosine", "dotproduct")
_HINTS = {
    401: "The key is missing or wrong: enter it again on the providers page.",
    402: "Look at the billing page of Pinecone.",
    403: "The key may not do that, or a quota is used up.",
    404: "Check the name of the index.",
    413: "The request is too long: store less metadata.",
    429: "Wait, or raise the limit at Pinecone.",
}

T = TypeVar("T")

_guard = threading.Lock()
_indexes: dict[tuple[object, ...], Any] = {}


def asked(endpoint: Endpoint, call: Callable[..., T], **arguments: Any) -> T:
    """Return what `call(**arguments)` gives. Raises StoreError; CollectionMissing for what is not there."""
    try:
        return call(**arguments)
    except StoreError:
        raise
    except ProviderError as error:  # an answer beyond our limits
        raise StoreError(str(error), hint=error.hint) from None
    except Exception as error:  # noqa: BLE001 - the SDK lets through what httpx and its decoders raise
        if isinstance(error, (NotFoundError, PineconeConnectionError)):
            _forget(endpoint)  # the index may be gone, or may have been made anew at another address
        # Without its cause: what the vendor said may repeat the key.
        raise translated(error, endpoint) from None


def translated(error: Exception, endpoint: Endpoint) -> StoreError:
    """Return an error of the SDK as one of ours, with the vendor's status and without the key."""
    said = redacted(getattr(error, "message", "") or error or type(error).__name__, endpoint)
    if isinstance(error, ApiError):
        status = error.status_code
        text = f"Pinecone answered {status}: {said}"
        hint = _HINTS.get(status, "Pinecone has trouble; try again." if status >= 500 else "The answer of Pinecone says why.")
        if status == 404:
            return CollectionMissing(text, hint=hint)
        seconds = retry_seconds({name.lower(): value for name, value in (error.headers or {}).items()}.get("retry-after"))
        if not waiting_helps(status):
            return StoreError(text, hint=hint, status=status)
        hint = f"Wait {seconds:.0f} s, or raise the limit at Pinecone." if seconds is not None else hint
        return StoreUnavailable(text, hint=hint, status=status, retry_after_seconds=seconds)
    if isinstance(error, PineconeTimeoutError):
        return StoreUnavailable(f"Pinecone gave no answer in time: {said}", hint="Try again, or raise its time limit.")
    kind = StoreUnavailable if isinstance(error, PineconeConnectionError) else StoreError
    return kind(f"Pinecone cannot be used: {said}", hint="Check its address; the rest of the message says more.")


def opened(endpoint: Endpoint, *, dimension: int, create: bool) -> Any:
    """Return the SDK's client of the index for vectors of `dimension`; its name is the option `index` with the dimension added.

    It is shared by all stores of the process. Raises CollectionMissing when there is no such index, DimensionMismatch
    for one that was made by hand for other vectors, or StoreError. `create` makes a missing one and waits until it is ready.
    """
    name = f"{endpoint.options.get('index') or 'workbench'}-{dimension}"
    key = (endpoint.base_url, endpoint.api_key, endpoint.timeout_seconds, name)
    with _guard:
        found = _indexes.get(key)
    if found is None:
        made = asked(endpoint, lambda: _open(endpoint, name, dimension, create=create))
        with _guard:
            found = _indexes.setdefault(key, made)
    return found


def _open(endpoint: Endpoint, name: str, dimension: int, *, create: bool) -> Any:
    with Pinecone(
        api_key=endpoint.api_key or "none",
        host=endpoint.base_url or CONTROL,
        additional_headers={"Accept": "application/json"},  # an empty one is filled from the environment
        timeout=endpoint.timeout_seconds,
    ) as client:
        _limit(client, endpoint)
        host = _host(client, endpoint, name, dimension, create=create)
        data = client.index(host=host)
    _limit(data, endpoint)
    return data


def _limit(client: Any, endpoint: Endpoint) -> None:
    """Put a transport of ours below a client of the SDK: it tries once, and an answer may not grow or last without end."""
    client._http._client._transport.close()
    limits = Limits("Pinecone", endpoint.timeout_seconds, MOST_BYTES, endpoint.guard)
    client._http._client._transport = sync_settings(httpx, limits)["transport"]


def _host(client: Pinecone, endpoint: Endpoint, name: str, dimension: int, *, create: bool) -> str:
    try:
        model = client.indexes.describe(name)
    except NotFoundError:
        if not create:
            raise
        _create(client, endpoint, name, dimension)
        model = client.indexes.describe(name)
    end = time.monotonic() + READY_SECONDS
    while not (model.status.ready and model.host):
        if time.monotonic() > end:
            raise StoreError(f"the Pinecone index {name!r} is not ready: {model.status.state}", hint="Try again in a moment.")
        time.sleep(0.5)
        model = client.indexes.describe(name)
    fields = [field for field in model.schema.fields.values() if isinstance(field, DenseVectorField)]
    if len(fields) != 1 or fields[0].metric not in METRICS:
        raise StoreError(
            f"the Pinecone index {name!r} does not hold dense vectors to compare by cosine",
            hint="Name another index; one that does not exist is made.",
        )
    if fields[0].dimension != dimension:
        raise DimensionMismatch(
            f"the Pinecone index {name!r} holds vectors of dimension {fields[0].dimension}, not {dimension}",
            hint="Name another index; one that does not exist is made.",
        )
    return model.host


def _create(client: Pinecone, endpoint: Endpoint, name: str, dimension: int) -> None:
    where = ServerlessSpec(
        cloud=str(endpoint.options.get("cloud") or "aws"), region=str(endpoint.options.get("region") or "us-east-1")
    )
    try:
        client.indexes.create(name=name, dimension=dimension, metric="dotproduct", spec=where, timeout=-1)
    except ConflictError:
        return  # somebody else was faster


def _forget(endpoint: Endpoint) -> None:
    with _guard:
        for key in [key for key in _indexes if key[:2] == (endpoint.base_url, endpoint.api_key)]:
            del _indexes[key]
