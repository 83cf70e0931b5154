"""What one parse may cost, as plain numbers. Loaders ask the budget in force; the child process sets it from the settings."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

from engine.errors import FileTooLarge

MAX_BLOCKS = 200_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """Limits of one file; the defaults are those of `engine.settings.Limits`."""

    max_pages: int = 5000
    max_text_chars: int = 50_000_000
    max_unpacked_mb: int = 400

    def check_pages(self, pages: int) -> None:
        """Raises FileTooLarge when the file has more pages, slides or sheets than allowed."""
        if pages > self.max_pages:
            raise FileTooLarge(f"the file has more than {self.max_pages:,} pages (limit max_pages)")

    def check_chars(self, chars: int) -> None:
        """Raises FileTooLarge when the file holds more text than allowed."""
        if chars > self.max_text_chars:
            raise FileTooLarge(f"the file holds more than {self.max_text_chars:,} characters (limit max_text_chars)")

    def check_unpacked(self, size_bytes: int) -> None:
        """Raises FileTooLarge when an archive unpacks to more than allowed."""
        if size_bytes > self.max_unpacked_mb << 20:
            raise FileTooLarge(f"the file unpacks to more than {self.max_unpacked_mb} MB (limit max_unpacked_mb)")

    def check_blocks(self, blocks: int) -> None:
        """Raises FileTooLarge when the structure alone would fill the memory of the process that receives it."""
        if blocks > MAX_BLOCKS:
            raise FileTooLarge(f"the file has more than {MAX_BLOCKS:,} headings, tables and code blocks")


BUDGET: ContextVar[Budget] = ContextVar("budget", default=Budget())  # noqa: B039 - frozen, so safe to share
