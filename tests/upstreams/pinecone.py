"""A server that speaks Pinecone's REST API of 2026-07: a control plane, and below it, at /at/NAME, the data plane of each index.

Reads trail writes by `lag` seconds, as the real one's do. What the real one refuses is refused here: nested metadata, ranges of
text, booleans in `$in`, more than it takes in one request.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from engine.types import Endpoint
from tests.upstreams.server import KEY, Call, Reply, Upstream, serving

MEGABYTE = 1_000_000


class Refused(Exception):
    """A request that is answered with `status`."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class PineconeServer(Upstream):
    """`indexes` by name; `spaces` holds the records that reads see, by "index/namespace" and id. `ready_after` describes of a new index
    are answered as not ready; `stuck` keeps writes from ever being seen.
    """

    def __init__(self) -> None:
        super().__init__()
        self.lag = 0.02
        self.ready_after = 0
        self.stuck = False
        self.indexes: dict[str, dict[str, Any]] = {}
        self.spaces: dict[str, dict[str, dict[str, Any]]] = {}
        self._at = ""  # the index of the request that is being answered
        self._log: list[tuple[float, str, str, Any]] = []
        self._state = threading.Lock()

    def error_body(self, status: int) -> Any:
        return {"error": {"code": "SOME_CODE", "message": f"upstream says {status}; your key is {KEY}"}, "status": status}

    def routes(self, call: Call) -> Reply:
        with self._state:
            try:
                if call.headers.get("api-key") != KEY:
                    raise Refused(401, "Invalid API Key")
                if call.headers.get("x-pinecone-api-version") != "2026-07":
                    raise Refused(400, "unknown API version")
                url = urlsplit(call.path)
                self._apply()
                path, self._at = unquote(url.path), ""
                if path.startswith("/at/"):
                    self._at, path = path.removeprefix("/at/").split("/", 1)
                    path = "/" + path
                return Reply(body=self._answer(call, path, parse_qs(url.query)))
            except Refused as refused:
                body = {"error": {"code": "REFUSED", "message": str(refused)}, "status": refused.status}
                return Reply(status=refused.status, body=body)

    def _answer(self, call: Call, path: str, query: dict[str, list[str]]) -> Any:
        if path == "/indexes" and call.method == "POST":
            return self._create(call.body)
        if path.startswith("/indexes/") and call.method == "GET":
            return self._describe(path.removeprefix("/indexes/"))
        if path.startswith("/namespaces/") and call.method == "DELETE":
            return self._write("drop", self._known(path.removeprefix("/namespaces/")), None)
        known = {
            ("POST", "/vectors/upsert"): lambda: self._upsert(call.body),
            ("POST", "/vectors/delete"): lambda: self._delete(call.body),
            ("POST", "/query"): lambda: self._query(call.body),
            ("POST", "/describe_index_stats"): self._stats,
            ("GET", "/vectors/fetch"): lambda: self._fetch(query),
            ("GET", "/vectors/list"): lambda: self._list(query),
        }
        if (call.method, path) not in known:
            raise Refused(404, f"no route {call.method} {path}")
        if self._at not in self.indexes:
            raise Refused(404, "no index")
        return known[call.method, path]()

    def _create(self, body: Any) -> Any:
        body = json.loads(body) if isinstance(body, bytes) else body
        if body["name"] in self.indexes:
            raise Refused(409, "Resource already exists")
        self.indexes[body["name"]] = {**body, "asked": 0}
        return self._describe(body["name"])

    def _describe(self, name: str) -> Any:
        if name not in self.indexes:
            raise Refused(404, f"Resource {name} not found")
        index = self.indexes[name]
        index["asked"] += 1
        ready = index["asked"] > self.ready_after
        return {
            "name": name,
            "host": f"{self.url}/at/{name}" if ready else None,
            "status": {"ready": ready, "state": "Ready" if ready else "Initializing"},
            "schema": index["schema"],
            "deployment": index["deployment"],
            "deletion_protection": "disabled",
            "tags": None,
        }

    @property
    def dimension(self) -> int:
        """The dimension of the index that is asked."""
        return self.indexes[self._at]["schema"]["fields"]["_values"]["dimension"]

    def _write(self, kind: str, space: str, what: Any) -> Any:
        self._log.append((time.monotonic() + self.lag, kind, space, what))
        return {}

    def _apply(self) -> None:
        """Let reads see the writes that are old enough, in order."""
        while self._log and self._log[0][0] <= time.monotonic() and not self.stuck:
            _, kind, space, what = self._log.pop(0)
            if kind == "drop":
                self.spaces.pop(space, None)
            elif kind == "upsert":
                self.spaces.setdefault(space, {}).update({one["id"]: one for one in what})
            else:
                for one in what:
                    self.spaces.get(space, {}).pop(one, None)

    def _known(self, namespace: str) -> str:
        space = f"{self._at}/{namespace}"
        if space not in self.spaces and not any(kind == "upsert" and where == space for _, kind, where, _ in self._log):
            raise Refused(404, "Namespace not found")
        return space

    def _records(self, namespace: str) -> dict[str, dict[str, Any]]:
        return self.spaces.get(f"{self._at}/{namespace}", {})

    def _upsert(self, body: Any) -> Any:
        vectors = body["vectors"]
        if len(vectors) > 1000 or len(json.dumps(body, separators=(",", ":"))) > 2 * MEGABYTE:
            raise Refused(413, "Request size exceeds the limit of 2MB or 1000 vectors")
        for one in vectors:
            if len(one["values"]) != self.dimension:
                raise Refused(400, f"Vector dimension {len(one['values'])} does not match the dimension of the index")
            for name, value in one.get("metadata", {}).items():
                if not name or name.startswith("$") or not isinstance(value, (str, int, float, bool)):
                    raise Refused(400, f"Metadata value must be a string, number, boolean or list of strings, got {name!r}")
        self._write("upsert", f"{self._at}/{body['namespace']}", vectors)
        return {"upsertedCount": len(vectors)}

    def _delete(self, body: Any) -> Any:
        if len(body["ids"]) > 1000:
            raise Refused(400, "Cannot delete more than 1000 ids")
        return self._write("delete", self._known(body["namespace"]), body["ids"])

    def _query(self, body: Any) -> Any:
        if not 1 <= body["topK"] <= 10_000 or len(body["vector"]) != self.dimension:
            raise Refused(400, "topK or the dimension is wrong")
        where = body.get("filter", {})
        _check(where)
        found = []
        for one in self._records(body["namespace"]).values():
            metadata = {name: float(v) if type(v) is int else v for name, v in one.get("metadata", {}).items()}
            if _holds(metadata, where):
                score = sum(a * b for a, b in zip(one["values"], body["vector"], strict=True))
                found.append(
                    {"id": one["id"], "score": score} | ({"metadata": metadata} if body.get("includeMetadata") else {})
                )
        found.sort(key=lambda one: -one["score"])
        return {"matches": found[: body["topK"]], "namespace": body["namespace"], "usage": {"readUnits": 1}}

    def _stats(self) -> Any:
        spaces = [(space.split("/", 1), len(records)) for space, records in self.spaces.items()]
        counts = {name: {"vectorCount": count} for (index, name), count in spaces if index == self._at}
        total = sum(one["vectorCount"] for one in counts.values())
        return {"namespaces": counts, "dimension": self.dimension, "indexFullness": 0, "totalVectorCount": total}

    def _fetch(self, query: dict[str, list[str]]) -> Any:
        if len(query["ids"]) > 1000:
            raise Refused(414, "URI too long")
        records = self._records(query["namespace"][0])
        return {"vectors": {one: records[one] for one in query["ids"] if one in records}, "namespace": query["namespace"][0]}

    def _list(self, query: dict[str, list[str]]) -> Any:
        records = sorted(self._records(query["namespace"][0]))
        size, begin = int(query["limit"][0]), int(query.get("paginationToken", ["0"])[0])
        page = {"vectors": [{"id": one} for one in records[begin : begin + size]], "namespace": query["namespace"][0]}
        return page | ({"pagination": {"next": str(begin + size)}} if begin + size < len(records) else {})


