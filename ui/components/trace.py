"""How an answer came about: steps with their times, the provider, and what was left out."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import streamlit as st

from engine.types import Answer
from ui.components.safe_text import escape


def trace_view(answer: Answer) -> None:
    """Draw the trace, folded in."""
    with st.expander("How this answer was made", icon=":material/route:", type="compact"):
        st.caption(origin(answer))
        for name, (title, _) in SECTIONS.items():
            rows = answer.trace.get(name)
            if rows:
                st.markdown(f"**{title}**")
                st.dataframe([SECTIONS[name][1](row) for row in rows], hide_index=True, alt=title)
        details = answer.trace.get("details")
        if details:
            st.markdown("**Details**")
            st.json(_plain(details), expanded=False)


def origin(answer: Answer) -> str:
    """Return who answered, with how many tokens."""
    model = "" if answer.model == answer.provider else f" · {escape(answer.model)}"
    tokens = f" · {answer.usage.input_tokens} + {answer.usage.output_tokens} tokens" if answer.usage.output_tokens else ""
    return f"{escape(answer.provider)}{model}{tokens}"


def _step(row: Mapping[str, Any]) -> dict[str, Any]:
    facts = [f"{name}: {value}" for name, value in row.items() if name not in ("name", "ms")]
    return {"step": str(row.get("name", "")), "ms": row.get("ms"), "facts": ", ".join(facts)}


def _cells(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value if isinstance(value, (int, float)) else str(value) for name, value in row.items() if name != "chunk"}


def _plain(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


SECTIONS: dict[str, tuple[str, Callable[[Mapping[str, Any]], dict[str, Any]]]] = {
    "steps": ("Steps", _step),
    "passages": ("Passages that were read", _cells),
    "dropped": ("Left out, for they did not fit", _cells),
}
