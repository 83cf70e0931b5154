"""Trying a provider: it is really called, and what comes back stays in sight."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import EngineError
from engine.provider_views import Choice, Choices, ProviderInfo, TestResult
from ui.components.providers.state import PageState
from ui.components.safe_text import escape, short
from ui.failures import failure_text
from ui.session import Desk


def test_view(desk: Desk, state: PageState, info: ProviderInfo, choices: Choices | None) -> None:
    """Draw the choice of what to test, and the result of the last test."""
    st.markdown(f"**{escape(info.name)}** is called with a tiny request. A vendor may charge for it.")
    role = info.roles[0]
    if len(info.roles) > 1:
        role = st.segmented_control(
            "What to test", info.roles, default=role, required=True, key=f"providers_test_role_{state.opened}"
        )
    model = ""
    usual = in_use(info, role, choices)
    if usual:
        model = st.text_input("Model", usual, key=f"providers_test_model_{role}_{state.opened}", max_chars=200) or ""
    if st.button("Test now", key="providers_test_now", type="primary", icon=":material/network_check:"):
        state.tested, state.failure = None, ""
        run_test(desk, state, info, role, model.strip())
    if state.failure:
        st.error(state.failure, icon=":material/error:")
    if state.tested:
        good, text = verdict(info.name, state.tested)
        (st.success if good else st.error)(text, icon=":material/check_circle:" if good else ":material/error:")


def run_test(desk: Desk, state: PageState, info: ProviderInfo, role: str, model: str) -> None:
    """Call the provider and remember what came of it."""
    try:
        with st.spinner(f"Calling {escape(info.name)}, for up to {info.timeout_seconds:.0f} seconds", show_time=True):
            state.tested = desk.call(desk.workbench.test_provider, info.name, role, model)
    except EngineError as error:
        state.fail(error)


def in_use(info: ProviderInfo, role: str, choices: Choices | None) -> str:
    """Return the model that the provider is used with in a role, or the usual one."""
    used: Sequence[Choice | None] = ()
    if choices:
        used = {"chat": choices.chain, "embedding": (choices.embedding,), "rerank": (choices.rerank,)}.get(role, ())
    models = [one.model for one in used if one and one.provider == info.name]
    return next(iter(models), "") or info.models.get(role, "")


def verdict(name: str, test: TestResult) -> tuple[bool, str]:
    """Return whether a test went well, and what it found as Markdown."""
    what = f"Test of **{escape(name)}** ({escape(' · '.join(filter(None, [test.role, test.model])))})"
    if test.ok:
        return True, f"{what}: works, {test.elapsed_ms:,.0f} ms.  \n{escape(short(test.detail, 300))}"
    return False, f"{what}: failed after {test.elapsed_ms:,.0f} ms.  \n{failure_text(test.detail, test.hint)}"
