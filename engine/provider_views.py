"""What the providers page and the command line show of providers, choices, prices and usage. Never a key."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime

from engine.specs import Field
from engine.types import Scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A provider by name and one of its models ("" where it has no choice of models)."""

    provider: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.provider} · {self.model}" if self.model else self.provider


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Which part does which job. `chain` answers in this order; None for `rewrite` and `rerank` means: without a model.

    `embedding` and `store` are for new collections; existing ones keep theirs. `version` grows with every change and is what a
    writer must have seen.
    """

    version: int
    chain: tuple[Choice, ...]
    embedding: Choice
    store: str
    rewrite: Choice | None = None
    rerank: Choice | None = None
    changed_at: datetime | None = None
    changed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class KindInfo:
    """A kind of provider that can be added. `key_name` is "" when it takes no key; `url` is "" when it has no address.

    `url` "vendor" means: leave the address empty for the vendor's own; with `embedded`: empty runs it in the data folder.
    """

    kind: str
    label: str
    roles: tuple[str, ...]
    key_name: str
    url: str
    embedded: bool
    fields: tuple[Field, ...]
    models: Mapping[str, str]
    installed: bool
    needs: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What a test of a provider found: it was really called. `detail` is the answer or the real error."""

    __test__ = False  # not a test of pytest

    role: str
    model: str
    ok: bool
    detail: str
    hint: str
    elapsed_ms: float
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderInfo:
    """A provider's card. `state` is "ready" (last call or test went well), "failing", or "untested".

    `used_for` says in words what depends on it; costs are US dollars, None while a price is unknown.
    """

    name: str
    kind: str
    label: str
    roles: tuple[str, ...]
    built_in: bool
    state: str
    base_url: str
    key_last4: str
    key_name: str
    url: str
    fields: tuple[Field, ...]
    options: Mapping[str, Scalar]
    models: Mapping[str, str]
    used_for: tuple[str, ...]
    tests: tuple[TestResult, ...] = ()
    last_error: str = ""
    calls_today: int = 0
    failures_today: int = 0
    tokens_today: int = 0
    cost_today: float | None = 0.0
    timeout_seconds: float = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """Something found that is not used yet: `id` accepts it, `text` says what it is. Never switched on by itself."""

    id: str
    kind: str
    name: str
    text: str
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """US dollars per one million tokens; None = unknown, and then so are costs."""

    provider: str
    model: str
    input_usd: float | None
    output_usd: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A sum of calls by day, user, provider and model. `cost_usd` is None as soon as one price is unknown."""

    day: date
    user: str
    provider: str
    model: str
    job: str
    calls: int
    failures: int
    input_tokens: int
    output_tokens: int
    cost_usd: float | None
    mean_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulated:
    """One link of a chain under a pretended outage: "out", "answers" or "not reached"."""

    choice: Choice
    state: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMove:
    """The report of moving a collection to another store.

    `overlap` is the mean share of the exact top 10 that the new store finds, over `queries` sampled vectors;
    `largest_difference` is that between stored and original vectors, `checksum` the SHA-256 over ids and vectors in SQL, and
    `checksum_there` that over what the new store gave back (equal unless it keeps half precision).
    """

    collection: str
    before: str
    after: str
    entries: int
    entries_there: int
    checksum: str
    checksum_there: str
    largest_difference: float
    overlap: float
    queries: int
    seconds: float
    warnings: tuple[str, ...] = field(default_factory=tuple)


class Keep:
    """The type of KEEP: leave a choice as it is (None already means "without a model")."""


KEEP = Keep()
