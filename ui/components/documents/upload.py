"""Adding documents: each file is looked at before it is taken; what is simply new is taken at once, the rest is asked about."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from engine.errors import EngineError
from engine.ingestion_views import FileReceipt, OnDuplicate, UploadCheck, UploadForecast
from engine.registry import LOADERS
from engine.views import CollectionInfo, UploadVerdict
from ui import server
from ui.components.documents.doubts import doubts_box
from ui.components.documents.state import DocumentsState, Doubt
from ui.components.documents.verdicts import verdicts_box
from ui.components.safe_text import escape, short
from ui.failures import show_failure
from ui.session import Desk, Verdict

if TYPE_CHECKING:
    from streamlit.runtime.uploaded_file_manager import UploadedFile

FILES, FOLDER, ADDRESS = "Files", "A whole folder", "A web address"
ASK_ABOVE_USD = 0.5  # what a drop of new files may cost without being asked about
ASK_ABOVE_SECONDS = 3600.0


def upload_box(desk: Desk, state: DocumentsState, collection: CollectionInfo) -> None:
    """Draw the ways to add documents; what is simply new is handed over at once and the box is emptied."""
    with st.expander(
        "Add documents",
        icon=":material/upload_file:",
        expanded=desk.state.adding or not collection.documents,
        key=f"documents_add_{collection.id}_{desk.state.uploads}",
    ):
        how = st.segmented_control(
            "What to add",
            [FILES, FOLDER, ADDRESS],
            default=FILES,
            required=True,
            key="documents_how",
            label_visibility="collapsed",
        )
        taken = _address(desk, collection) if how == ADDRESS else _files(desk, state, collection, directory=how == FOLDER)
    if taken:
        desk.state.uploads, desk.state.adding = desk.state.uploads + 1, False
        state.section = "documents"  # where their progress is
        st.rerun()
    decided = doubts_box(state)
    if decided is not None:
        desk.state.verdicts = desk.state.verdicts + hand_over(desk, collection, decided)
        st.rerun()
    verdicts_box(desk)


def _files(desk: Desk, state: DocumentsState, collection: CollectionInfo, *, directory: bool) -> bool:
    """Draw the drop zone; tell whether something was dropped."""
    files = st.file_uploader(
        "PDF, Office, OpenDocument, e-mail, EPUB, web pages, tables, text, code, pictures and scans, or a ZIP archive of them",
        accept_multiple_files="directory" if directory else True,
        help=", ".join(spec.label for spec in LOADERS.values()),
        key=f"documents_upload_{FOLDER if directory else FILES}_{desk.state.uploads}",
    )
    if not files:
        return False
    try:
        certain, refused = look_at(desk, state, collection, files)
    except EngineError as error:
        show_failure(error)
        return False
    desk.state.verdicts = refused + hand_over(desk, collection, certain)
    return True


def look_at(
    desk: Desk, state: DocumentsState, collection: CollectionInfo, files: Sequence[UploadedFile]
) -> tuple[list[Doubt], list[Verdict]]:
    """Ask what an upload would find: return what is taken at once and what is refused; what is in doubt goes to `state`."""
    archives = [one for one in files if is_archive(desk, one)]
    single = [one for one in files if one not in archives]
    with st.spinner("Looking at the files"):
        checks = [
            UploadCheck(name=base_name(one), sha256=hashlib.sha256(one.getbuffer()).hexdigest(), size_bytes=one.size)
            for one in single
        ]
        forecasts = desk.call(desk.workbench.check_upload, collection.id, checks) if checks else []
    pairs = list(zip(single, forecasts, strict=True))
    refused = [Verdict(seen.name, None, seen.problem, seen.hint) for _, seen in pairs if seen.problem]
    found = [Doubt(file, seen, suggestion(seen)) for file, seen in pairs if not seen.problem]
    new = [one for one in found if not known(one.forecast)]
    ask = is_large([one.forecast for one in new])
    state.doubts = [one for one in found if ask or known(one.forecast)]
    whole = [Doubt(one, UploadForecast(name=base_name(one), size_bytes=one.size), OnDuplicate.ASK) for one in archives]
    return [*whole, *([] if ask else new)], refused


def suggestion(seen: UploadForecast) -> OnDuplicate:
    """Return the choice that loses nothing: the same bytes are skipped, a known name gets its next version."""
    if seen.same_as_id:
        return OnDuplicate.SKIP
    return OnDuplicate.VERSION if seen.same_name_id else OnDuplicate.ASK


def known(seen: UploadForecast) -> bool:
    """Tell whether a document with these bytes or this name is there."""
    return bool(seen.same_as_id or seen.same_name_id)


def is_large(forecasts: Sequence[UploadForecast]) -> bool:
    """Tell whether files cost so much money or time that they are asked about although they are new."""
    cost = sum(one.cost_usd or 0.0 for one in forecasts)
    return cost > ASK_ABOVE_USD or sum(one.seconds or 0.0 for one in forecasts) > ASK_ABOVE_SECONDS


def is_archive(desk: Desk, file: UploadedFile) -> bool:
    """Tell, by its content, whether the files in it become documents of their own."""
    return bytes(file.getbuffer()[:2]) == b"PK" and server.call(desk.workbench.is_archive, file.getvalue())


def base_name(file: UploadedFile) -> str:
    """Return the name of a file without its folder."""
    name: str = file.name
    return name.replace("\\", "/").rsplit("/", 1)[-1]


def _address(desk: Desk, collection: CollectionInfo) -> bool:
    """Draw the box for an address; tell whether a file was taken. After a refusal the address stays, to be corrected."""
    with st.form(f"documents_address_{desk.state.uploads}", border=False):
        url = st.text_input(
            "Address of the file", placeholder="https://example.com/report.pdf", key=f"documents_url_{desk.state.uploads}"
        )
        if not st.form_submit_button("Fetch and add", icon=":material/download:") or not url.strip():
            return False
    with st.spinner("Fetching the file"):
        desk.state.verdicts = [_fetched(desk, collection, url)]
    return desk.state.verdicts[0].outcome is not None


def _fetched(desk: Desk, collection: CollectionInfo, url: str) -> Verdict:
    try:
        info, outcome = desk.call(desk.workbench.upload_url, collection.id, url)
    except EngineError as error:
        return Verdict(short(url), None, str(error), error.hint)
    return Verdict(info.name, outcome)


def hand_over(desk: Desk, collection: CollectionInfo, files: Sequence[Doubt]) -> list[Verdict]:
    """Give each file to the engine; one that is refused never stops the rest."""
    if not files:
        return []
    bar = st.progress(0.0)
    verdicts: list[Verdict] = []
    for position, one in enumerate(files):
        bar.progress(position / len(files), f"{position + 1} of {len(files)}: {escape(short(one.forecast.name))}")
        verdicts += _one(desk, collection, one)
    bar.empty()
    return verdicts


def _one(desk: Desk, collection: CollectionInfo, one: Doubt) -> list[Verdict]:
    name, data = one.forecast.name, one.file.getvalue()
    try:
        if is_archive(desk, one.file):
            return [_received(each) for each in desk.call(desk.workbench.upload_archive, collection.id, name, data)]
        info, outcome = desk.call(desk.workbench.upload, collection.id, name, data, on_duplicate=one.choice)
    except EngineError as error:
        return [Verdict(name, None, str(error), error.hint)]
    seen = one.forecast
    other = info.name if outcome is UploadVerdict.DUPLICATE and info.name != name else ""
    return [Verdict(name, outcome, known_as=other, chunks=seen.chunks, seconds=seen.seconds, cost_usd=seen.cost_usd)]


def _received(one: FileReceipt) -> Verdict:
    if one.verdict is None and not one.problem:
        return Verdict(one.name, UploadVerdict.DUPLICATE)
    return Verdict(one.name, one.verdict, one.problem, one.hint)
