"""The generations of a collection's index: the one that is built, those that wait for a decision, and all."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import streamlit as st

from engine.keeping_views import GenerationInfo, GenerationState
from ui.components.documents.words import day, duration
from ui.components.safe_text import counted, escape, plain
from ui.failures import failure_text, friendly_errors
from ui.session import Desk

ENOUGH = 0.9  # of the sampled questions' best hits; below it people should look before they switch
WORDS = {
    GenerationState.BUILDING: "being built",
    GenerationState.READY: "ready, not in use",
    GenerationState.LIVE: "answers questions",
    GenerationState.FORMER: "former",
    GenerationState.FAILED: "failed",
    GenerationState.CANCELLED: "cancelled",
}


def settings(one: GenerationInfo) -> str:
    """Return what a generation is made with, in one line of Markdown."""
    model = f"{one.embedder} · {one.embedding_model}" if one.embedding_model else one.embedder
    cut = f"{one.chunker}, {one.chunk_tokens} tokens a passage, {one.overlap_tokens} of them shared"
    return escape(f"{model}; {cut}; {one.store}")


def recall_words(one: GenerationInfo) -> str:
    """Return what the check of a generation found, in plain words; "" while there was none."""
    if one.recall is None or not one.questions:
        return ""
    verdict = (
        "It finds what the former one found"
        if one.recall >= ENOUGH
        else "It misses much of what the former one found; look at it before you keep it"
    )
    return f"{verdict}: {one.recall:.0%} of the best passages of {counted(one.questions, 'sampled question')}."


def building_box(desk: Desk, one: GenerationInfo) -> None:
    """Draw the generation that is being built, and the way to stop it."""
    with st.container(border=True, key="documents_building"):
        st.markdown(f"### :material/construction: Generation {one.number} is being built", anchors=False)
        st.markdown(settings(one))
        share = one.documents_done / one.documents_total if one.documents_total else 0.0
        left = f" · {duration(one.eta_seconds)} left" if one.eta_seconds is not None else ""
        st.progress(
            min(1.0, share), f"{one.documents_done:,} of {counted(one.documents_total, 'document')} · {share:.0%}{left}"
        )
        st.caption("Questions are answered from the present index meanwhile. You can leave this page: it goes on.")
        if st.button("Cancel", key="documents_generation_cancel", icon=":material/cancel:"):
            desk.call(desk.workbench.cancel_generation, one.id)
            st.rerun()


def settled_box(desk: Desk, found: Sequence[GenerationInfo], *, now: datetime) -> None:
    """Draw what waits for a decision: a complete generation to switch to, one to go back to, one that failed last."""
    ready = next((one for one in found if one.state is GenerationState.READY), None)
    live = next((one for one in found if one.state is GenerationState.LIVE), None)
    former = next((one for one in found if one.revertible_until and one.revertible_until > now), None)
    newest = max(found, key=lambda one: one.number, default=None)
    if newest and newest.state is GenerationState.FAILED:
        what = f"generation {newest.number} could not be built: {newest.reason or 'no reason was recorded'}"
        st.error(f"{failure_text(what, newest.hint)} The present index was not touched.", icon=":material/error:")
    if ready:
        with st.container(border=True, key="documents_ready"):
            st.markdown(f"### :green[:material/check_circle:] Generation {ready.number} is complete", anchors=False)
            st.markdown(f"{settings(ready)}  \n{recall_words(ready)}")
            if st.button("Switch to it", key="documents_generation_switch", type="primary", icon=":material/swap_horiz:"):
                with friendly_errors():
                    desk.call(desk.workbench.switch_generation, ready.id)
                    st.rerun()
    if live and live.switched_at and former and former.revertible_until:
        with st.container(border=True, key="documents_done"):
            st.markdown(f"### :green[:material/check_circle:] Generation {live.number} answers questions", anchors=False)
            when = f"Since {live.switched_at:%d %b %Y %H:%M}. {recall_words(live)}"
            st.markdown(f"{when}  \nYou can go back to generation {former.number} until **{day(former.revertible_until)}**.")
            # Their keys name what they do: a popover that stayed open would undo it at the next press of the same button.
            key = f"documents_generation_back_{former.number}_{live.switched_at:%H%M%S%f}"
            with st.popover(f"Go back to generation {former.number}", icon=":material/undo:", key=key):
                st.markdown(f"Questions are answered from {settings(former)} again, from the next one on.")
                if st.button("Yes, go back", key=f"documents_generation_revert_{former.number}", type="primary"):
                    with friendly_errors():
                        desk.call(desk.workbench.revert_generation, live.collection_id)
                        st.rerun()


def history(found: Sequence[GenerationInfo]) -> None:
    """Draw all generations, newest first."""
    if not found:
        return
    with st.expander(f"All generations ({len(found)})", icon=":material/history:"):
        rows = [
            {
                "Number": one.number,
                "State": WORDS[one.state],
                "Embedding": plain(" · ".join(filter(None, [one.embedder, one.embedding_model]))),
                "Passages": f"{one.chunker} {one.chunk_tokens}/{one.overlap_tokens}",
                "Store": plain(one.store),
                "Count": one.chunks,
                "Recall": one.recall,
                "Started": one.started_at,
                "By": plain(one.started_by),
                "Reason": plain(one.reason),
            }
            for one in sorted(found, key=lambda one: one.number, reverse=True)
        ]
        column = st.column_config
        columns = {
            "Recall": column.NumberColumn(format="percent"),
            "Started": column.DatetimeColumn(format="D MMM YYYY, HH:mm", timezone="UTC"),
        }
        st.dataframe(rows, hide_index=True, column_config=columns, placeholder="", alt="All generations of the collection")
