"""A bundle for whoever helps: versions, settings without secrets, health, breakers, measurements.

It leaves the house, so it holds no text of anybody, and no names of people and files.
"""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import zipfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, is_dataclass
from typing import Any

from sqlalchemy.engine import make_url

import engine
from engine.database.audit import record
from engine.database.columns import now
from engine.database.database import Database
from engine.errors import EngineError
from engine.monitoring.logs import redact
from engine.services.accounts import require_operator
from engine.settings import Settings
from engine.types import Principal

PACKAGES = (
    "streamlit",
    "sqlalchemy",
    "openai",
    "google-genai",
    "ollama",
    "chromadb",
    "faiss-cpu",
    "redis",
    "tenacity",
    "torch",
)

NAMES = frozenset({"by", "by_user", "forced_by", "acknowledged_by", "document"})  # fields that name people or files
LEFT_OUT = "(left out)"

Part = Callable[[Principal], Awaitable[Any]]


class Support:
    """Gathers what other parts tell; a part that fails is in the bundle as its error."""

    def __init__(self, *, database: Database, settings: Settings, parts: Mapping[str, Part]) -> None:
        self._database = database
        self._settings = settings
        self._parts = parts

    async def bundle(self, principal: Principal) -> bytes:
        """Return a zip archive of JSON files. Raises AccessDenied."""
        require_operator(principal)
        found: dict[str, bytes] = {"about.json": _json(self._about())}
        for name, part in self._parts.items():
            try:
                told = await part(principal)
            except EngineError as error:
                told = {"failed": str(error)}
            found[name] = told if isinstance(told, bytes) else _json(told)
        async with self._database.write() as session:
            await record(session, principal, "support.bundle", parts=sorted(found))
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in found.items():
                archive.writestr(name, content)
        return file.getvalue()

    def _about(self) -> dict[str, Any]:
        settings = self._settings.model_dump(mode="json")
        settings["database_url"] = make_url(self._settings.url).set(query={}).render_as_string(hide_password=True)
        return {
            "made_at": now().isoformat(),
            "version": engine.__version__,
            "python": platform.python_version(),
            "platform": platform.platform(),
            "packages": {name: _version(name) for name in PACKAGES},
            "settings": settings,
        }


def _version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def _json(value: Any) -> bytes:
    return json.dumps(_told(value), indent=1, ensure_ascii=False).encode()


def _told(value: Any) -> Any:
    """Return `value` as JSON knows it, without names, and without what looks like a password in an address or an error."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    if isinstance(value, Mapping):
        return {str(name): LEFT_OUT if one and name in NAMES else _told(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_told(one) for one in value]
    return value if value is None or isinstance(value, bool | int | float) else redact(str(value))
