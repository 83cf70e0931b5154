"""A small language model in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.types import Endpoint
from tests.models import smollm2_folder
from tests.upstreams.server import Upstream


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Give an upstream without a server: `real` says that a real model answers, in its own words."""
    here = Upstream()
    here.real = True
    here.endpoint = Endpoint(model=str(smollm2_folder()))
    yield here
