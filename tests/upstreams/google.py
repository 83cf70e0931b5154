"""What the Gemini API and Vertex AI have in common, as their references describe it: answers, embeddings, lists, errors."""

from __future__ import annotations

import functools
import hashlib
import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qs, urlsplit

import numpy as np
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from google.auth import jwt

from engine.types import Endpoint
from tests.upstreams.server import KEY, Call, Reply, Upstream

MODELS = {
    "gemini-2.5-flash": ["generateContent", "countTokens"],
    "gemini-2.5-pro": ["generateContent", "countTokens"],
    "gemini-embedding-001": ["embedContent", "countTextTokens"],
    "gemini-embedding-2": ["embedContent"],
    "imagen-4.0-generate-001": ["predict"],
}
DIMENSION = 256
LENGTH = 3.0  # of a vector: shortened ones do not come with unit length
TOKEN = "ya29.loopback-token-1"
PROJECT = "northfield-7"
STATUSES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 413: "INVALID_ARGUMENT",
    429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE",
}  # fmt: skip
REASONS = {"STOP": 1, "MAX_TOKENS": 2, "SAFETY": 3, "RECITATION": 4, "OTHER": 5, "BLOCKLIST": 7, "PROHIBITED_CONTENT": 8}
REQUEST = {
    "contents",
    "systemInstruction",
    "generationConfig",
    "safetySettings",
    "tools",
    "toolConfig",
    "cachedContent",
    "model",
}


class GoogleUpstream(Upstream):
    """`finish` is the reason that the next answers end with ("" = none is sent); `blocked` one to refuse the prompt for.

    `thoughts` are sent before the answer, and cost as many tokens as words. `reports_usage` off: no counts. `retry_delay` is what
    the body of an error asks to wait. `spoil` changes the body of the next embeddings; `keys` are the keys that open the door.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finish = "STOP"
        self.blocked = ""
        self.thoughts = ""
        self.reports_usage = True
        self.retry_delay = ""
        self.spoil = lambda body: body
        self.keys = {KEY}
        self.numbers = False  # enums as numbers, as the former SDK asks for them

    def error_body(self, status: int) -> Any:
        info = {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY", "metadata": {"key": KEY}}
        delay = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": self.retry_delay}
        error = {"code": status, "message": f"upstream says {status}; the key was {KEY}", "status": STATUSES.get(status, "")}
        return {"error": {**error, "details": [info, *([delay] if self.retry_delay else [])]}}

    def refused(self, status: int) -> Reply:
        return Reply(status=status, body=self.error_body(status))

    def may(self, call: Call) -> bool:
        return call.headers.get("x-goog-api-key") in self.keys

    def answer(self, call: Call, model: str) -> Reply:
        body = call.body
        good = set(body) <= REQUEST and body["contents"] and model in MODELS
        if not good or any(one["role"] not in ("user", "model") or not one["parts"] for one in body["contents"]):
            return self.refused(400)
        chunks = self.chunks(model)
        if parse_qs(urlsplit(call.path).query).get("alt") == ["sse"]:
            stream = (b"data: %s\r\n\r\n" % chunk for chunk in chunks)
            return Reply(stream=stream, content_type="text/event-stream")
        return Reply(stream=array(chunks), content_type="application/json; charset=UTF-8")

    def chunks(self, model: str) -> Iterator[bytes]:
        sent, written = self.usage
        thought = len(self.thoughts.split())

        def chunk(parts: list[dict[str, Any]], finish: str = "", **more: Any) -> bytes:
            candidate: dict[str, Any] = {
                "content": {"parts": parts, "role": "model"} if parts else {"role": "model"},
                "index": 0,
            }
            if finish:
                candidate["finishReason"] = REASONS.get(finish, 99) if self.numbers else finish
                done = {"candidatesTokenCount": written, "thoughtsTokenCount": thought}
                more["usageMetadata"] = {"promptTokenCount": sent, "totalTokenCount": sent + written + thought, **done}
            elif self.reports_usage:
                more["usageMetadata"] = {"promptTokenCount": sent, "totalTokenCount": sent}
            if not self.reports_usage:
                more.pop("usageMetadata", None)
            return json.dumps({"candidates": [candidate], "modelVersion": model, "responseId": "r-1", **more}).encode()

        if self.blocked:
            feedback = {"blockReason": 4 if self.numbers else self.blocked}
            yield json.dumps({"promptFeedback": feedback, "usageMetadata": {"promptTokenCount": sent}}).encode()
            return
        if self.thoughts:
            yield chunk([{"text": self.thoughts, "thought": True}])
        for word in self.words() if self.text else []:
            yield chunk([{"text": word}])
        if self.finish:
            yield chunk([], self.finish)

    def listed(self, call: Call, prefix: str, field: str) -> Reply:
        """Return the models in two pages."""
        second = "page-2" in parse_qs(urlsplit(call.path).query).get("pageToken", [])
        chosen = list(MODELS)[3:] if second else list(MODELS)[:3]
        models: list[dict[str, Any]] = [{"name": prefix + name, "displayName": name} for name in chosen]
        if field == "models":
            for model, name in zip(models, chosen, strict=True):
                limits = {"inputTokenLimit": 1_048_576, "outputTokenLimit": 65_536}
                model.update(version="001", supportedGenerationMethods=MODELS[name], **limits)
        return Reply(body={field: models, **({} if second else {"nextPageToken": "page-2"})})


def array(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the pieces of a JSON array: the stream of the API where nobody asks for events."""
    mark = b"["
    for chunk in chunks:
        yield mark + chunk
        mark = b",\r\n"
    yield b"[]" if mark == b"[" else b"]"


