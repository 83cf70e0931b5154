"""One row of the registry: where a part lives, and what screens need to know of it without loading it."""

from __future__ import annotations

import importlib
import importlib.metadata
from dataclasses import dataclass
from typing import Any

from engine.errors import MissingDependency


@dataclass(frozen=True, slots=True)
class Field:
    """An option that an admin may set for a provider: its value arrives in `Endpoint.options[name]`.

    The type of `default` (str, bool, int) is the type of the value and decides how the form draws it.
    """

    name: str
    label: str
    default: str | bool | int = ""
    help: str = ""


@dataclass(frozen=True, slots=True)
class Spec:
    """Where a part lives ("module:Class") and what the screens need to know of it without loading it.

    `needs` is its package; `secret` the environment variable that usually holds its key ("" = it takes none); `url` the
    address to reach it at ("" = it has none to set, "vendor" = the vendor's own, which may be replaced); `model` a sensible
    model to begin with ("" = it has no choice of models); `durable` marks a store that keeps its content itself, `embedded`
    one that without an address does so in the data folder.
    """

    target: str
    needs: str = ""
    secret: str = ""
    label: str = ""
    url: str = ""
    model: str = ""
    fields: tuple[Field, ...] = ()
    durable: bool = False
    embedded: bool = False

    @property
    def installed(self) -> bool:
        """Whether the package that it needs is there; nothing is imported."""
        try:
            return not self.needs or bool(importlib.metadata.version(self.needs))
        except importlib.metadata.PackageNotFoundError:
            return False

    @property
    def built_in(self) -> bool:
        """Whether it needs no row of its own: it takes no key and has no address."""
        return not (self.secret or self.url)

    def load(self) -> Any:
        """Import and return the class.

        Raises MissingDependency when a module *outside* the engine is missing; a mistake in our own code stays a traceback.
        """
        module, _, name = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == "engine":
                raise
            package = self.needs or error.name
            raise MissingDependency(
                f"{name} needs the package {package!r}, which is not installed", hint=f"pip install {package}"
            ) from error
