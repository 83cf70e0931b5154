"""Many users at once: a list is looked at first, then applied; the links of the invited are shown once."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from engine.access_views import ImportedUser
from engine.cells import neutral_cell
from engine.errors import EngineError, InputError
from ui.components.people.links import absolute
from ui.components.people.state import Checked, PageState, failure_box
from ui.components.safe_text import counted
from ui.failures import failure_text
from ui.session import Desk

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

EXAMPLE = "name,role,groups\nanna.berg,analyst,Research;Legal\nben.ode,operator,"
HOW = (
    "One user a line: name, role (analyst, operator or admin) and groups, several with a semicolon between. Groups must exist."
)
WORDS = {"new": "new", "exists": "already there", "refused": "refused"}


def import_section(desk: Desk, state: PageState) -> None:
    """Draw the list to be imported, what would become of it, and what became of it."""
    if state.checked and state.checked.applied:
        _links(state, state.checked.rows)
        return
    st.caption(HOW)
    pasted = st.text_area("List", key=f"users_list_{state.number}", placeholder=EXAMPLE, height=160)
    file = st.file_uploader("Or a CSV file", type="csv", key=f"users_list_file_{state.number}", max_upload_size=2)
    given = bool(file or (pasted or "").strip())
    if st.button("Check the list", key="users_check", type="primary", disabled=not given):
        _check(desk, state, pasted or "", file)
    failure_box(state)
    if state.checked:
        _preview(desk, state, state.checked)


def _check(desk: Desk, state: PageState, pasted: str, file: UploadedFile | None) -> None:
    state.checked, state.failure = None, ""
    try:
        text = _decoded(file.getvalue()) if file else pasted.strip()
        state.checked = Checked(text, desk.call(desk.workbench.import_users, text, apply=False))
    except EngineError as error:
        state.failure = failure_text(str(error), error.hint)


def _decoded(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("the file is not UTF-8 text", hint="save it as “CSV UTF-8” and give it again") from error


def _preview(desk: Desk, state: PageState, checked: Checked) -> None:
    new = sum(one.outcome == "new" for one in checked.rows)
    st.markdown(f"**Nothing is changed yet.** {summary(checked.rows)}")
    _table(checked.rows)
    label = f"Import {counted(new, 'user')}" if new else "Nothing to import"
    if st.button(label, key="users_import", type="primary", icon=":material/group_add:", disabled=not new):
        state.failure = ""
        try:
            rows = desk.call(desk.workbench.import_users, checked.text, apply=True)
        except EngineError as error:
            state.failure = failure_text(str(error), error.hint)
        else:
            state.close()
            state.checked = Checked("", rows, applied=True)
        st.rerun()


def summary(rows: Sequence[ImportedUser]) -> str:
    """Return how many lines are new, known and refused."""
    counts = Counter(one.outcome for one in rows)
    return (
        " · ".join(f"{counts[outcome]:,} {word}" for outcome, word in WORDS.items() if counts[outcome]) or "The list is empty."
    )


def _table(rows: Sequence[ImportedUser]) -> None:
    cells = [
        {
            "Line": one.line,
            "Name": one.name,
            "Role": one.role,
            "Outcome": WORDS.get(one.outcome, one.outcome),
            "Reason": one.reason,
        }
        for one in rows
    ]
    st.dataframe(cells, hide_index=True, alt="What would become of each line")


def _links(state: PageState, rows: Sequence[ImportedUser]) -> None:
    st.success(f"Imported: {summary(rows)}.", icon=":material/check_circle:")
    invited = [one for one in rows if one.path]
    if invited:
        st.caption("Each link works once and is not shown again: download them before you leave this page.")
        st.dataframe(
            [{"Name": one.name, "Link": absolute(one.path)} for one in invited], hide_index=True, alt="Links of the invited"
        )
    if refused := [one for one in rows if one.outcome != "new"]:
        _table(refused)
    with st.container(horizontal=True):
        if invited:
            st.download_button("Download the links", as_csv(invited), "invitations.csv", "text/csv", key="users_links_csv",
                               type="primary", icon=":material/download:", on_click="ignore")  # fmt: skip
        if st.button("Done", key="users_import_done"):
            state.leave()
            st.rerun()


def as_csv(rows: Sequence[ImportedUser]) -> bytes:
    """Return names, roles and links as CSV in which no cell can become a formula."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["name", "role", "link"])
    for one in rows:
        writer.writerow([neutral_cell(cell) for cell in (one.name, one.role, absolute(one.path))])
    return file.getvalue().encode("utf-8-sig")
