"""Chroma in this process, in a fresh folder."""

from tests.servers import embedded as server

__all__ = ["server"]
