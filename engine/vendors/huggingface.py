"""Models that run in this process: their folder, fetched from the hub when it is not here, and what can go wrong.

Only data is fetched and loaded: safetensors, JSON and vocabularies; never pickles, never code.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from engine.errors import EngineError, MissingDependency, ProviderError, ProviderRejected, ProviderUnavailable
from engine.types import Endpoint
from engine.vendors.pinned import ProviderGuard
from engine.vendors.status import from_status, redacted, unreachable

DATA = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]
HUB = "huggingface.co"
FOLDER_HINT = "Give a folder on this server with a model in safetensors files, or a name of huggingface.co such as owner/model."
OFFLINE_HINT = "Download the model elsewhere, copy its folder to this server, and give that folder as the model."


def folder_here(endpoint: Endpoint) -> Path | None:
    """Return the folder of the model if it is on this machine, else None; no network, no error."""
    if endpoint.model and Path(endpoint.model).is_dir():
        return Path(endpoint.model)
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, LocalEntryNotFoundError

    try:
        return Path(snapshot_download(endpoint.model, allow_patterns=DATA, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError):
        return None


def folder_of(endpoint: Endpoint, *, provider: str) -> Path:
    """Return the folder of the model, downloaded if it is not here. A copy that is here is not brought up to date.

    `base_url` may name a mirror of the hub. Raises ProviderRejected, ProviderUnavailable.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    if found := folder_here(endpoint):
        return found
    disable_progress_bars()
    if endpoint.guard:
        ProviderGuard(endpoint.guard, provider).addresses(urlsplit(endpoint.base_url).hostname or HUB, 443)
    try:
        folder = snapshot_download(
            endpoint.model, allow_patterns=DATA, token=endpoint.api_key or False, endpoint=endpoint.base_url or None
        )
    except HFValidationError as error:
        raise ProviderRejected(f"{provider}: there is no folder {endpoint.model!r}", hint=FOLDER_HINT) from error
    except HfHubHTTPError as error:
        raise _refused(error.response.status_code, error, provider=provider, endpoint=endpoint) from error
    except (OSError, ValueError) as error:  # no network is both a LocalEntryNotFoundError and an OSError
        failure = unreachable(error, provider=f"{provider}: {endpoint.model!r} is not on this server, and huggingface.co",
                              endpoint=endpoint)  # fmt: skip
        failure.hint = OFFLINE_HINT
        raise failure from error
    return Path(folder)


def _refused(status: int, error: object, *, provider: str, endpoint: Endpoint) -> ProviderError:
    failure = from_status(status, error, provider=f"{provider} (huggingface.co)", endpoint=endpoint)
    if status in (401, 404):  # the hub says 401 also for a model that does not exist
        failure.hint = FOLDER_HINT
    return failure


@contextmanager
def translated(provider: str, endpoint: Endpoint) -> Iterator[None]:
    """Turn whatever loading or running a model raises into ProviderRejected, ProviderUnavailable or MissingDependency."""
    try:
        yield
    except EngineError:
        raise
    except ImportError as error:
        package = error.name or "transformers"
        raise MissingDependency(f"{provider} needs the package {package!r}", hint=f"pip install {package}") from error
    except (MemoryError, RuntimeError) as error:  # torch.OutOfMemoryError is a RuntimeError
        raise ProviderUnavailable(
            f"{provider} failed with {endpoint.model!r}: {redacted(error, endpoint)}",
            hint="If memory is short, choose a smaller model.",
        ) from error
    except Exception as error:  # tokenizers, safetensors and jinja2 raise bare exceptions for damaged files
        raise ProviderRejected(
            f"{provider} cannot use {endpoint.model!r}: {redacted(error, endpoint)}", hint=FOLDER_HINT
        ) from error
