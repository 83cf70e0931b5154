"""When a rule fires and when it resolves: each once, whatever the value does in between. Pure; times are Unix seconds."""

from __future__ import annotations

from dataclasses import dataclass

from engine.operations_views import AlertRule

FIRE, RESOLVE = "fire", "resolve"


def breaches(rule: AlertRule, value: float | None) -> bool:
    """Whether `value` is beyond the threshold. Nothing to measure is nothing wrong."""
    return value is not None and (value > rule.threshold if rule.above else value < rule.threshold)


@dataclass(slots=True)
class Watch:
    """One rule over time. `since` is when the present breach began; `quiet_until` is the end of the cooldown."""

    firing: bool = False
    since: float | None = None
    quiet_until: float = 0.0

    def look(self, rule: AlertRule, value: float | None, at: float) -> str:
        """Take in what the value is at a moment; return "fire", "resolve" or "" for neither.

        A breach that lasts shorter than `for_minutes` never fires. Within the cooldown after a resolution nothing fires; a
        breach that is still there at its end does. A clock that is set back prolongs neither by more than their own length.
        """
        self.quiet_until = min(self.quiet_until, at + rule.cooldown_minutes * 60)
        if not rule.enabled or not breaches(rule, value):
            self.since = None
            if not self.firing:
                return ""
            self.firing = False
            self.quiet_until = at + rule.cooldown_minutes * 60
            return RESOLVE
        self.since = at if self.since is None else min(self.since, at)
        if self.firing or at < self.quiet_until or at - self.since < rule.for_minutes * 60:
            return ""
        self.firing = True
        return FIRE
