"""Where alerts go: webhooks and mail. An address is written, never read back: it may hold a token."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import EngineError
from engine.operations_views import AlertChannel, AlertRule
from ui.components.health.state import HealthState, Notice, failure_box
from ui.components.health.words import ago, bold
from ui.components.safe_text import counted, escape, short
from ui.failures import failure_text
from ui.session import Desk

KINDS = {"webhook": "Webhook", "mail": "Mail"}
ICONS = {"webhook": ":material/webhook:", "mail": ":material/mail:"}
TARGETS = {"webhook": "Address (https://…)", "mail": "Receiver"}


def channels_panel(desk: Desk, state: HealthState) -> None:
    """Draw the channels."""
    channels = desk.call(desk.workbench.alert_channels)
    if st.button("New channel", key="health_channel_new", icon=":material/add:"):
        state.open("channel")
        st.rerun()
    if not channels:
        st.info(
            "Alerts show on this page and nowhere else. Add a webhook or a mail address to be told elsewhere.",
            icon=":material/inbox:",
        )
    for one in sorted(channels, key=lambda channel: channel.name.lower()):
        with st.container(border=True, gap="small", key=f"health_channel_{one.id}"):
            _channel(desk, state, one)


def _channel(desk: Desk, state: HealthState, one: AlertChannel) -> None:
    shown = f" :gray[to {escape(short(one.shown, 80))}]" if one.shown else ""
    icon = ICONS.get(one.kind, ":material/campaign:")
    last = f"  \n:gray[last] {escape(short(one.last_result, 200))} :gray[{ago(one.last_at)}]" if one.last_result else ""
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.markdown(f"{icon} {bold(one.name)} · {escape(KINDS.get(one.kind, one.kind))}{shown}{last}", width="stretch")
        st.button(
            "Test", key=f"health_channel_test_{one.id}", type="tertiary", icon=":material/send:", on_click=_test,
            args=(desk, state, one), help="Sends a message that says that it is a test, and shows what the receiver answered.",
        )  # fmt: skip
        if st.button("Edit", key=f"health_channel_edit_{one.id}", type="tertiary", icon=":material/edit:"):
            state.open("channel", one.id)
            st.rerun()
        if st.button("Delete", key=f"health_channel_off_{one.id}", type="tertiary", icon=":material/delete:"):
            state.open("channel_off", one.id)
            st.rerun()


def _test(desk: Desk, state: HealthState, one: AlertChannel) -> None:
    try:
        result = desk.call(desk.workbench.test_alert_channel, one.id)
    except EngineError as error:
        state.notice = Notice(f"Test of {bold(one.name)}: {failure_text(str(error), error.hint)}", well=False)
    else:
        state.notice = Notice(f"Test of {bold(one.name)}: {escape(short(result, 300))}", well=result.startswith("sent"))


def channel_form(desk: Desk, state: HealthState, channel: AlertChannel | None) -> None:
    """Draw the form; `channel` is None for a new one. An empty target keeps the one that is stored."""
    n = state.number
    name = st.text_input(
        "Name", channel.name if channel else "", key=f"health_channel_name_{n}", max_chars=100, autocomplete="off", live="200ms"
    )
    kinds = list(KINDS)
    kind = st.segmented_control(
        "Kind", kinds, default=channel.kind if channel and channel.kind in kinds else "webhook", required=True,
        key=f"health_channel_kind_{n}", format_func=lambda one: KINDS[one], disabled=channel is not None,
    ) or "webhook"  # fmt: skip
    target = st.text_input(
        TARGETS[kind],
        key=f"health_channel_target_{n}_{kind}",
        type="password" if kind == "webhook" else "default",
        max_chars=2000,
        autocomplete="off",
        live="200ms",
        placeholder="leave empty to keep the stored one" if channel else "",
        help="It is stored encrypted and not shown again.",
    )
    if channel and channel.shown:
        st.caption(f"Stored now: {escape(short(channel.shown, 80))}")
    failure_box(state)
    given, called = (target or "").strip(), (name or "").strip()
    ready = bool(called and (given or channel))
    if st.button("Save", key="health_channel_save", type="primary", icon=":material/save:", disabled=not ready):
        wanted = AlertChannel(id=channel.id if channel else "", name=called, kind=kind, target=given)
        method = desk.workbench.save_alert_channel
        state.attempt(
            lambda: desk.call(method, wanted), Notice(f"The channel {bold(called)} was saved. Test it before you rely on it.")
        )
        st.rerun()


def delete_channel_dialog(desk: Desk, state: HealthState, channel: AlertChannel, rules: Sequence[AlertRule]) -> None:
    """Draw what is lost, and do it."""
    using = [one for one in rules if channel.id in one.channels]
    st.markdown(f"{bold(channel.name)} and its stored address are deleted. This cannot be undone.")
    if using:
        told = ", ".join(bold(one.name, 40) for one in using[:5])
        st.warning(f"{counted(len(using), 'rule')} will not be sent there any more: {told}.", icon=":material/warning:")
    failure_box(state)
    if st.button("Delete for good", key="health_channel_off_now", type="primary", icon=":material/delete_forever:"):
        method = desk.workbench.delete_alert_channel
        state.attempt(lambda: desk.call(method, channel.id), Notice(f"The channel {bold(channel.name)} was deleted."))
        st.rerun()
