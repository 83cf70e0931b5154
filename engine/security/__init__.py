"""Who is asking, and what may come in: passwords, sessions, the gate in front of everything, and the same for other apps.

    from engine.security import apply_security_to_fastapi

Names are loaded on first use, so that importing this package loads no vendor library.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from engine.security.identity import Identity
    from engine.security.integration import (
        SecurityIntegration,
        apply_security_to_django,
        apply_security_to_fastapi,
        apply_security_to_flask,
    )
    from engine.security.sanitizing import sanitize_text

__all__ = [
    "Identity",
    "SecurityIntegration",
    "apply_security_to_django",
    "apply_security_to_fastapi",
    "apply_security_to_flask",
    "sanitize_text",
]

_HOMES = {
    "Identity": "engine.security.identity",
    "SecurityIntegration": "engine.security.integration",
    "apply_security_to_django": "engine.security.integration",
    "apply_security_to_fastapi": "engine.security.integration",
    "apply_security_to_flask": "engine.security.integration",
    "sanitize_text": "engine.security.sanitizing",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'engine.security' has no attribute {name!r}")
