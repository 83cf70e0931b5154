"""One card for each provider: what it is, whether it works, what depends on it, and what can be done with it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import streamlit as st

from engine.provider_views import Choices, ProviderInfo, TestResult
from ui.components.providers.actions import pending_action
from ui.components.providers.looks import embedded, moment, state_badge
from ui.components.providers.state import PageState
from ui.components.safe_text import counted, escape, short
from ui.components.serving import money
from ui.failures import failure_text
from ui.session import Desk


def providers_section(desk: Desk, state: PageState, choices: Choices | None, providers: Sequence[ProviderInfo]) -> None:
    """Draw the cards, two beside each other where there is room, and the dialog that is open."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"{counted(len(providers), 'provider')}. Keys are stored encrypted and are never shown again.", width="stretch"
        )
        st.button(
            "Add provider", key="providers_add", type="primary", icon=":material/add:", on_click=state.open, args=("add",)
        )
    for start in range(0, len(providers), 2):
        # Row by row, so that the cards keep their order where the columns are stacked.
        for column, one in zip(st.columns(2), providers[start : start + 2], strict=False):
            with column:
                _card(state, one)
    pending_action(desk, state, choices, providers)


def _card(state: PageState, one: ProviderInfo) -> None:
    with st.container(border=True, height="stretch", gap="xsmall", key=f"providers_box_{one.name}"):
        with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
            st.markdown(f"**{escape(short(one.name, 60))}**", width="stretch")
            state_badge(one)
        roles = " ".join(f":gray-badge[{escape(role)}]" for role in one.roles)
        st.markdown(f"{escape(one.label)} {roles}" + " :gray-badge[built in]" * one.built_in)
        st.markdown("  \n".join(f"**{name}:** {value}" for name, value in facts(one)))
        if one.last_error and all(one.last_error != test.detail for test in one.tests):
            st.markdown(f":red[:material/error:] Last error: {escape(one.last_error)}")
        for test in one.tests:
            st.markdown(test_line(test))
        _buttons(state, one)


def facts(one: ProviderInfo) -> Iterator[tuple[str, str]]:
    """Return what a card says of a provider: title and Markdown."""
    if one.url:
        yield "Address", escape(one.base_url) or ("in the data folder" if embedded(one.kind) else "the vendor's own")
    if one.key_last4:
        yield "Key", f"set, ends in {escape(one.key_last4)}"
    elif one.key_name:
        yield "Key", "no key"
    models = [f"{escape(role)}: {escape(short(model, 60))}" for role, model in one.models.items() if model]
    if models:
        yield "Models", ", ".join(models)
    yield "Used for", ", ".join(map(escape, one.used_for)) or "nothing yet"
    yield "Today", today(one)


def today(one: ProviderInfo) -> str:
    """Return the calls of today with their cost as Markdown."""
    if not one.calls_today:
        return "no calls"
    parts = [counted(one.calls_today, "call")]
    parts += [f"{one.failures_today:,} failed"] * bool(one.failures_today)
    parts += [counted(one.tokens_today, "token")] * bool(one.tokens_today)
    if one.cost_today is None:
        parts.append("price unknown")
    elif one.cost_today:
        parts.append(escape(money(one.cost_today)))
    return " · ".join(parts)


def test_line(test: TestResult) -> str:
    """Return what a test found as Markdown: the answer or the real error, and what to do."""
    what = escape(test.role) + (f" · {escape(short(test.model, 60))}" if test.model else "")
    when = f"{test.elapsed_ms:,.0f} ms, {moment(test.at)}"
    if test.ok:
        return f":green[:material/check_circle:] {what}: works, {when}  \n{escape(short(test.detail, 200))}"
    return f":red[:material/error:] {what}: failed, {when}  \n{failure_text(test.detail, test.hint)}"


def _buttons(state: PageState, one: ProviderInfo) -> None:
    actions = [("test", "Test", ":material/network_check:", True), ("edit", "Edit", ":material/edit:", not one.built_in)]
    actions += [("rotate", "Rotate key" if one.key_last4 else "Set key", ":material/key:", bool(one.key_name))]
    actions += [("remove", "Remove", ":material/delete:", not one.built_in)]
    with st.container(horizontal=True, gap="xsmall"):
        for action, label, icon, shown in actions:
            if shown:
                key = f"providers_do_{action}_{one.name}"
                st.button(label, key=key, icon=icon, type="tertiary", on_click=state.open, args=(action, one.name))
