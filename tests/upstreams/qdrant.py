"""Qdrant's REST protocol, as far as the store speaks it, over the client package's own exact search in memory."""

from __future__ import annotations

import json
import threading
from contextlib import AbstractContextManager
from typing import Any
from urllib.parse import urlsplit

from qdrant_client import QdrantClient, models

from engine.types import Endpoint
from tests.upstreams.server import KEY, Call, Reply, Upstream, serving


class QdrantUpstream(Upstream):
    """Stricter than a server in strict mode, it refuses entries with a field that has no index."""

    def __init__(self) -> None:
        super().__init__()
        self.client = QdrantClient(":memory:")
        self.indexed: dict[str, dict[str, str]] = {}
        self._one_at_a_time = threading.Lock()

    def routes(self, call: Call) -> Reply:
        if call.headers.get("api-key") != KEY:
            return Reply(
                status=401, body=b"Must provide an API key or an Authorization bearer token", content_type="text/plain"
            )
        with self._one_at_a_time:
            _, kind, name, *action = urlsplit(call.path).path.split("/")
            assert kind == "collections", call.path
            if not self.client.collection_exists(name) and (call.method, action) not in [("PUT", []), ("GET", ["exists"])]:
                if call.method == "DELETE":
                    return _result(False)
                return _refused(404, f"Not found: Collection `{name}` doesn't exist!")
            try:
                return _result(getattr(self, "_".join([call.method.lower(), *action, ""]))(name, call.body))
            except Exception as error:  # noqa: BLE001 - a mistake in here must be readable
                return _refused(400, repr(error))

    def error_body(self, status: int) -> Any:
        return {"status": {"error": f"no, your key is {KEY}"}, "time": 0.0}

    def get_exists_(self, name: str, body: Any) -> Any:
        return {"exists": self.client.collection_exists(name)}

    def put_(self, name: str, body: Any) -> Any:
        assert body["vectors"]["distance"] == "Dot"
        made = self.client.create_collection(name, vectors_config=models.VectorParams(**body["vectors"]))
        self.indexed[name] = {}
        return made

    def delete_(self, name: str, body: Any) -> Any:
        return self.client.delete_collection(name)

    def put_index_(self, name: str, body: Any) -> Any:
        self.indexed[name][body["field_name"]] = body["field_schema"]
        return _done()

    def put_points_(self, name: str, body: Any) -> Any:
        fields = {field for payload in body["batch"]["payloads"] for field in payload} - {"_id"}
        if unknown := fields - self.indexed[name].keys():
            raise ValueError(f"Bad request: Index required but not found for {unknown}")
        self.client.upsert(name, points=models.Batch(**body["batch"]))
        return _done()

    def post_points_delete_(self, name: str, body: Any) -> Any:
        self.client.delete(name, points_selector=models.PointIdsList(**body))
        return _done()

    def post_points_(self, name: str, body: Any) -> Any:
        return self.client.retrieve(name, ids=body["ids"], with_payload=body["with_payload"], with_vectors=body["with_vector"])

    def post_points_count_(self, name: str, body: Any) -> Any:
        return self.client.count(name, exact=body["exact"])

    def post_points_scroll_(self, name: str, body: Any) -> Any:
        points, after = self.client.scroll(
            name, limit=body["limit"], offset=body.get("offset"), with_payload=body["with_payload"], with_vectors=False
        )
        return {"points": points, "next_page_offset": after}

    def post_points_query_(self, name: str, body: Any) -> Any:
        return self.client.query_points(
            name,
            query=body["query"]["nearest"],
            query_filter=models.Filter(**body.get("filter") or {}),
            limit=body["limit"],
            with_payload=body["with_payload"],
            with_vectors=body["with_vector"],
        )


def upstream() -> AbstractContextManager[QdrantUpstream]:
    """Run one; every call must carry the key."""
    return serving(QdrantUpstream(), lambda url: Endpoint(base_url=url, api_key=KEY, timeout_seconds=30))  # type: ignore[return-value]


def _result(value: Any) -> Reply:
    def plain(one: Any) -> Any:
        if isinstance(one, list):
            return [plain(each) for each in one]
        if isinstance(one, dict):
            return {key: plain(each) for key, each in one.items()}
        return json.loads(one.model_dump_json()) if hasattr(one, "model_dump_json") else one

    return Reply(body={"result": plain(value), "status": "ok", "time": 0.001})


def _done() -> Any:
    return {"operation_id": 0, "status": "completed"}


def _refused(status: int, message: str) -> Reply:
    return Reply(status=status, body={"status": {"error": message}, "time": 0.001, "result": None})
