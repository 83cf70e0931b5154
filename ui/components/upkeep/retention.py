"""Retention rules: what each would remove now, making one, applying one."""

from __future__ import annotations

import streamlit as st

from engine.keeping_views import RetentionEffect, RetentionKind, RetentionRule
from ui.components.people.state import Notice, PageState
from ui.components.safe_text import counted, escape, short
from ui.session import Desk

WHAT = (
    "A rule removes what is older than so many days, every hour while the server runs. What it would remove now is shown first;"
    " what a legal hold keeps is never removed."
)
KINDS = {
    RetentionKind.CHATS: "conversations, counted from their last message",
    RetentionKind.FILES: "documents whose newest version is that old",
    RetentionKind.VERSIONS: "the content of former versions",
    RetentionKind.AUDIT: "entries of the audit",
}
AFTER = {
    RetentionKind.CHATS: "They are gone for good.",
    RetentionKind.FILES: "They leave every answer at once, and for a day it can be undone.",
    RetentionKind.VERSIONS: "Their originals are gone for good; old citations keep their words.",
    RetentionKind.AUDIT: "Whole segments go, and a signed row says which.",
}
ALL = ""


def retention_section(desk: Desk, state: PageState) -> None:
    """Draw the rules with what each would remove, and the form of a new one."""
    st.caption(WHAT)
    effects = desk.call(desk.workbench.retention_effects)
    if not effects:
        st.info("There is no rule: everything is kept until somebody deletes it.", icon=":material/all_inclusive:")
    for one in effects:
        _row(desk, state, one)
    with st.expander("New rule", icon=":material/auto_delete:", expanded=not effects, key=f"upkeep_new_{state.number}"):
        _form(desk, state)


def _row(desk: Desk, state: PageState, one: RetentionEffect) -> None:
    rule = one.rule
    with st.container(border=True, key=f"upkeep_rule_{rule.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(_told(rule), width="stretch")
            if not rule.enabled:
                st.badge("off", icon=":material/pause:", color="gray")
            turn = "Turn off" if rule.enabled else "Turn on"
            if st.button(turn, key=f"upkeep_turn_{rule.id}", type="tertiary"):
                _save(desk, state, rule, enabled=not rule.enabled)
            if st.button("Remove", key=f"upkeep_remove_{rule.id}", type="tertiary", icon=":material/close:"):
                done = Notice("The rule was removed; what it removed stays removed.")
                state.attempt(lambda: desk.call(desk.workbench.delete_retention_rule, rule.id), done)
                st.rerun()
        st.caption(_effect(one))
        if one.count:
            with st.popover("Remove them now", icon=":material/delete_sweep:"):
                st.markdown(f"**{one.count:,} will be removed.** {AFTER[rule.kind]}")
                if st.button("Yes, remove", key=f"upkeep_apply_{rule.id}", type="primary"):
                    done = Notice(f"{one.count:,} were removed. {AFTER[rule.kind]}")
                    state.attempt(lambda: desk.call(desk.workbench.apply_retention, rule.id), done)
                    st.rerun()


def _told(rule: RetentionRule) -> str:
    where = f" in **{escape(short(rule.collection, 60))}**" if rule.collection else ""
    return f":material/auto_delete: Older than **{counted(rule.days, 'day')}**: {KINDS[rule.kind]}{where}"


def _effect(one: RetentionEffect) -> str:
    if not one.count and not one.held:
        return "Nothing is that old now."
    parts = [f"{one.count:,} would go now"] + [f"{one.held:,} kept by a legal hold"] * bool(one.held)
    if one.oldest:
        parts.append(f"the oldest of {one.oldest:%d %b %Y}")
    if one.examples:
        parts.append("for instance " + ", ".join(escape(short(name, 40)) for name in one.examples))
    return " · ".join(parts)


def _save(desk: Desk, state: PageState, rule: RetentionRule, *, enabled: bool) -> None:
    changed = RetentionRule(
        id=rule.id,
        kind=rule.kind,
        days=rule.days,
        collection_id=rule.collection_id,
        collection=rule.collection,
        enabled=enabled,
    )
    told = "The rule is on: what it names goes within an hour." if enabled else "The rule is off."
    state.attempt(lambda: desk.call(desk.workbench.save_retention_rule, changed), Notice(told))
    st.rerun()


def _form(desk: Desk, state: PageState) -> None:
    n = state.number
    kind = st.selectbox("What is removed", list(KINDS), format_func=KINDS.__getitem__, key=f"upkeep_kind_{n}")
    days = st.number_input("When it is older than, in days", 1, 36_500, 365, key=f"upkeep_days_{n}")
    where = ALL
    if kind in (RetentionKind.FILES, RetentionKind.VERSIONS):
        names = {one.id: one.name for one in desk.call(desk.workbench.collections)}
        where = st.selectbox(
            "Where", [ALL, *names], format_func=lambda key: names.get(key, "every collection"), key=f"upkeep_where_{n}"
        )
    st.caption(AFTER[kind] + " A new rule is off: look at what it would remove, then turn it on.")
    if st.button("Make the rule", key="upkeep_make", type="primary", icon=":material/add:"):
        rule = RetentionRule(id="", kind=kind, days=int(days), collection_id=where, enabled=False)
        if state.attempt(lambda: desk.call(desk.workbench.save_retention_rule, rule), Notice("The rule was made; it is off.")):
            state.number += 1
        st.rerun()
