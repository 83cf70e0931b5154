"""OpenAI's API as its reference describes it: models, chat completions, embeddings."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

import numpy as np

from engine.types import Endpoint
from tests.upstreams.server import KEY, Call, Reply, Upstream, serving

MODELS = ("gpt-5-mini", "text-embedding-3-small", "whisper-1", "gpt-4.1", "tts-1-hd", "dall-e-3", "gpt-4o-realtime-preview")
DIMENSION = 256
LENGTH = 3.0  # of a vector: models on other servers do not give unit vectors
ERRORS = {
    400: ("invalid_request_error", None),
    401: ("invalid_request_error", "invalid_api_key"),
    403: ("invalid_request_error", "unsupported_country_region_territory"),
    404: ("invalid_request_error", "model_not_found"),
    429: ("requests", "rate_limit_exceeded"),
    500: ("server_error", None),
    503: ("server_error", "overloaded"),
}


class OpenAIUpstream(Upstream):
    """`finish` is the reason that the next answers end with ("" = none is sent); `refusal` takes the place of the text.

    `reports_usage` off: a server that knows no `stream_options`. `spoil` changes the body of the next embeddings.
    """

    def __init__(self) -> None:
        super().__init__()
        self.finish = "stop"
        self.refusal = ""
        self.reports_usage = True
        self.spoil = lambda body: body

    def routes(self, call: Call) -> Reply:
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return Reply(status=401, body=self.error_body(401))
        match call.method, call.path:
            case "GET", "/v1/models":
                listed = [{"id": name, "object": "model", "created": 1715367049, "owned_by": "openai"} for name in MODELS]
                return Reply(body={"object": "list", "data": listed})
            case "POST", "/v1/chat/completions":
                return self.chat(call.body)
            case "POST", "/v1/embeddings":
                return self.embeddings(call.body)
        return Reply(status=404, body=self.error_body(404))

    def error_body(self, status: int) -> Any:
        kind, code = ERRORS.get(status, ("invalid_request_error", None))
        message = f"upstream says {status}; the API key provided: {KEY}."
        return {"error": {"message": message, "type": kind, "param": None, "code": code}}

    def chat(self, body: Any) -> Reply:
        if body.get("stream"):
            return Reply(stream=self.chunks(body), content_type="text/event-stream; charset=utf-8")
        message = {"role": "assistant", "content": self.text, "refusal": self.refusal or None, "annotations": []}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": self.finish}
        return Reply(body={**head(body, "chat.completion"), "choices": [choice], "usage": self.counts()})

    def chunks(self, body: Any) -> Iterator[bytes]:
        counted = self.reports_usage and (body.get("stream_options") or {}).get("include_usage")
        empty = {"usage": None} if counted else {}

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return event({**head(body, "chat.completion.chunk"), "choices": [choice], **empty})

        yield chunk({"role": "assistant", "content": "", "refusal": None})
        for word in [] if self.refusal else self.words():
            yield chunk({"content": word})
        if self.refusal:
            yield chunk({"refusal": self.refusal})
        if self.finish:
            yield chunk({}, self.finish)
        if counted:
            yield event({**head(body, "chat.completion.chunk"), "choices": [], "usage": self.counts()})
        yield b"data: [DONE]\n\n"

    def counts(self) -> dict[str, int]:
        sent, written = self.usage
        return {"prompt_tokens": sent, "completion_tokens": written, "total_tokens": sent + written}

    def embeddings(self, body: Any) -> Reply:
        texts = [body["input"]] if isinstance(body["input"], str) else body["input"]
        if not texts or "" in texts or len(texts) > 2048:
            return Reply(status=400, body={"error": {"message": "'$.input' is invalid.", "type": "invalid_request_error"}})
        vectors = [vector(text, body.get("dimensions") or DIMENSION) for text in texts]
        shown = [base64.b64encode(one).decode() if body.get("encoding_format") == "base64" else one.tolist() for one in vectors]
        # Not in the order asked for: only `index` tells.
        data = [{"object": "embedding", "index": i, "embedding": shown[i]} for i in reversed(range(len(texts)))]
        counts = {"prompt_tokens": 8, "total_tokens": 8}
        return Reply(body=self.spoil({"object": "list", "data": data, "model": body["model"], "usage": counts}))


def event(data: Any) -> bytes:
    return b"data: " + json.dumps(data).encode() + b"\n\n"


def head(body: Any, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-9a", "object": kind, "created": 1741569952, "model": body["model"], "system_fingerprint": "fp_1"}


def vector(text: str, dimension: int) -> np.ndarray:
    """Return the sum of a vector for each distinct word, of length LENGTH."""
    total = np.zeros(DIMENSION)
    for word in sorted(set(re.findall(r"\w+", text.lower())) or {""}):
        total += np.frombuffer(hashlib.shake_128(word.encode()).digest(DIMENSION), dtype=np.uint8) - 127.5
    short = total[:dimension]
    return (short / np.linalg.norm(short) * LENGTH).astype("<f4")


def upstream() -> AbstractContextManager[OpenAIUpstream]:
    return serving(OpenAIUpstream(), lambda url: Endpoint(model="gpt-5-mini", base_url=url, api_key=KEY))
