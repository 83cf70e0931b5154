"""What the page shows of a provider: its kind, its state in one word, its last tests, what it did today."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from engine import registry
from engine.database.provider_models import Provider
from engine.provider_views import KindInfo, ProviderInfo, TestResult
from engine.specs import Field, Spec

WORDS = {
    "ProviderTimeout": "no answer in time",
    "RateLimited": "too many requests",
    "ProviderUnavailable": "not reached, or in trouble",
    "ProviderRejected": "refused the request",
    "NoAnswer": "no words for an answer",
    "BadResponse": "an answer that cannot be understood",
}


def kind_info(name: str) -> KindInfo:
    """Return what can be added under a name of the registry."""
    specs = registry.roles(name)
    first = next(iter(specs.values()))
    return KindInfo(
        kind=name,
        label=first.label,
        roles=tuple(specs),
        key_name=first.secret,
        url=first.url,
        embedded=first.embedded,
        fields=_fields(specs),
        models={role: spec.model for role, spec in specs.items() if spec.model},
        installed=first.installed,
        needs=first.needs,
    )


def _fields(specs: Mapping[str, Spec]) -> tuple[Field, ...]:
    return tuple({one.name: one for spec in specs.values() for one in spec.fields}.values())


def card(
    name: str,
    row: Provider | None,
    tests: Sequence[TestResult],
    today: tuple[int, int, int, float | None, str] | None,
    used: Sequence[str],
) -> ProviderInfo:
    """Return the card of a provider; `today` as `engine.services.providers` sums it up."""
    kind = kind_info(row.kind if row else name)
    calls, failures, tokens, cost, error = today or (0, 0, 0, 0.0, "")
    # Every test is a call too, so the last call of today is the newest that is known.
    failing = bool(error) if calls else any(not test.ok for test in tests)
    known = bool(tests) or bool(calls) or (row is None and not kind.models)
    return ProviderInfo(
        name=name,
        kind=kind.kind,
        label=kind.label,
        roles=kind.roles,
        built_in=row is None,
        state="failing" if failing else "ready" if known else "untested",
        base_url=row.base_url if row else "",
        key_last4=row.key_last4 if row else "",
        key_name=kind.key_name,
        url=kind.url,
        fields=kind.fields,
        options=dict(row.options) if row else {},
        models=kind.models,
        used_for=tuple(used),
        tests=tuple(tests),
        last_error=WORDS.get(error, error),
        calls_today=calls,
        failures_today=failures,
        tokens_today=tokens,
        cost_today=cost,
        timeout_seconds=row.timeout_seconds if row else 0.0,
    )
