"""JSON lines (NDJSON) -> a table where all records are flat and alike, else each record as "key: value" lines."""

from __future__ import annotations

from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.flow import Flow
from engine.loading.json import parse
from engine.loading.records import Teller, Value, add_table, table_of

MEDIA_TYPE = "application/x-ndjson"


class JsonLinesLoader:
    """A line that is no valid JSON is kept as the text that it is, and told."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        records: list[Value] = []
        bad = 0
        for line in text.split("\n"):
            if line.strip():
                try:
                    records.append(parse(line))
                except ValueError:
                    bad += 1
                    records.append(line)
        flow = Flow()
        if rows := table_of(records):
            add_table(flow, rows)
        else:
            Teller(flow).tell(records)
        if bad:
            warnings = (*warnings, f"{bad:,} lines are not valid JSON; they were read as plain text")
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), warnings=warnings)
