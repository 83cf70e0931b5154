"""What was found on this machine and is not used yet. Nothing is ever switched on by itself."""

from __future__ import annotations

import streamlit as st

from engine.provider_views import Offer
from ui.components.providers.state import PageState, kept
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk


def offer_bar(desk: Desk, state: PageState) -> None:
    """Draw one line for each offer that was not put away in this tab."""
    for offer in kept(state, "offers", lambda: desk.call(desk.workbench.offers)):
        if offer.id not in state.dismissed:
            _offer(desk, state, offer)


def _offer(desk: Desk, state: PageState, offer: Offer) -> None:
    with st.container(border=True, gap="xsmall", key=f"providers_offer_{offer.id}"):
        with st.container(horizontal=True, vertical_alignment="center"):
            text = escape(offer.text.removeprefix("Found: ").rstrip("."))
            st.markdown(f":blue[:material/lightbulb:] **Found:** {text}. Use it?", width="stretch")
            wanted = st.button("Use it", key=f"providers_accept_{offer.id}", type="primary")
            st.button(
                "Not now",
                key=f"providers_dismiss_{offer.id}",
                type="tertiary",
                on_click=state.dismissed.add,
                args=(offer.id,),
                help="Hides this offer in this browser tab",
            )
        if offer.models:
            st.caption(f"Models: {escape(short(', '.join(offer.models), 200))}")
        if wanted:
            with friendly_errors():
                made = desk.call(desk.workbench.accept_offer, offer.id)
                state.changed((True, f"**{escape(made.name)}** was added. Put it into the order under Answers to use it."))
                st.rerun()
