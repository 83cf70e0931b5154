"""What a condition asks for, in a form that the filters of vendors can say."""

from __future__ import annotations

from engine.types import Condition, Scalar


def options(condition: Condition) -> tuple[Scalar, ...] | None:
    """Return the values one of which the field must have, () when nothing can match; None for a range that has no list.

    Values of other types than the stored one never match, as `filters.matches` has it: keep the types apart.
    """
    value = condition.value
    if isinstance(value, tuple):
        return value if condition.op == "in" else ()
    if condition.op == "in":
        return ()
    if condition.op == "eq":
        return (value,)
    if isinstance(value, bool):
        return tuple(one for one in (False, True) if (one <= value if condition.op == "lte" else one >= value))
    return None


def is_number(value: Scalar) -> bool:
    """Return whether `value` compares as a number; a bool does not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)
