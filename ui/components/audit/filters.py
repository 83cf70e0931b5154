"""Which entries are shown: period, who, what, outcome, words; kept under a name when wanted again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import streamlit as st

from engine.audit_views import AuditFacets, AuditQuery, SavedView
from ui.components.audit.state import AuditState
from ui.components.safe_text import escape, short
from ui.failures import friendly_errors
from ui.session import Desk

PERIODS = {
    "Last hour": timedelta(hours=1),
    "24 hours": timedelta(days=1),
    "7 days": timedelta(days=7),
    "30 days": timedelta(days=30),
    "Everything": None,
    "From … to": None,
}
EVERYTHING, CHOSEN = "Everything", "From … to"


def filters(state: AuditState, facets: AuditFacets) -> AuditQuery:
    """Draw the filters and return what they ask for."""
    start, n = state.start, state.number
    dated = start.since is not None or start.until is not None
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        period = st.selectbox(
            "Period",
            list(PERIODS),
            index=list(PERIODS).index(CHOSEN if dated else EVERYTHING),
            key=f"audit_period_{n}",
            width=150,
        )
        actor = _choice("Who", facets.actors, start.actor, key=f"audit_actor_{n}")
        action = _choice("Action", actions(facets.actions), start.action, key=f"audit_action_{n}")
        outcome = _choice("Outcome", facets.outcomes, start.outcome, key=f"audit_outcome_{n}")
        words = st.text_input(
            "Find", start.text, type="search", placeholder="id, address, word", key=f"audit_text_{n}", width=220, max_chars=200
        )
    since, until = _between(state) if period == CHOSEN else _last(period)
    return AuditQuery(
        since=since, until=until, actor=actor, action=action, outcome=outcome, text=(words or "").strip(), object=start.object
    )


def actions(seen: Sequence[str]) -> list[str]:
    """Return the actions in order, each domain before its own ("auth." stands for all of its actions)."""
    domains = {f"{one.split('.')[0]}." for one in seen}
    return sorted({*seen, *domains})


def _choice(label: str, options: Sequence[str], chosen: str, *, key: str) -> str:
    offered = ["", *(one for one in dict.fromkeys([*options, chosen]) if one)]
    return st.selectbox(label, offered, index=offered.index(chosen), format_func=_named, key=key, width=170)


def _named(option: str) -> str:
    return f"{option}* (all)" if option.endswith(".") else option or "all"


def _last(period: str) -> tuple[datetime | None, datetime | None]:
    # To the minute, so that a page drawn twice asks the same.
    length = PERIODS[period]
    return (datetime.now(UTC).replace(second=0, microsecond=0) - length if length else None), None


def _between(state: AuditState) -> tuple[datetime | None, datetime | None]:
    start, n = state.start, state.number
    today = datetime.now(UTC).date()
    with st.container(horizontal=True, vertical_alignment="bottom"):
        first = st.date_input("From", start.since.date() if start.since else today, key=f"audit_since_{n}", width=170)
        last = st.date_input(
            "To, included", start.until.date() - timedelta(days=1) if start.until else today, key=f"audit_until_{n}", width=170
        )
    midnight = datetime.min.time()
    return (
        datetime.combine(first, midnight, UTC) if first else None,
        datetime.combine(last + timedelta(days=1), midnight, UTC) if last else None,
    )


def saved_views(desk: Desk, state: AuditState, query: AuditQuery) -> None:
    """Draw the kept filters, and the way to keep the present one."""
    views: list[SavedView] = []
    with friendly_errors():
        views = desk.call(desk.workbench.audit_views)
    with st.popover("Views", icon=":material/bookmark:", key="audit_views"):
        for position, one in enumerate(views):
            with st.container(horizontal=True, vertical_alignment="center"):
                if st.button(escape(short(one.name, 40)), key=f"audit_view_{position}", type="tertiary", width="stretch"):
                    state.begin(one.query)
                    st.rerun()
                if st.button("", icon=":material/delete:", key=f"audit_view_off_{position}", help="Forget it", type="tertiary"):
                    with friendly_errors():
                        desk.call(desk.workbench.delete_audit_view, one.name)
                        st.rerun()
        if not views:
            st.caption("No filter is kept yet. Keep the present one under a name, to come back to it with one click.")
        name = st.text_input(
            "Name", key=f"audit_view_name_{len(views)}", max_chars=60, placeholder="for example: failed sign-ins"
        )
        if st.button("Keep this filter", key="audit_view_save", disabled=not (name or "").strip()):
            with friendly_errors():
                desk.call(desk.workbench.save_audit_view, (name or "").strip(), _lasting(query))
                st.rerun()
    if query != AuditQuery() and st.button("Clear", key="audit_clear", type="tertiary", icon=":material/filter_alt_off:"):
        state.begin(AuditQuery())
        st.rerun()


def _lasting(query: AuditQuery) -> AuditQuery:
    # A period that ends "now" would be a fixed past tomorrow: only one with both ends is kept.
    return query if query.until else replace(query, since=None)
