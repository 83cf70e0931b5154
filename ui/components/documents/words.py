"""What the documents page says of documents, files and times: words, icons and colours."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from engine.errors import BrokenFile, EmptyDocument, PasswordNeeded, UnsupportedFile
from engine.ingestion_views import JobInfo, JobState
from engine.views import CollectionInfo, DocumentInfo
from ui.components.colors import Color
from ui.components.safe_text import counted
from ui.session import State

ENDED = ("live", "failed", "replaced", "deleted")
PASSAGES = (
    "Documents are cut into passages of a few sentences; a question finds passages, and an answer cites them. "
    "Pages without text, mostly scans, cannot be found or cited. Times are UTC."
)
# How far a version has come -> what is done with it now.
STEPS = {"stored": "waiting", "parsed": "cutting", "chunked": "embedding", "embedded": "indexing", "deleting": "being removed"}
STAGES = {
    "parse": ("Reading", "page"),
    "recognise": ("Recognising text", "page"),
    "chunk": ("Cutting", "passage"),
    "embed": ("Embedding", "passage"),
    "index": ("Indexing", "passage"),
}
READY, DISABLED, FAILED, STALLED, WAITING, CANCELLED = "ready", "disabled", "failed", "stalled", "waiting", "cancelled"
LOOKS: dict[str, tuple[str, Color]] = {
    READY: (":material/check_circle:", "green"),
    DISABLED: (":material/visibility_off:", "gray"),
    FAILED: (":material/error:", "red"),
    STALLED: (":material/hourglass_disabled:", "orange"),
    CANCELLED: (":material/cancel:", "gray"),
}
WORKING: tuple[str, Color] = (":material/hourglass_top:", "blue")
TYPES = {
    "pdf": "PDF",
    "wordprocessingml": "Word",
    "spreadsheetml": "Excel",
    "presentationml": "PowerPoint",
    "html": "Web page",
    "markdown": "Markdown",
    "csv": "CSV",
    "rfc822": "Mail",
    "epub": "EPUB",
    "rtf": "RTF",
    "opendocument.text": "OpenDocument",
    "json": "JSON",
    "image/": "Picture",
    "text/plain": "Text",
}


def status(one: DocumentInfo, job: JobInfo | None = None) -> str:
    """Return the state of a document in one or two words."""
    if job and job.state is not JobState.DONE:
        named = {
            JobState.STALLED: STALLED,
            JobState.FAILED: FAILED,
            JobState.CANCELLED: CANCELLED,
            JobState.QUEUED: WAITING,
            JobState.RESTING: "tries again soon",
        }
        return named.get(job.state) or STAGES.get(job.stage, (job.stage, ""))[0].lower()
    if one.state == "live":
        return DISABLED if one.disabled else READY
    return FAILED if one.state == "failed" else STEPS.get(one.state, one.state)


def progress(one: DocumentInfo, job: JobInfo | None = None) -> float | None:
    """Return how far a document in work has come, 0..1; None when it is not in work."""
    if job and job.state in (JobState.FAILED, JobState.CANCELLED, JobState.DONE):
        return None
    if not job and one.state in ENDED:
        return None
    return min(1.0, max(0.0, job.progress if job else one.progress))


def whole(share: float | None) -> float | None:
    """Return a share rounded down to a hundredth: a table shows all digits that it is given."""
    return None if share is None else int(share * 100) / 100


def status_badge(one: DocumentInfo, job: JobInfo | None = None) -> None:
    """Draw the state of a document as an icon, a word and a colour."""
    word, far = status(one, job), progress(one, job)
    icon, color = LOOKS.get(word, WORKING)
    st.badge(word + (f" {far:.0%}" if far else ""), icon=icon, color=color)


def quarantine_badges(one: DocumentInfo) -> None:
    """Draw how many passages are kept out of answers, and how many are marked in them; the quarantine shows them."""
    if one.held:
        st.badge(f"{one.held:,} held", icon=":material/block:", color="red", help="Passages in quarantine: in no answer.")
    if one.flagged:
        help_ = "Passages with text that gives commands."
        st.badge(f"{one.flagged:,} marked", icon=":material/gpp_maybe:", color="orange", help=help_)


def counters(documents: Sequence[DocumentInfo], jobs: Sequence[JobInfo] = ()) -> str:
    """Return the numbers of a collection in one line."""
    known = {one.document_id: one for one in jobs}
    words = [(status(one, known.get(one.id)), progress(one, known.get(one.id))) for one in documents]
    working = sum(far is not None and word != STALLED for word, far in words)
    passages = sum(one.chunks for one in documents if one.state == "live")
    parts = [counted(len(documents), "document"), counted(passages, "passage"), size(sum(one.size_bytes for one in documents))]
    numbers = {"in work": working, STALLED: 0, FAILED: 0}
    numbers |= {state: sum(word == state for word, _ in words) for state in (STALLED, FAILED)}
    return " · ".join(parts + [f"{number:,} {name}" for name, number in numbers.items() if number])


def facts(one: DocumentInfo) -> str:
    """Return pages, passages, text coverage, size, version and date in one line of Markdown."""
    parts = []
    if one.pages:
        parts = [
            counted(one.pages, "page"),
            counted(one.chunks, "passage"),
            f"{one.text_coverage:.0%} of pages have text",
        ]
    used = [f"last used {day(one.last_used_at)}"] if one.last_used_at else []
    return " · ".join([*parts, size(one.size_bytes), f"version {one.version}", f"{one.updated_at:%d %b %Y %H:%M}", *used])


def meanwhile(one: DocumentInfo) -> str:
    """Return which version answers while a newer one is on its way or failed, as Markdown; "" when the newest does."""
    if one.live_version in (0, one.version):
        return ""
    newer = (
        f"Version {one.version} was not taken in" if one.state == "failed" else f"A newer version ({one.version}) is on its way"
    )
    use = "is kept meanwhile" if one.disabled else "answers questions meanwhile"
    return f":orange[:material/history:] {newer}. **Version {one.live_version}** {use}; it is the one that opens."


def type_of(one: DocumentInfo) -> str:
    """Return the type of a document in a word: of its media type, else its file ending."""
    ending = one.name.rsplit(".", 1)[-1].upper() if "." in one.name else "File"
    return next((word for part, word in TYPES.items() if part in one.media_type), ending[:12])


def size(count: int) -> str:
    """Return a number of bytes for people."""
    if count < 1000:
        return f"{count} byte{'s' * (count != 1)}"
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{round(count / 1e3)} kB"


def duration(seconds: float) -> str:
    """Return a time for people: "under a second", "42 s", "3 min", "2 h 5 min", "3 days"."""
    if seconds < 1:
        return "under a second"
    if seconds < 90:
        return f"{round(seconds)} s"
    minutes = round(seconds / 60)
    if minutes < 90:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h" + f" {minutes % 60} min" * bool(minutes % 60)
    return f"{round(minutes / 1440)} days"


def day(at: datetime) -> str:
    """Return a date for people."""
    return f"{at:%d %b %Y}"


def wants_password(one: DocumentInfo) -> bool:
    """Tell whether a file failed for a password that can be given here; the engine reports it in words only."""
    return one.state == "failed" and one.hint == PasswordNeeded.default_hint


def is_hopeless(one: DocumentInfo) -> bool:
    """Tell whether reading the same file again fails again, so that only another file helps."""
    if one.error == EmptyDocument.__name__:  # recognition of text that was not there, or gave up, may be there now
        return not one.hint.startswith("Text recognition")
    return one.error in (UnsupportedFile.__name__, BrokenFile.__name__) or (
        one.error == PasswordNeeded.__name__ and not wants_password(one)
    )


def writable(collection: CollectionInfo) -> bool:
    """Tell whether documents of the collection may be changed."""
    return collection.right.value in ("write", "owner")


def open_document(state: State, document_id: str, page: int = 1, version: int = 0) -> None:
    """Open a page of a document. The address holds both, so that it can be kept and the browser's Back works."""
    state.chunk_id = ""
    address = {"document": document_id, "page": str(page)} | ({"version": str(version)} if version else {})
    st.query_params.from_dict(address)
