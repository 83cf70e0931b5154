"""Who would answer if some providers were down. Nothing is called; the engine only follows the order."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from engine.provider_views import Choice
from ui.components.providers.looks import named
from ui.session import Desk

ICONS = {
    "out": ":red[:material/cancel:]",
    "answers": ":green[:material/check_circle:]",
    "not reached": ":gray[:material/more_horiz:]",
}


def outage_preview(desk: Desk, chain: Sequence[Choice], failing: Collection[str]) -> None:
    """Draw the choice of pretended outages and what would happen with `chain` as it stands."""
    if not chain:
        return
    names = list(dict.fromkeys(one.provider for one in chain))
    with st.container(border=True, key="providers_outage", gap="small"):
        st.markdown("**Simulate an outage**")
        out = st.multiselect(
            "Pretend these are down", names, key="providers_out", placeholder="None is down", filter_mode="contains"
        )
        steps = desk.call(desk.workbench.simulate, tuple(chain), [name for name in out if name in names])
        answering = next((one.choice for one in steps if one.state == "answers"), None)
        if answering:
            doubt = ", if it works again: its last call failed" if answering.provider in failing else ""
            st.markdown(f":{'orange' if doubt else 'green'}[:material/check_circle:] {named(answering)} would answer{doubt}.")
        else:
            st.markdown(":red[:material/error:] **Nobody would answer:** questions would get an error.")
        if out:
            lines = [f"{n}. {named(one.choice)} {ICONS.get(one.state, '')} {one.state}" for n, one in enumerate(steps, 1)]
            st.caption("  \n".join(lines))