def _check(where: dict[str, Any]) -> None:
    """Refuse what Pinecone's filter language does not know."""
    for name, test in where.items():
        if name in ("$and", "$or"):
            if not test:
                raise Refused(400, f"{name} must not be empty")
            for one in test:
                _check(one)
            continue
        if name.startswith("$") or len(test) != 1:
            raise Refused(400, f"unknown operator {name}")
        ((op, value),) = test.items()
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if op == "$in":
            good = value and all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in value)
        else:
            good = op == "$eq" or (op in ("$gte", "$lte") and number)
        if not good:
            raise Refused(400, f"the {op} operator does not take {value!r}")


def _holds(metadata: dict[str, Any], where: dict[str, Any]) -> bool:
    return all(_one(metadata, name, test) for name, test in where.items())


def _one(metadata: dict[str, Any], name: str, test: Any) -> bool:
    if name == "$and":
        return all(_holds(metadata, one) for one in test)
    if name == "$or":
        return any(_holds(metadata, one) for one in test)
    if name not in metadata:
        return False
    ((op, wanted),) = test.items()
    value = metadata[name]
    if op == "$in":
        return any(_same(value, one) for one in wanted)
    if op == "$eq":
        return _same(value, wanted)
    return isinstance(value, float) and (value >= wanted if op == "$gte" else value <= wanted)


def _same(value: Any, wanted: Any) -> bool:
    kinds = [bool if isinstance(one, bool) else str if isinstance(one, str) else float for one in (value, wanted)]
    return kinds[0] is kinds[1] and value == wanted


@contextmanager
def upstream() -> Iterator[PineconeServer]:
    """Run the server; its endpoint names an index that does not exist yet."""
    with serving(
        PineconeServer(),
        lambda url: Endpoint(base_url=url, api_key=KEY, timeout_seconds=10, options={"index": "workbench"}),
    ) as server:
        yield server
