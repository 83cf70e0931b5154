"""The Gemini API as the former SDK asks for it: streams are JSON arrays, enums are numbers."""

from __future__ import annotations

from contextlib import AbstractContextManager

from tests.upstreams.gemini import GeminiUpstream
from tests.upstreams.google import endpoint
from tests.upstreams.server import serving


def upstream() -> AbstractContextManager[GeminiUpstream]:
    made = GeminiUpstream()
    made.numbers = True
    return serving(made, endpoint)
