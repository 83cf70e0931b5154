"""A tiny cross-encoder in this process; its judgement means nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from engine.types import Endpoint
from tests.models import tiny_cross_encoder_folder
from tests.upstreams.server import Upstream


@contextmanager
def upstream() -> Iterator[Upstream]:
    """Give an upstream without a server: `real` says that a real model answers, in its own words."""
    here = Upstream()
    here.real = True
    here.endpoint = Endpoint(model=str(tiny_cross_encoder_folder()))
    yield here
