"""Ollama's API as its reference describes it: /api/chat (lines of JSON), /api/embed, /api/tags, /api/show."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager
from typing import Any

from engine.types import Endpoint
from tests.upstreams.server import KEY, Call, Reply, Upstream, serving

CHAT, EMBEDDING = "llama3.2:latest", "nomic-embed-text:latest"
DIMENSION = 64
MADE = "2026-01-02T03:04:05.678901234Z"


class Ollama(Upstream):
    """`thinking` is what the model thinks before it answers; `without_end` leaves out the last line of an answer;
    `broken` ends it with an error line instead. `context_length` is what /api/show tells, `digest` names the weights."""

    def __init__(self) -> None:
        super().__init__()
        self.thinking = ""
        self.without_end = False
        self.broken = ""
        self.context_length: int | None = 2048
        self.digest = hashlib.sha256(b"first weights").hexdigest()

    def routes(self, call: Call) -> Reply:
        if call.path == "/api/tags":
            return Reply(body={"models": [self._tag(CHAT, "llama"), self._tag(EMBEDDING, "nomic-bert")]})
        model = call.body.get("model", "")
        known = {CHAT: CHAT, EMBEDDING: EMBEDDING, "llama3.2": CHAT, "nomic-embed-text": EMBEDDING}
        if model not in known:
            return Reply(status=404, body={"error": f"model '{model}' not found"})
        if call.path == "/api/show":
            length = {} if self.context_length is None else {"nomic-bert.context_length": self.context_length}
            info = {"general.architecture": "nomic-bert", **length, "nomic-bert.embedding_length": DIMENSION}
            return Reply(body={"details": {"family": "nomic-bert"}, "model_info": info, "capabilities": ["embedding"]})
        if call.path == "/api/embed":
            texts = [call.body["input"]] if isinstance(call.body["input"], str) else call.body["input"]
            # About one token for a word: generous, as ours are counted from above.
            limit = min(self.context_length or 2048, call.body.get("options", {}).get("num_ctx", 4096))
            if call.body.get("truncate") is False and any(len(text.split()) + 2 > limit for text in texts):
                return Reply(status=400, body={"error": "the input length exceeds the context length"})
            texts = [" ".join(text.split()[: limit - 2]) for text in texts]
            return Reply(body={"model": model, "embeddings": [self._vector(text) for text in texts], "prompt_eval_count": 9})
        if call.path == "/api/chat":
            return Reply(stream=self._chat(model), content_type="application/x-ndjson")
        return Reply(status=404, body=b"404 page not found", content_type="text/plain")

    def error_body(self, status: int) -> Any:
        return {"error": f"upstream says {status}; your key is {KEY}"}

    def _tag(self, name: str, family: str) -> dict[str, Any]:
        details = {"format": "gguf", "family": family, "families": [family], "parameter_size": "137M"}
        return {"name": name, "model": name, "modified_at": MADE, "size": 274302450, "digest": self.digest, "details": details}

    def _chat(self, model: str) -> Iterator[bytes]:
        def line(message: dict[str, str], **more: Any) -> bytes:
            body = {"model": model, "created_at": MADE, "message": {"role": "assistant", **message}, "done": False, **more}
            return json.dumps(body).encode() + b"\n"

        for thought in self.thinking.split():
            yield line({"content": "", "thinking": thought + " "})
        for word in self.words():
            yield line({"content": word})
        if self.broken:
            yield json.dumps({"error": self.broken}).encode() + b"\n"
        elif not self.without_end:
            counts = {"prompt_eval_count": self.usage[0], "eval_count": self.usage[1]}
            yield line({"content": ""}, done=True, done_reason="stop", total_duration=5_000_000, **counts)

    def _vector(self, text: str) -> list[float]:
        """Hashed words: texts that share words are near. Never zero, and never of unit length."""
        vector = [0.0] * DIMENSION
        vector[0] = 0.5
        for word in re.findall(r"\w+", text.lower()):
            digest = hashlib.sha256(self.digest[:8].encode() + word.encode()).digest()
            vector[1 + digest[0] % (DIMENSION - 1)] += 2.0 if digest[1] % 2 else -2.0
        return vector


def upstream() -> AbstractContextManager[Ollama]:
    return serving(Ollama(), lambda url: Endpoint(model="llama3.2", base_url=url, api_key=KEY))
