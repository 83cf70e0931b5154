"""Vertex AI as its reference describes it: with a key (express mode, no project), or with the token of a service account."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from engine.types import Endpoint
from tests.upstreams.google import (
    DIMENSION,
    MODELS,
    PROJECT,
    TOKEN,
    GoogleUpstream,
    endpoint,
    service_account,
    text_of,
    token,
    vector,
)  # fmt: skip
from tests.upstreams.server import Call, Reply, serving

PLACE = rf"projects/{PROJECT}/locations/[\w-]+/"


class VertexUpstream(GoogleUpstream):
    def routes(self, call: Call) -> Reply:
        path = urlsplit(call.path).path
        if (call.method, path) == ("POST", "/token"):
            return token(call)
        signed = call.headers.get("authorization") == f"Bearer {TOKEN}"
        if not signed and not self.may(call):
            return self.refused(401)
        if (call.method, path) == ("GET", "/v1beta1/publishers/google/models"):
            return self.listed(call, "publishers/google/models/", "publisherModels")
        match = re.fullmatch(rf"/v1beta1/{PLACE if signed else ''}publishers/google/models/([\w.-]+):(\w+)", path)
        if call.method != "POST" or not match:
            return self.refused(404)
        if match[2] == "predict":
            return self.predictions(call.body)
        if match[1] not in MODELS:
            return self.refused(404)
        if match[2] == "streamGenerateContent":
            return self.answer(call, match[1])
        if match[2] == "embedContent":
            return self.embedding(call.body)
        return self.refused(404)

    def embedding(self, body: Any) -> Reply:
        text, how = text_of(body["content"]), body.get("embedContentConfig", {})
        if not text:
            return self.refused(400)
        values = vector(text, how.get("taskType", ""), how.get("outputDimensionality", DIMENSION))
        counts = {"promptTokenCount": 4, "totalTokenCount": 4}
        return Reply(body=self.spoil({"embedding": {"values": values}, "usageMetadata": counts, "truncated": False}))

    def predictions(self, body: Any) -> Reply:
        length = body.get("parameters", {}).get("outputDimensionality", DIMENSION)
        made = [vector(one["content"], one.get("task_type", ""), length) for one in body["instances"]]
        counts = {"token_count": 4, "truncated": False}
        return Reply(body=self.spoil({"predictions": [{"embeddings": {"values": one, "statistics": counts}} for one in made]}))

    def signed_endpoint(self, **changes: Any) -> Endpoint:
        """Return an endpoint whose key is a service account."""
        options = {"project": PROJECT, "location": "europe-west4"}
        return endpoint(self.url, **{"api_key": service_account(self.url), "options": options, **changes})


def upstream() -> AbstractContextManager[VertexUpstream]:
    return serving(VertexUpstream(), endpoint)
