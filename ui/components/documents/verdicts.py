"""What became of the files that were added: a summary, and a line for each that was not simply taken."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

import streamlit as st

from engine.views import UploadVerdict
from ui.components.documents.words import duration
from ui.components.safe_text import counted, escape
from ui.components.serving import money
from ui.failures import failure_text
from ui.session import Desk, Verdict

SHOWN = 50
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


class Estimated(Protocol):
    """Anything that says what it will take; None where that is not known."""

    @property
    def chunks(self) -> int | None:
        """How many passages."""

    @property
    def seconds(self) -> float | None:
        """How long."""

    @property
    def cost_usd(self) -> float | None:
        """How much."""


def estimate(files: Sequence[Estimated]) -> str:
    """Return what files will take together, as Markdown; what is known of none is left out."""
    chunks = [one.chunks for one in files if one.chunks is not None]
    seconds = [one.seconds for one in files if one.seconds is not None]
    costs = [one.cost_usd for one in files if one.cost_usd is not None]
    parts = [f"about {counted(sum(chunks), 'passage')}"] * bool(sum(chunks))
    parts += [duration(sum(seconds))] * bool(sum(seconds))
    parts += [escape(money(sum(costs)))] * bool(sum(costs))
    return " · ".join(parts)


def verdicts_box(desk: Desk) -> None:
    """Draw what became of the last upload."""
    verdicts = desk.state.verdicts
    if not verdicts:
        return
    with st.container(border=True, key="documents_verdicts", gap="xsmall"):
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(summary(verdicts), width="stretch")
            st.button("Hide", key="documents_hide_verdicts", type="tertiary", on_click=verdicts.clear)
        worth_a_line = [one for one in verdicts if one.outcome is not UploadVerdict.ACCEPTED]
        for one in sorted(worth_a_line, key=lambda one: one.outcome is not None)[:SHOWN]:
            if one.outcome is None:
                named = "" if one.reason.startswith(one.name) else f"**{escape(one.name)}** "
                st.markdown(f":red[:material/block:] {named}{failure_text(one.reason, one.hint)}")
            else:
                as_what = f" It is called **{escape(one.known_as)}** there." if one.known_as else ""
                st.markdown(f"{ICONS[one.outcome]} **{escape(one.name)}** {WORDS[one.outcome]}{as_what}")
        if len(worth_a_line) > SHOWN:
            st.caption(f"and {len(worth_a_line) - SHOWN:,} more")


def summary(verdicts: Sequence[Verdict]) -> str:
    """Return how many files were taken, known, new versions and refused, and what those in work will take."""
    counts = Counter(one.outcome for one in verdicts)
    named = [
        (UploadVerdict.ACCEPTED, "accepted, progress below"),
        (UploadVerdict.NEW_VERSION, "new version of a known document"),
        (UploadVerdict.DUPLICATE, "already there"),
        (UploadVerdict.SKIPPED, "left out"),
        (UploadVerdict.AGAIN, "tried again"),
        (None, "refused"),
    ]
    parts = [f"**{counts[outcome]} {word}**" for outcome, word in named if counts[outcome]]
    idle = (UploadVerdict.DUPLICATE, UploadVerdict.SKIPPED, None)
    taken = [one for one in verdicts if one.outcome not in idle]
    return " · ".join(filter(None, [*parts, estimate(taken)]))
