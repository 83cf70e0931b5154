"""What is noted with a passage that may try to command its reader: when it is cut, and when it comes from elsewhere."""

from __future__ import annotations

from dataclasses import asdict

from engine.database.quarantine import FLAGGED, HELD
from engine.sections import Injection
from engine.security.injection import assess


def suspicion(text: str, injection: Injection) -> dict[str, object]:
    """Return the columns `suspicion`, `findings` and `quarantine` of a passage."""
    found = assess(text)
    if found.score < injection.flag_score or not found.findings:
        return {"suspicion": found.score, "findings": [], "quarantine": ""}
    state = HELD if found.score >= injection.hold_score else FLAGGED
    return {"suspicion": found.score, "findings": [asdict(one) for one in found.findings], "quarantine": state}
