"""The values that cross package borders: frozen, typed, without behaviour of any vendor.

Numeric contract, valid everywhere: vectors are float32 of shape (n, dimension) with rows of unit length; a score is a
cosine or a fused score, higher is better; pages count from 1; `start`/`end` are character offsets (Unicode code points,
half open) into the text of *that page*; times are in seconds unless the name says `_ms`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

from engine.documents import Chunk

Scalar: TypeAlias = str | int | float | bool


class Role(StrEnum):
    """What a user may do; collections are granted separately."""

    ANALYST = "analyst"
    OPERATOR = "operator"
    ADMIN = "admin"


class Right(StrEnum):
    """What a grant allows on one collection; each includes the ones before it."""

    READ = "read"
    WRITE = "write"
    OWNER = "owner"


class Support(StrEnum):
    """How far the cited passages carry a sentence of an answer."""

    SUPPORTED = "supported"
    PARTLY = "partly"
    UNSUPPORTED = "unsupported"


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who asks. Every call of the facade takes one; there is no unscoped read.

    `scopes` narrows what an API key or token may be used for (None = a signed-in person, not narrowed). `preview` marks an
    admin who looks at what somebody else may see: such a principal reads, and changes nothing. `ip` and `request_id` are for
    the audit. `token_id` is the jti of the short-lived token that was shown, "" for a session or a key.
    """

    user_id: str
    name: str
    role: Role
    session_id: str = ""
    scopes: frozenset[str] | None = None
    preview: bool = False
    ip: str = ""
    request_id: str = ""
    token_id: str = ""


class Guard(Protocol):
    """Decides where the server may connect to. Thread-safe."""

    def addresses(self, host: str, port: int) -> Sequence[str]:
        """Return the IP addresses of `host`, all of them allowed; who connects uses these and never looks up again.

        Blocks while the name is looked up. Raises AddressDenied.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """How to reach one model or one index of a provider. Each part reads what it needs and ignores the rest.

    `base_url` is "" for the vendor's own address or for "in this process"; `folder` is where an embedded part may keep its
    files; `options` holds the values of the fields that the part's registry row names. `guard` is asked at each connection.
    """

    model: str = ""
    base_url: str = ""
    api_key: str = field(default="", repr=False)
    folder: str = ""
    timeout_seconds: float = 60.0
    options: Mapping[str, Scalar] = field(default_factory=dict)
    guard: Guard | None = field(default=None, repr=False, compare=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Space:
    """An embedding space as found by asking the embedder; stored with every collection.

    `normalised` tells whether the model itself gave unit vectors (the engine always stores unit vectors). `probe` is the
    vector of `PROBE_TEXT`: an embedder that later gives another one must not add to the collection.
    """

    model_id: str
    dimension: int
    max_tokens: int
    normalised: bool
    probe: bytes = field(default=b"", repr=False)


PROBE_TEXT = "Net sales rose by 5 percent in the second quarter."


# --- retrieval -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """`field op value`: op is "eq", "in" (value is a tuple), "gte" or "lte"."""

    field: str
    op: str
    value: Scalar | tuple[Scalar, ...]


Filter: TypeAlias = tuple[Condition, ...]
"""Conditions joined by AND; the empty tuple matches everything."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One row of an index: the chunk's id and the fields that filters may name."""

    id: str
    metadata: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """One result of a single index: the chunk's id and that index's own score."""

    id: str
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A chunk that was found. `scores` splits the final score: "dense" (cosine), "lexical" (BM25), "fused"."""

    chunk: Chunk
    score: float
    scores: Mapping[str, float] = field(default_factory=dict)


# --- answers ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One turn of a conversation; `role` is "user" or "assistant"."""

    role: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """Tokens of one generation, counted by the provider's own tokenizer where it tells."""

    input_tokens: int = 0
    output_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """What a generator gets. Passage number n (the [n] of citations) is `passages[n - 1]`.

    `dropped` names passages that did not fit the token budget, with the reason; `answer_tokens` bounds the answer.
    `plain` sends the question as it is: for other jobs than answering from passages.
    """

    question: str
    passages: tuple[Hit, ...]
    history: tuple[Message, ...] = ()
    system: str = ""
    tokens: int = 0
    dropped: tuple[tuple[str, str], ...] = ()
    answer_tokens: int = 800
    plain: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Delta:
    """A piece of a streamed answer. `refused` marks an honest "the documents do not say"; `usage` comes last.

    `details` go to the trace (scores behind a refusal, for instance) and never to the reader.
    """

    text: str = ""
    refused: bool = False
    usage: Usage | None = None
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sentence:
    """One sentence of an answer without its markers; `citations` are the numbers n of the citations that carry it."""

    text: str
    support: Support
    citations: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """An immutable snapshot of what was cited: it stays readable after the document changes or goes.

    `start`/`end` narrow down to the quoted sentences inside the chunk; `text == page.text[start:end]`. `recognised`: the
    text was
    read from a picture and may hold mistakes.
    """

    n: int
    chunk_id: str
    document_id: str
    document: str
    version: int
    page: int
    start: int
    end: int
    text: str
    score: float
    section: tuple[str, ...] = ()
    context: str = ""
    recognised: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Outage:
    """A link of the chain that could not answer, and why in words that hold no secret."""

    provider: str
    model: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """How an answer came about: wall time, cost in US dollars (None = price unknown), who failed before.

    `notes` are sentences for the reader about what else did not work, such as a store that could not be searched; `warnings`
    are about the sources. `cached_at` is when the answer was written, for one that was kept (ISO 8601, UTC; "" = just now).
    """

    seconds: float = 0.0
    cost_usd: float | None = None
    outages: tuple[Outage, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    cached_at: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A finished answer. `nearest` holds the closest passages, for a refusal to show."""

    text: str
    refused: bool
    sentences: tuple[Sentence, ...]
    citations: tuple[Citation, ...]
    provider: str
    model: str
    usage: Usage = Usage()
    nearest: tuple[Hit, ...] = ()
    query: str = ""
    trace: Mapping[str, Any] = field(default_factory=dict)
    serving: Serving = Serving()
