"""The centre of the chat: questions, answers, what is running, what failed, and the box for the next question."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import EngineError
from engine.views import CollectionInfo, ConversationInfo, MessageInfo
from ui.components.answer import answer_view
from ui.components.evidence import evidence_panel
from ui.components.running import follow
from ui.components.safe_text import escape, escape_lines
from ui.components.scope import scope_chips
from ui.failures import failure_text, show_failure
from ui.session import Desk, State

PERSON, WORKBENCH = ":material/person:", ":material/fact_check:"


def conversation_view(
    desk: Desk, collections: Sequence[CollectionInfo], conversation: ConversationInfo | None, messages: Sequence[MessageInfo]
) -> None:
    """Draw one conversation: its scope, the thread, the evidence beside it when some is open, and the box for a question."""
    centre, side = st.columns([11, 9], gap="medium") if desk.state.evidence else (st.container(), None)
    with centre:
        scope = scope_chips(desk, collections, conversation)
        if messages:
            # A container with its own height keeps the newest message in sight; style.py fits it to the window.
            with st.container(height=600, border=False, key="thread"):
                running = thread(desk, messages)
        else:
            running = False
            welcome([one.name for one in collections if one.id in scope])
    if side:
        with side:
            evidence_panel(desk)
    question_box(desk, conversation, scope, running=running)


def thread(desk: Desk, messages: Sequence[MessageInfo]) -> bool:
    """Draw the messages; tell whether an answer is still being written."""
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.text
        with st.chat_message(message.role, avatar=PERSON if message.role == "user" else WORKBENCH):
            _message(desk, message, question)
    return any(message.state == "streaming" for message in messages)


def _message(desk: Desk, message: MessageInfo, question: str) -> None:
    if message.role == "user":
        st.markdown(escape_lines(message.text))
    elif message.state == "streaming":
        follow(desk, message.id)
    elif message.state == "failed":
        st.error(failure_text(message.error or "the answer failed", message.hint), icon=":material/error:")
        if message.text:
            st.markdown(escape_lines(message.text))
        st.button(
            "Ask again", key=f"chat_retry_{message.id}", icon=":material/refresh:", on_click=_retry, args=(desk.state, question)
        )
    else:
        answer_view(desk.state, message, question)


def question_box(desk: Desk, conversation: ConversationInfo | None, scope: Sequence[str], *, running: bool) -> None:
    """Draw the box for a question, and send what was typed (or is to be tried again)."""
    placeholder = "Ask a question about your documents" if scope else "Choose a collection above, then ask"
    typed = st.chat_input(
        "An answer is being written" if running else placeholder,
        key="chat_question",
        disabled=running or not scope,
        max_chars=4000,
    )
    question = (typed or "").strip() or desk.state.retry
    desk.state.retry = ""
    if not question:
        return
    try:
        if conversation is None:
            conversation = desk.call(desk.workbench.create_conversation, scope)
            desk.state.conversation_id, desk.state.new_conversation = conversation.id, False
        desk.call(desk.workbench.send, conversation.id, question)
    except EngineError as error:
        _not_sent(desk.state, question, error)
    else:
        st.rerun()


def _not_sent(state: State, question: str, error: EngineError) -> None:
    with st.chat_message("user", avatar=PERSON):
        st.markdown(escape_lines(question))
    show_failure(error)
    st.button("Send again", key="chat_send_again", icon=":material/refresh:", on_click=_retry, args=(state, question))


def _retry(state: State, question: str) -> None:
    state.retry = question


def welcome(names: Sequence[str]) -> None:
    """Say what a new conversation is good for."""
    st.space("large")
    st.markdown("### What do you want to know?", anchors=False)
    where = (
        f"in **{escape(names[0])}**" if len(names) == 1 else f"in {len(names)} collections" if names else "in your documents"
    )
    st.markdown(
        f"Ask {where} in plain words. Each sentence of the answer carries a number; press it to see the passage on its page. "
        "When the documents do not answer, you are told so."
    )
