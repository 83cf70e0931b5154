"""Whether the audit is whole: the button, and what the last look at every entry found."""

from __future__ import annotations

import streamlit as st

from engine.audit_views import Verification
from ui.components.audit.state import AuditState
from ui.components.safe_text import counted, escape
from ui.failures import friendly_errors
from ui.session import Desk


def verification(desk: Desk, state: AuditState) -> None:
    """Draw the title with the button beside it, and the result below."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.title("Audit", anchor=False, width="stretch")
        pressed = st.button("Verify the chain", icon=":material/verified_user:", key="audit_verify")
    st.caption(
        "Who did what, when, from where, and with which outcome. No entry can be changed or removed unseen. Times are UTC."
    )
    if pressed:
        with st.spinner("Checking every entry"), friendly_errors():
            state.checked = desk.call(desk.workbench.audit_verify)
    if state.checked:
        _result(state.checked)


def _result(found: Verification) -> None:
    if found.ok:
        agree = f"; {counted(found.checkpoints, 'checkpoint')} outside the database agree" if found.checkpoints else ""
        st.success(
            f"The chain is whole: {found.rows:,} entries checked{agree}.",
            icon=":material/verified_user:",
        )
        return
    where = f" First at entry {found.first_bad:,}." if found.first_bad is not None else ""
    st.error(
        f"**The audit is not as it was written.**{where} {escape(found.problem)}  \n"
        "Keep a copy of the database and of the checkpoint file as they are, and find out who could write to them.",
        icon=":material/gpp_bad:",
    )
