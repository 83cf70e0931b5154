"""Ids, metadata and life of the numbered rows of an index that can only append."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import TypeAlias

import numpy as np

from engine.stores import filters
from engine.types import Entry, Filter

MASKS_KEPT = 64

BoolArray: TypeAlias = np.ndarray[tuple[int], np.dtype[np.bool_]]
RowNumbers: TypeAlias = np.ndarray[tuple[int], np.dtype[np.int64]]


class Rows:
    """Row number -> entry. A row is appended dead, brought to life, and dies; its number is never used again."""

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.position: dict[str, int] = {}
        self.alive: BoolArray = np.zeros(0, dtype=bool)
        self._masks: dict[Filter, BoolArray] = {}

    @property
    def dead(self) -> int:
        """How many rows only take up space."""
        return len(self.entries) - len(self.position)

    def append(self, entries: Sequence[Entry]) -> None:
        """Number the entries on; searches do not see them yet."""
        self.entries += [Entry(id=entry.id, metadata=dict(entry.metadata)) for entry in entries]
        self.alive = np.concatenate([self.alive, np.zeros(len(entries), dtype=bool)])
        self._masks.clear()

    def revive(self, rows: Iterable[int]) -> None:
        """Let these rows stand for their ids; the rows that did so before die."""
        rows = list(rows)
        self.kill(self.entries[row].id for row in rows)
        for row in rows:
            self.position[self.entries[row].id] = row
        self.alive[rows] = True

    def kill(self, ids: Iterable[str]) -> None:
        """Hide the rows of these ids; unknown ids are ignored."""
        rows = [self.position.pop(one) for one in set(ids) if one in self.position]
        self.alive[rows] = False
        self._masks.clear()

    def mask(self, where: Filter) -> BoolArray:
        """Return bool of shape (rows,): alive and satisfying `where`."""
        if not where:
            return self.alive
        known = self._masks.get(where)
        if known is not None:
            return known
        mask = np.zeros(len(self.entries), dtype=bool)
        mask[[row for row in self._candidates(where) if self._satisfies(row, where)]] = True
        # Full: begin anew. Concurrent searches may do this work twice, which is harmless.
        if len(self._masks) >= MASKS_KEPT:
            self._masks.clear()
        self._masks[where] = mask
        return mask

    def _candidates(self, where: Filter) -> Iterable[int]:
        for condition in where:
            if condition.field == "id" and condition.op in ("eq", "in"):
                wanted = condition.value if isinstance(condition.value, tuple) else (condition.value,)
                return {self.position[one] for one in wanted if isinstance(one, str) and one in self.position}
        return self.position.values()

    def _satisfies(self, row: int, where: Filter) -> bool:
        return filters.matches(self.entries[row].id, self.entries[row].metadata, where)

    def to_json(self) -> bytes:
        """Return all rows, dead ones too: their numbers count."""
        rows = [[entry.id, dict(entry.metadata)] for entry in self.entries]
        return json.dumps({"rows": rows, "alive": sorted(self.position.values())}).encode()

    @classmethod
    def from_json(cls, content: bytes) -> Rows:
        """Return what `to_json` wrote."""
        stored = json.loads(content)
        rows = cls()
        rows.append([Entry(id=one, metadata=metadata) for one, metadata in stored["rows"]])
        rows.revive(stored["alive"])
        return rows
