"""How a page says that something failed: what happened, and what to do next. Anything unexpected is left to the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import streamlit as st

from engine.errors import AccessDenied, EngineError
from ui.components.safe_text import escape


def show_failure(error: EngineError) -> None:
    """Show an error of the engine where the reader is looking."""
    icon = ":material/lock:" if isinstance(error, AccessDenied) else ":material/error:"
    st.error(failure_text(str(error), error.hint), icon=icon)


def failure_text(what: str, hint: str) -> str:
    """Return what happened and the way out as Markdown."""
    sentence = escape(what[:1].upper() + what[1:]).removesuffix("\\.")
    way_out = escape(hint[:1].upper() + hint[1:]).removesuffix("\\.")
    return f"{sentence}." + (f"  \n{way_out}." if hint else "")


@contextmanager
def friendly_errors() -> Iterator[None]:
    """Show errors of the engine instead of raising them. Streamlit's rerun and stop signals pass through."""
    try:
        yield
    except EngineError as error:
        show_failure(error)
