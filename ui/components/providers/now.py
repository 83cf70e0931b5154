"""What answers questions now, in one sentence, and what the page was told last."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import streamlit as st

from engine.provider_views import Choice, Choices, ProviderInfo
from ui.components.providers.looks import failing, moment, named
from ui.components.providers.state import PageState
from ui.components.safe_text import escape


def answers_now(choices: Choices, providers: Sequence[ProviderInfo]) -> None:
    """Draw who answers, who takes over, and who changed that last."""
    with st.container(border=True, gap="xsmall", key="providers_now"):
        if not choices.chain:
            st.markdown(":red[:material/error:] **Nothing answers questions now.** Add a link under Answers.")
        else:
            st.markdown(f":material/forum: {sentence(choices.chain, failing(providers))}")
        if choices.changed_at:
            by = f" by {escape(choices.changed_by)}" if choices.changed_by else ""
            st.caption(f"Changed {moment(choices.changed_at)}{by}")


def sentence(chain: Sequence[Choice], doubtful: Collection[str]) -> str:
    """Return who answers, and who takes over in which order, as Markdown."""
    links = [named(one) + (" (:red[:material/error: failing])" if one.provider in doubtful else "") for one in chain]
    rest = f"; if it fails, {', then '.join(links[1:])}" if links[1:] else ""
    return f"Questions are answered by {links[0]}{rest}."


def notices(state: PageState) -> None:
    """Draw what came of the last action until it is hidden or another one is done."""
    if not state.notices:
        return
    with st.container(key="providers_notices", gap="xsmall"):
        for good, text in state.notices:
            (st.success if good else st.warning)(text, icon=":material/check_circle:" if good else ":material/warning:")
        st.button("Hide", key="providers_hide", type="tertiary", on_click=state.notices.clear)
