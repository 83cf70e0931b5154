"""The Gemini API as its reference describes it."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from tests.upstreams.google import DIMENSION, MODELS, GoogleUpstream, endpoint, text_of, vector
from tests.upstreams.server import Call, Reply, serving


class GeminiUpstream(GoogleUpstream):
    def routes(self, call: Call) -> Reply:
        path = urlsplit(call.path).path
        if not self.may(call):
            return self.refused(400)  # sic: a wrong key is an invalid argument
        if (call.method, path) == ("GET", "/v1beta/models"):
            return self.listed(call, "models/", "models")
        match = re.fullmatch(r"/v1beta/models/([\w.-]+):(\w+)", path)
        if call.method != "POST" or not match or match[1] not in MODELS:
            return self.refused(404)
        if match[2] == "streamGenerateContent":
            return self.answer(call, match[1])
        if match[2] == "batchEmbedContents":
            return self.embeddings(call.body["requests"], match[1])
        return self.refused(404)

    def embeddings(self, requests: list[Any], model: str) -> Reply:
        good = all(one["model"] == f"models/{model}" and text_of(one["content"]) for one in requests)
        if not good or not 1 <= len(requests) <= 100:
            return self.refused(400)
        made = [
            vector(text_of(one["content"]), one.get("taskType", ""), one.get("outputDimensionality", DIMENSION))
            for one in requests
        ]
        return Reply(body=self.spoil({"embeddings": [{"values": values} for values in made]}))


def upstream() -> AbstractContextManager[GeminiUpstream]:
    return serving(GeminiUpstream(), endpoint)
