"""The one error tree of the engine, grouped by who can fix the problem.

EngineError
├── ConfigError             the operator: fix settings or install something
│   ├── MissingDependency       a package that the chosen component needs is not installed
│   ├── MissingSecret           a key or secret is not set, is a known literal, or is too short
│   ├── UnknownComponent        no registry row has that name
│   └── CorruptModel            a model file is not the one it should be
├── InputError              the user: change the question or the file
│   ├── UnsupportedFile         no loader reads this type
│   ├── BrokenFile              the type is known, the content cannot be read
│   ├── PasswordNeeded          the file is encrypted
│   ├── FileTooLarge            over a limit of bytes, pages, memory, time or unpacked size
│   ├── EmptyDocument           there is no text in it (empty, or pictures of text)
│   ├── QuestionRejected        an empty or over-long question
│   ├── Conflict *              somebody else changed the same thing at the same moment
│   ├── QuotaExceeded           too many uploads in an hour; `retry_after_seconds` says when to go on
│   └── NotFound                no such collection, document, conversation or user (or not yours to see)
├── ProviderError           the vendor: wait, or choose another
│   ├── ProviderTimeout *       no answer in time
│   │   └── NoTimeLeft              the time of the user's action is used up: nothing was called
│   ├── RateLimited *           too many requests; `retry_after_seconds` when known
│   ├── ProviderUnavailable *   cannot connect, or 5xx
│   ├── ProviderRejected        the request itself is refused (4xx)
│   │   └── ProviderDenied          the provider's address is none that this server may connect to
│   └── BadResponse             the answer cannot be understood
│       └── NoAnswer                the model found no words for this prompt; another one may do
├── StoreError              the operator: an index or the database
│   ├── StoreUnavailable *      cannot be reached, no answer in time, too many requests, or 5xx
│   ├── DatabaseBusy *          others were changing the same rows
│   ├── DimensionMismatch       vectors of another embedding space
│   └── CollectionMissing       the index of a collection does not exist
├── CallNotPermitted *      refused without a call, to protect what it would go to; `retry_after_seconds` says when again
│   ├── CircuitOpen             the dependency keeps failing, or an operator took it out
│   └── Overloaded              as many calls as it may take are running already
└── AccessDenied            an admin: the principal may not do this
    ├── TooMany *               the user: too much in too little time; `retry_after_seconds` says when again
    └── AddressDenied           an operator: not an address that this server may connect to, or nothing there that answers

`*` = retryable. Every error carries `hint`: what the reader can do next, in one sentence.
"""

from __future__ import annotations


class EngineError(Exception):
    """Root of the tree. `str(error)` says what happened, `error.hint` how to go on."""

    retryable = False
    default_hint = ""

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint or self.default_hint


class ConfigError(EngineError):
    """A setting is wrong or missing."""


class MissingDependency(ConfigError):
    """A package that the chosen component needs is not installed."""


class MissingSecret(ConfigError):
    """A secret is absent, publicly known, or too short."""


class UnknownComponent(ConfigError):
    """No registry row has that name."""


class CorruptModel(ConfigError):
    """A model file does not have the expected SHA-256."""


class InputError(EngineError):
    """What the user gave cannot be used as it is."""


class UnsupportedFile(InputError):
    """No loader reads this type of file."""


class BrokenFile(InputError):
    """The content of the file cannot be read."""

    default_hint = "Open the file in the program that made it, save it again, and upload that copy."


class PasswordNeeded(InputError):
    """The file is encrypted and no, or a wrong, password was given."""

    default_hint = "Upload it again with its password, or save a copy without one."


class FileTooLarge(InputError):
    """Reading the file would exceed a limit."""

    default_hint = "Split the file, or ask an operator to raise the limit."


class EmptyDocument(InputError):
    """There is no text to index."""

    default_hint = "If these are scanned pages, scan them again, sharper and upright, or upload a version that holds its text."


class QuestionRejected(InputError):
    """The question is empty or too long."""


