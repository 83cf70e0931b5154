"""The order in which providers are asked for an answer: a draft until it is used."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from engine.provider_views import Choice, Choices, ProviderInfo
from ui.components.providers.impact import draft_bar
from ui.components.providers.looks import by_name, failing, named, state_badge
from ui.components.providers.models import model_picker
from ui.components.providers.outage import outage_preview
from ui.components.providers.state import PageState
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk

WHAT = "A question goes to the first link. When that one fails, the next one answers, and the answer says so."
NO_NET = (
    "No link works without a network: when all of them fail, questions get an error. extractive as the last link is "
    "recommended; it quotes the documents and needs nothing."
)


def answers_section(desk: Desk, state: PageState, choices: Choices, providers: Sequence[ProviderInfo]) -> None:
    """Draw the chain with its editor, and who would answer in an outage."""
    found = by_name(providers)
    draft = state.drafts.get("chain")
    chain = draft.chain if draft else choices.chain
    st.caption(WHAT)
    for index, choice in enumerate(chain):
        _link(state, choices, chain, index, found.get(choice.provider))
    if not chain:
        st.info("The order is empty. Add a link.", icon=":material/inbox:")
    elif providers and not any(found[one.provider].built_in for one in chain if one.provider in found):
        st.warning(NO_NET, icon=":material/wifi_off:")
    _adding(desk, state, choices, chain, found)
    if draft:
        changed = chain != choices.chain
        st.caption(":material/edit_note: This order is a draft. Nothing changes until you use it.")
        draft_bar(
            desk, state, "chain", choices, chain,
            lambda version: desk.call(desk.workbench.choose, expected_version=version, chain=chain),
            label="Use this order", ready=changed and bool(chain),
        )  # fmt: skip
    with friendly_errors():
        outage_preview(desk, chain, failing(providers))


def _link(state: PageState, choices: Choices, chain: Sequence[Choice], index: int, info: ProviderInfo | None) -> None:
    buttons = (
        ("up", ":material/arrow_upward:", "Ask it earlier", index == 0),
        ("down", ":material/arrow_downward:", "Ask it later", index == len(chain) - 1),
        ("remove", ":material/close:", "Take it out of the order", False),
    )
    with st.container(border=True, key=f"providers_link_{index}", gap="xxsmall"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"**{index + 1}.** {named(chain[index])}", width="stretch")
            state_badge(info)
            for action, icon, words, disabled in buttons:
                st.button(
                    "",
                    key=f"providers_{action}_{index}",
                    icon=icon,
                    type="tertiary",
                    help=words,
                    disabled=disabled,
                    on_click=_edit,
                    args=(state, choices, action, index),
                )
        if info and info.state == "failing" and info.last_error:
            st.caption(f":red[:material/error:] {escape(short(info.last_error, 200))}")


def _edit(state: PageState, choices: Choices, action: str, index: int) -> None:
    links = list(state.begin("chain", choices).chain)
    link = links.pop(index)
    if action != "remove":
        links.insert(index + (1 if action == "down" else -1), link)
    _keep(state, tuple(links))


def _keep(state: PageState, links: tuple[Choice, ...]) -> None:
    draft = state.drafts["chain"]
    draft.chain, draft.refused = links, ""


def _adding(
    desk: Desk, state: PageState, choices: Choices, chain: tuple[Choice, ...], found: Mapping[str, ProviderInfo]
) -> None:
    if not state.adding:
        if st.button("Add a link", key="providers_add_link", icon=":material/add:", disabled=not found):
            state.adding = True
            st.rerun()
        return
    with st.container(border=True, key="providers_adding"):
        st.markdown("**Add a link**")
        names = [name for name, one in found.items() if "chat" in one.roles]
        with st.container(horizontal=True, vertical_alignment="top"):
            with st.container(width=320):
                # Somebody who added a provider wants that one here, most likely.
                unused = [name for name in names if name not in {one.provider for one in chain}]
                likely = [name for name in unused if not found[name].built_in] or unused or names
                index = names.index(likely[0])
                name = st.selectbox("Provider", names, index=index, key="providers_link_provider")
            with st.container(width=320):
                choice = model_picker(desk, state, found[name], "chat", key="providers_link_model") if name else None
        known = choice in chain
        with st.container(horizontal=True, vertical_alignment="center"):
            add = "providers_link_add"
            if st.button("Add", key=add, type="primary", disabled=not choice or known) and choice:
                _insert(state, choices, choice, found)
                st.rerun()
            if st.button("Cancel", key="providers_link_cancel", type="tertiary"):
                state.adding = False
                st.rerun()
            if known:
                st.caption("It is in the order already.")


def _insert(state: PageState, choices: Choices, choice: Choice, found: Mapping[str, ProviderInfo]) -> None:
    chain = state.begin("chain", choices).chain
    last = found.get(chain[-1].provider) if chain else None
    # What comes after a link that needs no network is hardly ever asked, so new links go above it.
    place = len(chain) - 1 if last and last.built_in and not found[choice.provider].built_in else len(chain)
    _keep(state, (*chain[:place], choice, *chain[place:]))
    state.adding = False
