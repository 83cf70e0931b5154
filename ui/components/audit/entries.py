"""The entries: a table that can follow what happens now, the details of one, and all that a filter finds as a file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import streamlit as st

from engine.audit_views import AuditEntry, AuditQuery
from ui.components.audit.filters import filters, saved_views
from ui.components.audit.state import AuditState
from ui.components.colors import Color
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk

PAGE_SIZE = 100
FOLLOW_SECONDS = 2.0
OUTCOMES: dict[str, tuple[Color, str]] = {
    "success": ("green", ":material/check:"),
    "failure": ("red", ":material/error:"),
    "denied": ("orange", ":material/block:"),
}
SHOWN_CHARS = 2000
FORMATS: tuple[tuple[Literal["csv", "jsonl"], str], ...] = (("csv", "Prepare CSV"), ("jsonl", "Prepare JSON lines"))
HEIGHT, PICKED_HEIGHT = 430, 215  # pixels
COLUMNS = {"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss", width=150)}


def entries_section(desk: Desk, state: AuditState) -> None:
    """Draw filters, table and details."""
    query = filters(state, desk.call(desk.workbench.audit_facets))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        follow = st.toggle("Live", key="audit_live", help="Shows new entries as they are written.")
        saved_views(desk, state, query)
        _export(desk, state, query)
    if follow:
        state.before.clear()
    st.fragment(_table, run_every=FOLLOW_SECONDS if follow else None)(desk, state, query)


def _table(desk: Desk, state: AuditState, query: AuditQuery) -> None:
    with friendly_errors():
        before = state.before[-1] if state.before else None
        found = desk.call(desk.workbench.audit, query=query, limit=PAGE_SIZE + 1, before_seq=before)
        entries, more = found[:PAGE_SIZE], len(found) > PAGE_SIZE
        if not entries:
            st.info(
                "Nothing was recorded that fits this filter. Widen the period, or clear the filter." if query != AuditQuery()
                else "Nothing was recorded yet.",
                icon=":material/inbox:",
            )  # fmt: skip
            return
        key = f"audit_table_{state.number}_{before}"
        picked = st.session_state[key].selection.rows if key in st.session_state else []
        st.dataframe(
            rows(entries),
            hide_index=True,
            height=PICKED_HEIGHT if picked else HEIGHT,  # what is said about a row must be seen without scrolling
            column_config=COLUMNS,
            on_select="rerun",
            selection_mode="single-row",
            key=key,
            alt="Audited actions, newest first",
        )
        _pages(state, entries, more=more)
        if picked and picked[0] < len(entries):
            _details(entries[picked[0]])
        else:
            st.caption("Choose a row to see everything about it.")


def rows(entries: Sequence[AuditEntry]) -> list[dict[str, object]]:
    """Return the cells of the table. Cells of a data frame are plain text: nothing in them is interpreted."""
    return [
        {
            "No.": one.seq,
            "Time": one.at,
            "Who": one.actor or "the system",
            "Action": one.action,
            "On": " ".join(filter(None, (one.object_type, one.object))),
            "Outcome": one.outcome,
            "Address": one.ip,
            "Details": ", ".join(f"{name} = {short(str(value), 80)}" for name, value in one.details.items()),
        }
        for one in entries
    ]


def _pages(state: AuditState, entries: Sequence[AuditEntry], *, more: bool) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(f"Entries {entries[-1].seq:,} to {entries[0].seq:,}", width="content")
        if st.button("Newest", icon=":material/first_page:", key="audit_newest", type="tertiary", disabled=not state.before):
            state.before.clear()
            st.rerun()
        if st.button("Newer", icon=":material/chevron_left:", key="audit_newer", type="tertiary", disabled=not state.before):
            state.before.pop()
            st.rerun()
        if st.button("Older", icon=":material/chevron_right:", key="audit_older", type="tertiary", disabled=not more):
            state.before.append(entries[-1].seq)
            st.rerun()


def _details(one: AuditEntry) -> None:
    color, icon = OUTCOMES.get(one.outcome, ("gray", ":material/help:"))
    with st.container(border=True, key="audit_details", gap="small"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**Entry {one.seq:,} · {escape(one.action)}**", width="stretch")
            st.badge(escape(one.outcome), icon=icon, color=color)
        facts = {
            "Time": f"{one.at:%Y-%m-%d %H:%M:%S.%f} UTC",
            "Who": one.actor or "the system",
            "User id": one.actor_id,
            "On": " ".join(filter(None, (one.object_type, one.object))),
            "Reason": one.reason,
            "Address": one.ip,
            "Session": one.session_id,
            "Request": one.request_id,
        }
        st.markdown("  \n".join(f":gray[{name}] {escape(value)}" for name, value in facts.items() if value))
        before, after = one.details.get("before"), one.details.get("after")
        rest = {name: value for name, value in one.details.items() if name not in ("before", "after")}
        if before is not None or after is not None:
            st.dataframe(changes(before, after), hide_index=True, alt="What was changed: before and after")
        if rest:
            st.markdown(
                "  \n".join(f":gray[{escape(name)}] {escape(str(value)[:SHOWN_CHARS])}" for name, value in rest.items())
            )


def changes(before: object, after: object) -> list[dict[str, str]]:
    """Return what differs, a row a name: before and after. Values that are no mappings are one row."""
    old, new = _mapping(before), _mapping(after)
    return [
        {"What": name, "Before": _told(old, name), "After": _told(new, name)}
        for name in dict.fromkeys([*old, *new])
        if name not in old or name not in new or old[name] != new[name]
    ] or [{"What": "nothing", "Before": "", "After": ""}]


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {"value": value}


def _told(values: Mapping[str, Any], name: str) -> str:
    return str(values[name])[:SHOWN_CHARS] if name in values and values[name] is not None else ""


def _export(desk: Desk, state: AuditState, query: AuditQuery) -> None:
    with st.popover("Export", icon=":material/download:", key="audit_export"):
        st.caption("All entries that the filter finds. The export is recorded.")
        for kind, label in FORMATS:
            if st.button(label, key=f"audit_export_{kind}"):
                with st.spinner("Collecting"), friendly_errors():
                    state.export = (kind, desk.call(desk.workbench.audit_export, query=query, format=kind))
        if state.export:
            suffix, data = state.export
            st.download_button(
                f"Download audit.{suffix}", data, f"audit.{suffix}", "application/octet-stream", type="primary",
                key="audit_file", on_click="ignore",
            )  # fmt: skip
