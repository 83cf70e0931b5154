"""JSON (RFC 8259) -> headings by key, "key: value" lines, lists of flat objects as tables; numbers stay as they are written."""

from __future__ import annotations

import json
from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.flow import Flow
from engine.loading.records import Teller, Value

MEDIA_TYPE = "application/json"


class JsonLoader:
    """What is no valid JSON, or is nested too deep to be anything but an attack, is read as the text that it is, and told."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        flow = Flow()
        try:
            value = parse(text)
        except ValueError as error:
            warnings = (*warnings, f"this is not valid JSON ({error}); it was read as plain text") if text.strip() else warnings
            flow.add(text)
        else:
            Teller(flow).tell(value)
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), warnings=warnings)


def parse(text: str) -> Value:
    """Return the value. Raises ValueError, with a message that quotes nothing of the text."""
    try:
        # Kept as text, a number of 500,000 digits costs nothing, and 1.10 stays 1.10.
        value: Value = json.loads(text, parse_int=str, parse_float=str, parse_constant=str)
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg}, line {error.lineno}") from None
    except RecursionError:
        raise ValueError("nested too deep") from None
    return value