class Conflict(InputError):
    """Somebody else changed the same thing at the same moment, so nothing was changed; jobs simply try again."""

    retryable = True


class QuotaExceeded(InputError):
    """The user has had their share for now."""

    def __init__(self, message: str, *, retry_after_seconds: float) -> None:
        super().__init__(message, hint=f"Go on in about {max(1, round(retry_after_seconds / 60))} minutes.")
        self.retry_after_seconds = retry_after_seconds


class NotFound(InputError):
    """It does not exist, or the principal may not know that it does."""


class ProviderError(EngineError):
    """A model provider did not deliver."""


class ProviderTimeout(ProviderError):
    """No answer within the time limit."""

    retryable = True


class NoTimeLeft(ProviderTimeout):
    """The time of the user's action is used up, so nothing was called; what is retried would come too late as well."""

    retryable = False


class RateLimited(ProviderError):
    """The provider asks us to slow down."""

    retryable = True

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float | None = None) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class ProviderUnavailable(ProviderError):
    """Cannot connect, or the provider reports an internal failure."""

    retryable = True


class ProviderRejected(ProviderError):
    """The provider refuses this request and would refuse it again; `status` is the HTTP status, if there was one."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ProviderDenied(ProviderRejected):
    """The address of the provider is none that this server may connect to."""


class BadResponse(ProviderError):
    """The provider answered something that cannot be understood."""


class NoAnswer(BadResponse):
    """The provider works, but its model wrote nothing, or nothing whole, to this very prompt: whoever asks decides that."""


class StoreError(EngineError):
    """An index or the database failed; `status` is the HTTP status of its server, or what comes nearest, if there was one."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class StoreUnavailable(StoreError):
    """The server of a store cannot be reached, gave no answer in time, asks us to slow down, or has trouble."""

    retryable = True

    def __init__(
        self, message: str, *, hint: str = "", status: int | None = None, retry_after_seconds: float | None = None
    ) -> None:
        super().__init__(message, hint=hint, status=status)
        self.retry_after_seconds = retry_after_seconds


class DatabaseBusy(StoreError):
    """The database gave up waiting for others who were changing the same rows."""

    retryable = True


class DimensionMismatch(StoreError):
    """Vectors of different embedding spaces would be mixed."""


class CollectionMissing(StoreError):
    """The index of a collection does not exist."""


class CallNotPermitted(EngineError):
    """Refused without a call, to protect the dependency and who waits for it. Nobody tries again by himself: others may."""

    retryable = True

    def __init__(self, message: str, *, hint: str = "", retry_after_seconds: float = 0.0) -> None:
        super().__init__(message, hint=hint)
        self.retry_after_seconds = retry_after_seconds


class CircuitOpen(CallNotPermitted):
    """The dependency keeps failing, or an operator took it out of use."""


class Overloaded(CallNotPermitted):
    """As many calls of the dependency as are allowed at once are running already."""


class AccessDenied(EngineError):
    """The principal may not do this."""

    default_hint = "Ask the owner of the collection or an admin for access."


class AddressDenied(AccessDenied):
    """An address outside that the server does not connect to.

    What is refused, does not resolve or does not answer reads the same, so that nobody explores a network from here.
    `by_rule` tells the audit log, never the reader, that a rule refused `host`.
    """

    default_hint = "Check the address. An operator sets which ones may be reached (egress)."

    def __init__(
        self,
        message: str = "this address cannot be reached from here",
        *,
        hint: str = "",
        host: str = "",
        by_rule: bool = True,
    ) -> None:
        super().__init__(message, hint=hint)
        self.host = host
        self.by_rule = by_rule


class TooMany(AccessDenied):
    """One user asked for more than a fair share; later it works again."""

    retryable = True

    def __init__(self, message: str, *, retry_after_seconds: float, hint: str = "") -> None:
        super().__init__(message, hint=hint or f"Try again in {max(1, round(retry_after_seconds))} s.")
        self.retry_after_seconds = retry_after_seconds