def vector(text: str, task: str, dimension: int) -> list[float]:
    """Return the sum of a vector for each distinct word, and a little of the task, of length LENGTH."""
    total = 0.3 * _hashed(f"task {task}")
    for word in sorted(set(re.findall(r"\w+", text.lower())) or {""}):
        total = total + _hashed(word)
    short = total[:dimension]
    return (short / np.linalg.norm(short) * LENGTH).astype("<f4").tolist()


def _hashed(word: str) -> np.ndarray:
    return np.frombuffer(hashlib.shake_128(word.encode()).digest(DIMENSION), dtype=np.uint8) - 127.5


def text_of(content: Any) -> str:
    return "".join(part["text"] for part in content["parts"])


@functools.cache
def _private_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def service_account(url: str, **changes: Any) -> str:
    """Return the JSON of a service account whose tokens the server at `url` gives out."""
    pem = _private_key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    info = {
        "type": "service_account", "project_id": PROJECT, "private_key_id": "k1", "private_key": pem.decode(),
        "client_email": f"workbench@{PROJECT}.iam.gserviceaccount.com", "client_id": "1", "token_uri": f"{url}/token",
    }  # fmt: skip
    return json.dumps({**info, **changes}, indent=2)


def token(call: Call) -> Reply:
    """Exchange a signed assertion for a token, as RFC 7523 has it."""
    form = parse_qs(call.body.decode())
    pem = _private_key().public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    claims = jwt.decode(form["assertion"][0], certs=pem, audience="https://oauth2.googleapis.com/token")
    if form["grant_type"] != ["urn:ietf:params:oauth:grant-type:jwt-bearer"] or "cloud-platform" not in claims["scope"]:
        return Reply(status=400, body={"error": "invalid_grant", "error_description": "Invalid JWT."})
    return Reply(body={"access_token": TOKEN, "expires_in": 3599, "token_type": "Bearer"})


def endpoint(url: str, **changes: Any) -> Endpoint:
    return Endpoint(**{"model": "gemini-2.5-flash", "base_url": url, "api_key": KEY, **changes})
