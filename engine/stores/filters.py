"""What a filter means for one row of an index; every store gives the same answer as this module."""

from __future__ import annotations

from collections.abc import Mapping

from engine.errors import StoreError
from engine.types import Condition, Filter, Scalar

OPERATORS = ("eq", "in", "gte", "lte")


def check(where: Filter) -> None:
    """Raise StoreError for an operator that does not exist, so that a misspelt filter never matches everything."""
    for condition in where:
        if condition.op not in OPERATORS:
            raise StoreError(f"unknown filter operator {condition.op!r}", hint=f"known: {', '.join(OPERATORS)}")


def matches(row_id: str, metadata: Mapping[str, Scalar], where: Filter) -> bool:
    """Return whether the row satisfies every condition; the field "id" is the row's own id.

    A row without the field does not match. Numbers compare as numbers; otherwise only values of one type compare, so that
    `True` is not 1 and "1" is not 1.
    """
    return all(_holds(row_id if condition.field == "id" else metadata.get(condition.field), condition) for condition in where)


def _holds(value: Scalar | None, condition: Condition) -> bool:
    if value is None:
        return False
    if isinstance(condition.value, tuple):
        return condition.op == "in" and any(_kind(one) is _kind(value) and one == value for one in condition.value)
    if _kind(condition.value) is not _kind(value) or condition.op == "in":
        return False
    if condition.op == "eq":
        return value == condition.value
    # Both sides have one kind here, which the type checker cannot see.
    below = value < condition.value  # type: ignore[operator]
    return value == condition.value or (below if condition.op == "lte" else not below)


def _kind(value: Scalar) -> type:
    return float if isinstance(value, (int, float)) and not isinstance(value, bool) else type(value)
