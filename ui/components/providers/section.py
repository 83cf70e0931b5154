"""The five sections of the page: only the chosen one is drawn, so that one that fails or hangs cannot harm the others."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.provider_views import Choices, ProviderInfo
from ui.components.providers.cards import providers_section
from ui.components.providers.chain import answers_section
from ui.components.providers.jobs import jobs_section
from ui.components.providers.prices import prices_section
from ui.components.providers.state import PageState
from ui.components.providers.usage import usage_section
from ui.session import Desk

SECTIONS = ["Answers", "Other jobs", "Providers", "Prices", "Usage and cost"]


def section(desk: Desk, state: PageState, choices: Choices | None, providers: Sequence[ProviderInfo] | None) -> None:
    """Draw the switch and the chosen section. What could not be loaded is None, and its error is on the page already."""
    chosen = st.segmented_control(
        "Section",
        SECTIONS,
        default=SECTIONS[0],
        required=True,
        key="providers_section",
        label_visibility="collapsed",
        on_change=state.notices.clear,
    )
    if chosen == "Prices":
        prices_section(desk, state)
    elif chosen == "Usage and cost":
        usage_section(desk)
    elif chosen == "Providers" and providers is not None:
        providers_section(desk, state, choices, providers)
    elif chosen == "Answers" and choices:
        answers_section(desk, state, choices, providers or [])
    elif chosen == "Other jobs" and choices:
        jobs_section(desk, state, choices, providers or [])
    else:
        st.caption("This section needs what could not be loaded above.")
