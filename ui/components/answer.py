"""A finished answer: its sentences with citations and support marks, its sources, or an honest refusal."""

from __future__ import annotations

import streamlit as st

from engine.types import Answer, Sentence, Support
from engine.views import MessageInfo
from ui.components.passages import Passage, passages
from ui.components.safe_text import escape, escape_lines, short
from ui.components.serving import kept_badge, outage_line, serving_label
from ui.components.trace import trace_view
from ui.session import Opened, State

MARKS = {
    Support.SUPPORTED: "",
    Support.PARTLY: " :orange-badge[:material/contrast: partly supported]",
    Support.UNSUPPORTED: " :red-badge[:material/warning: not in the documents]",
}
WHY_KEPT = (
    "This answer was written earlier, to the same question. Nothing it rests on had changed since when you asked: not the "
    "documents, not what you may read, not the models. Press to have it written anew all the same."
)
ICONS = {
    Support.SUPPORTED: ":material/check:",
    Support.PARTLY: ":material/contrast:",
    Support.UNSUPPORTED: ":material/warning:",
}


def answer_view(state: State, message: MessageInfo, question: str) -> None:
    """Draw a message whose answer is complete, or was stopped."""
    answer = message.answer
    if message.state == "stopped" and not (answer.text if answer else message.text).strip():
        st.caption(":material/stop_circle: Stopped. Nothing had been written yet.")
        return
    if answer:
        _told(answer)
    if answer is None:
        st.markdown(escape_lines(message.text))
    elif answer.refused:
        st.warning(f"**{escape(answer.text or 'The documents do not answer this question.')}**", icon=":material/search_off:")
        if answer.nearest:
            st.markdown("The nearest passages. They were not enough for an answer; you may judge better:")
    else:
        st.markdown(sentences_markdown(answer))
    if message.state == "stopped":
        st.caption(":material/stop_circle: Stopped. What was written until then is kept.")
    if answer:
        _served(state, message, answer, question)
        _sources(state, message.id, passages(answer))
        if answer.query and answer.query.strip() != question.strip():
            st.caption(f":material/manage_search: Searched for: {escape(answer.query)}")
        trace_view(answer)


def _served(state: State, message: MessageInfo, answer: Answer, question: str) -> None:
    badge = kept_badge(answer, message.created_at)
    if not badge:
        st.caption(serving_label(answer))
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small", key=f"kept_{message.id}"):
        st.markdown(badge, width="content")
        st.button(
            "Refresh",
            key=f"chat_refresh_{message.id}",
            icon=":material/refresh:",
            type="tertiary",
            help=WHY_KEPT,
            on_click=ask_again,
            args=(state, question),
            kwargs={"fresh": True},
        )
        st.caption(serving_label(answer), width="content")


def ask_again(state: State, question: str, *, fresh: bool = False) -> None:
    """Have the page send a question once more; a `fresh` answer is not taken from the kept ones."""
    state.retry, state.fresh = question, fresh


def sentences_markdown(answer: Answer) -> str:
    """Return the sentences in order with [n] and a mark where support is missing; line breaks of the answer are kept."""
    if not answer.sentences:
        return escape_lines(answer.text)
    parts: list[str] = []
    position = 0
    for sentence in answer.sentences:
        found = answer.text.find(sentence.text, position)
        gap = answer.text[position:found] if found >= 0 else " "
        position = found + len(sentence.text) if found >= 0 else position
        parts += ([_break(gap)] if parts else []) + [_sentence(sentence)]
    return "".join(parts)


def _break(gap: str) -> str:
    return "\n\n" if gap.count("\n") > 1 else "  \n" if "\n" in gap else " "


def _sentence(sentence: Sentence) -> str:
    numbers = "".join(f" **\\[{n}\\]**" for n in sentence.citations)
    return f"{escape(sentence.text)}{numbers}{MARKS[sentence.support]}"


def _told(answer: Answer) -> None:
    """Say what went otherwise than usual."""
    if answer.serving.outages:
        st.info(outage_line(answer), icon=":material/swap_horiz:")
    for warning in answer.serving.warnings:
        st.warning(escape(warning), icon=":material/gpp_maybe:")
    for note in answer.serving.notes:
        st.info(escape(short(note, 400)), icon=":material/info:")


def _sources(state: State, message_id: str, found: list[Passage]) -> None:
    if not found:
        return
    opened = state.evidence.index if state.evidence and state.evidence.message_id == message_id else -1
    with st.container(horizontal=True, gap="xsmall"):
        for index, passage in enumerate(found):
            st.button(
                f"**{passage.n}** · p. {passage.page} · {escape(short(passage.document, 34))}",
                key=f"chat_cite_{message_id}_{index}",
                icon=ICONS[passage.support] if passage.support else ":material/article:",
                type="primary" if index == opened else "secondary",
                on_click=open_evidence,
                args=(state, message_id, index),
            )


def open_evidence(state: State, message_id: str, index: int) -> None:
    """Open the evidence panel at one passage of a message."""
    state.evidence = Opened(message_id, index)
