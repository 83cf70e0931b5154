"""What a reader of the page cannot see is left out, never in silence: one account for all formats, and its wording."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

SHOWN_PLACES = 8
_WHITE = re.compile(r"#?f{3}(?:f{3})?|white|rgba?\(255,255,255(?:,[\d.]+)?\)|transparent|rgba\((?:\d+,){3}0?\.?0+\)", re.I)


@dataclass(slots=True)
class Hidden:
    """Counts what was left out of one document, by reason ("white text") and place ("page 2")."""

    passages: int = 0
    chars: int = 0
    places: dict[str, dict[str, None]] = field(default_factory=dict)

    def add(self, reason: str, text: str, *, where: str = "") -> None:
        """Note a stretch of text that is left out; one without letters and digits is nothing to tell of."""
        if any(map(str.isalnum, text)):
            self.passages += 1
            self.chars += len(" ".join(text.split()))
            self.places.setdefault(reason, {})[where] = None

    @property
    def warnings(self) -> tuple[str, ...]:
        """What the owner of the document is told: how much, what and where."""
        if not self.passages:
            return ()
        what = "; ".join(reason + _at(places) for reason, places in self.places.items())
        were = "passage was" if self.passages == 1 else "passages were"
        return (f"{self.passages:,} hidden {were} left out ({self.chars:,} characters): {what}.",)


def _at(places: Mapping[str, None]) -> str:
    named = [place for place in places if place]
    if not named:
        return ""
    more = f" and {len(named) - SHOWN_PLACES:,} more" if len(named) > SHOWN_PLACES else ""
    return " on " + ", ".join(named[:SHOWN_PLACES]) + more


def is_white(color: str) -> bool:
    """Return whether a colour, as CSS or Office write it, cannot be seen on white paper."""
    return _WHITE.fullmatch(color.strip().replace(" ", "")) is not None
