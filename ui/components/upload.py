"""Handing files over to the engine: each one as soon as it is read, and a verdict for each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from engine.errors import EngineError
from engine.registry import LOADERS
from engine.views import CollectionInfo, UploadVerdict
from ui.components.safe_text import escape, short
from ui.failures import failure_text
from ui.session import Desk, Verdict

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

FILES, FOLDER, ADDRESS = "Files", "A whole folder", "A web address"
ICONS = {
    UploadVerdict.DUPLICATE: ":material/content_copy:",
    UploadVerdict.NEW_VERSION: ":material/difference:",
    UploadVerdict.SKIPPED: ":material/skip_next:",
    UploadVerdict.AGAIN: ":material/replay:",
}
WORDS = {
    UploadVerdict.DUPLICATE: "is there already, with the same content. Nothing was added.",
    UploadVerdict.NEW_VERSION: "is processed as a new version; the present one serves until it is ready.",
    UploadVerdict.SKIPPED: "was left out: there is a document of this name already.",
    UploadVerdict.AGAIN: "failed before; it is processed again.",
}


def upload_box(desk: Desk, collection: CollectionInfo) -> None:
    """Draw the ways to add documents; what is given is handed over at once and the box is emptied."""
    with st.expander(
        "Add documents",
        icon=":material/upload_file:",
        expanded=not collection.documents,
        key=f"documents_add_{desk.state.uploads}",
    ):
        how = st.segmented_control(
            "What to add",
            [FILES, FOLDER, ADDRESS],
            default=FILES,
            required=True,
            key="documents_how",
            label_visibility="collapsed",
        )
        taken = _address(desk, collection) if how == ADDRESS else _files(desk, collection, directory=how == FOLDER)
    if taken:
        desk.state.uploads += 1
        st.rerun()
    _verdicts(desk)


def _files(desk: Desk, collection: CollectionInfo, *, directory: bool) -> bool:
    """Draw the drop zone; tell whether something was dropped."""
    files = st.file_uploader(
        f"Up to {st.get_option('server.maxUploadSize')} MB a file: {', '.join(spec.label for spec in LOADERS.values())}",
        accept_multiple_files="directory" if directory else True,
        key=f"documents_upload_{FOLDER if directory else FILES}_{desk.state.uploads}",
    )
    if files:
        desk.state.verdicts = hand_over(desk, collection, files)
    return bool(files)


def _address(desk: Desk, collection: CollectionInfo) -> bool:
    """Draw the box for an address; tell whether a file was taken. After a refusal the address stays, to be corrected."""
    with st.form(f"documents_address_{desk.state.uploads}", border=False):
        url = st.text_input(
            "Address of the file", placeholder="https://example.com/report.pdf", key=f"documents_url_{desk.state.uploads}"
        )
        if not st.form_submit_button("Fetch and add", icon=":material/download:") or not url.strip():
            return False
    with st.spinner("Fetching the file"):
        desk.state.verdicts = [fetched(desk, collection, url)]
    return desk.state.verdicts[0].outcome is not None


def fetched(desk: Desk, collection: CollectionInfo, url: str) -> Verdict:
    """Have the engine fetch a file, and return what became of it."""
    try:
        info, outcome = desk.call(desk.workbench.upload_url, collection.id, url)
    except EngineError as error:
        return Verdict(short(url), None, str(error), error.hint)
    return Verdict(info.name, outcome)


def hand_over(desk: Desk, collection: CollectionInfo, files: Sequence[UploadedFile]) -> list[Verdict]:
    """Give each file to the engine; one that is refused never stops the rest."""
    bar = st.progress(0.0)
    verdicts: list[Verdict] = []
    for position, file in enumerate(files):
        bar.progress(position / len(files), f"{position + 1} of {len(files)}: {escape(short(file.name))}")
        verdicts.append(_one(desk, collection, file))
    bar.empty()
    return verdicts


def _one(desk: Desk, collection: CollectionInfo, file: UploadedFile) -> Verdict:
    name = file.name.replace("\\", "/").rsplit("/", 1)[-1]
    try:
        _, outcome = desk.call(desk.workbench.upload, collection.id, name, file.getvalue())
    except EngineError as error:
        return Verdict(name, None, str(error), error.hint)
    return Verdict(name, outcome)


def _verdicts(desk: Desk) -> None:
    verdicts = desk.state.verdicts
    if not verdicts:
        return
    with st.container(border=True, key="documents_verdicts", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(summary(verdicts), width="stretch")
            st.button("Hide", key="documents_hide_verdicts", type="tertiary", on_click=verdicts.clear)
        for one in verdicts:
            if one.outcome is None:
                st.markdown(f":red[:material/block:] **{escape(one.name)}** {failure_text(one.reason, one.hint)}")
            elif one.outcome is not UploadVerdict.ACCEPTED:
                st.markdown(f"{ICONS[one.outcome]} **{escape(one.name)}** {WORDS[one.outcome]}")


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many files were taken, known, new versions and refused."""
    counts = Counter(one.outcome for one in verdicts)
    named = [
        (UploadVerdict.ACCEPTED, "accepted, progress below"),
        (UploadVerdict.NEW_VERSION, "new version of a known document"),
        (UploadVerdict.DUPLICATE, "already there"),
        (UploadVerdict.SKIPPED, "left out"),
        (UploadVerdict.AGAIN, "tried again"),
        (None, "refused"),
    ]
    return " · ".join(f"**{counts[outcome]} {word}**" for outcome, word in named if counts[outcome])
