"""Which documents fed which answers, and to whom: by document, by user, by time."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import streamlit as st

from engine.audit_views import SourceUse
from ui.components.safe_text import counted
from ui.session import Desk

DAYS = {"24 hours": 1, "7 days": 7, "30 days": 30, "Everything": 0}


def sources_section(desk: Desk) -> None:
    """Draw the question and its rows."""
    documents = {one.id: one for one in desk.call(desk.workbench.documents)}
    people = [one.name for one in desk.call(desk.workbench.users)]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        period = st.selectbox("Period", list(DAYS), index=2, key="audit_sources_period", width=150)
        document = st.selectbox(
            "Document",
            ["", *documents],
            format_func=lambda key: f"{documents[key].name} ({documents[key].collection})" if key else "all",
            key="audit_sources_document",
        )
        user = st.selectbox("User", ["", *people], format_func=lambda name: name or "all", key="audit_sources_user", width=200)
    since = datetime.now(UTC) - timedelta(days=DAYS[period]) if DAYS[period] else None
    found = desk.call(desk.workbench.audit_sources, document_id=document, user=user, since=since)
    if not found:
        st.info("No answer in this period cites what you chose.", icon=":material/inbox:")
        return
    answers = len({one.message_id or one.question_id for one in found})
    st.caption(
        f"{counted(answers, 'answer')} to {counted(len({one.user for one in found}), 'user')}, "
        f"from {counted(len({one.document_id for one in found}), 'document')}."
    )
    times = {"Time": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss")}
    st.dataframe(rows(found), hide_index=True, column_config=times, height=430, alt="Documents that fed answers")


def rows(found: Sequence[SourceUse]) -> list[dict[str, object]]:
    """Return the cells of the table, in the order given."""
    return [
        {
            "Time": one.at,
            "To whom": one.user,
            "Document": one.document,
            "Version": one.version,
            "Page": one.page,
            "Answer": one.message_id or one.question_id,
        }
        for one in found
    ]
