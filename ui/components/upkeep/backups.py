"""Backups: the list, making one now, and trying whether one can be restored."""

from __future__ import annotations

import streamlit as st

from engine.keeping_views import BackupInfo
from engine.types import Role
from ui.components.documents.words import size
from ui.components.people.state import Notice, PageState
from ui.components.safe_text import counted, escape, short
from ui.session import Desk

EVERY_SECONDS = 2.0
WHAT = (
    "A backup holds the database, the original files and the keys that open them, as they were at one moment; people go on"
    " working while it is made. To restore one, run `python -m engine restore FILE` on an empty machine;"
    " the files lie in `backups.folder`, which is the folder `backups` of the data unless it was set."
)
NONE = (
    "There is no backup yet. {first} the server make them: set `backups.every_hours`, and `backups.folder` to another volume."
)
FIRST = {True: "Make one now, or let", False: "Ask an admin to make one, or let"}


def backups_section(desk: Desk, state: PageState) -> None:
    """Draw the button and the list; while one is being made, the list draws itself again."""
    st.caption(WHAT)
    found = desk.call(desk.workbench.backups)
    running = any(one.state == "running" for one in found)
    if desk.principal.role is Role.ADMIN and st.button(
        "Back up now", key="upkeep_backup", type="primary", icon=":material/backup:", disabled=running
    ):
        state.attempt(lambda: desk.call(desk.workbench.start_backup), Notice("The backup has begun; you can leave this page."))
        st.rerun()
    if not found:
        st.info(NONE.format(first=FIRST[desk.principal.role is Role.ADMIN]), icon=":material/inbox:")
        return
    st.fragment(_list, run_every=EVERY_SECONDS if running else None)(desk, state, running=running)


def _list(desk: Desk, state: PageState, *, running: bool) -> None:
    found = desk.call(desk.workbench.backups)
    if running and not any(one.state == "running" for one in found):
        st.rerun()
    for one in found:
        _row(desk, state, one)


def _row(desk: Desk, state: PageState, one: BackupInfo) -> None:
    with st.container(border=True, key=f"upkeep_backup_{one.id}", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f":material/inventory_2: **{escape(short(one.name, 80))}**", width="stretch")
            _badges(one)
            if (
                one.state == "done"
                and desk.principal.role is Role.ADMIN
                and st.button("Try a restore", key=f"upkeep_test_{one.id}", icon=":material/restore_page:", type="tertiary")
            ):
                with st.spinner("Restoring to an empty place and comparing"):
                    state.attempt(lambda: desk.call(desk.workbench.test_backup, one.id), Notice("The restore was tried."))
                st.rerun()
        st.caption(_facts(one))
        if one.detail:
            st.markdown(
                (":red[:material/error:] " if one.state == "failed" or one.test_ok is False else "") + escape(one.detail)
            )


def _badges(one: BackupInfo) -> None:
    if one.state == "running":
        st.badge("being made", icon=":material/hourglass_top:", color="blue")
    elif one.state == "failed":
        st.badge("failed", icon=":material/error:", color="red")
    if one.test_ok is True:
        st.badge("restores", icon=":material/verified:", color="green")
    elif one.test_ok is False:
        st.badge("does not restore", icon=":material/gpp_bad:", color="red")
    if one.state == "done" and not one.encrypted:
        st.badge("not encrypted", icon=":material/lock_open:", color="orange", help="Whoever reads the file reads everything.")


def _facts(one: BackupInfo) -> str:
    parts = [f"{one.started_at:%d %b %Y %H:%M}", "by the clock" if one.scheduled else "by hand"]
    if one.state == "done":
        parts += [size(one.size_bytes), counted(one.documents, "document"), counted(one.files, "original")]
    if one.tested_at:
        parts.append(f"restore tried {one.tested_at:%d %b %Y %H:%M}")
    return " · ".join(parts)
