"""What is kept to be quick, how often that helps, and throwing kept answers away."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.operations_views import CacheInfo
from engine.types import Role
from ui.components.health.state import HealthState, Notice, failure_box
from ui.components.health.words import bold, percent
from ui.components.safe_text import escape
from ui.session import Desk

WHERE = {"redis": "Redis, shared by all servers", "memory": "the memory of each server"}


def caches_panel(desk: Desk, state: HealthState, caches: Sequence[CacheInfo]) -> None:
    """Draw a card for each cache, and the button that empties that of answers."""
    if not caches:
        st.info("Nothing was looked up in a cache yet.", icon=":material/inbox:")
    with st.grid(min_column_width=230, key="health_caches"):
        for one in caches:
            with st.container(border=True, height="stretch", gap="small"):
                st.markdown(f"{bold(one.name.capitalize())} · {percent(one.rate)} hits")
                st.progress(min(1.0, max(0.0, one.rate or 0.0)))
                st.caption(f"{one.hits:,} of {one.hits + one.misses:,} look-ups · in {escape(WHERE.get(one.where, one.where))}")
    if desk.principal.role is Role.ADMIN and st.button(
        "Throw away kept answers", key="health_clear", icon=":material/delete_sweep:"
    ):
        state.open("clear")
        st.rerun()


def clear_dialog(desk: Desk, state: HealthState) -> None:
    """Draw what it means, and do it."""
    st.markdown(
        "Every kept answer is forgotten on all servers. Conversations stay as they are. Questions that were asked before are "
        "answered anew, which takes longer and costs what a new question costs."
    )
    failure_box(state)
    if st.button("Throw away", key="health_clear_now", type="primary", icon=":material/delete_sweep:"):
        found: list[int] = []

        def clear() -> None:
            found.append(desk.call(desk.workbench.clear_cache))

        state.attempt(clear, Notice(""))
        if found:
            state.notice = Notice(f"{found[0]:,} kept answers were thrown away.")
        st.rerun()
