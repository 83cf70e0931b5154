"""The centre of the chat: questions, answers, what is running, what failed, and the box for the next question."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from engine.errors import EngineError, NotFound
from engine.views import CollectionInfo, ConversationInfo, MessageInfo
from ui.components.answer import answer_view, ask_again
from ui.components.conversations import is_gone
from ui.components.evidence import evidence_panel
from ui.components.running import follow
from ui.components.safe_text import escape, escape_lines
from ui.components.scope import scope_chips
from ui.failures import failure_text
from ui.session import Desk, State, Unsent

PERSON, WORKBENCH = ":material/person:", ":material/fact_check:"
GONE = NotFound("this conversation no longer exists", hint="Start a new one, or choose another from the list")


def conversation_view(
    desk: Desk, collections: Sequence[CollectionInfo], conversation: ConversationInfo | None, messages: Sequence[MessageInfo]
) -> None:
    """Draw one conversation: its scope, the thread, the evidence beside it when some is open, and the box for a question."""
    centre, side = st.columns([11, 9], gap="medium") if desk.state.evidence else (st.container(), None)
    gone = is_gone(desk.state, conversation)
    with centre:
        scope = scope_chips(desk, collections, conversation)
    # Before the thread, so that a question is not drawn under the answers and is sent even if drawing them fails.
    question_box(desk, conversation, scope)
    with centre:
        if gone and all(one.reason != str(GONE) for one in desk.state.unsent):
            st.warning(failure_text(str(GONE), GONE.hint), icon=":material/delete:")
        if messages:
            # A container with its own height keeps the newest message in sight; style.py fits it to the window.
            with st.container(height=600, border=False, key="thread"):
                thread(desk, messages)
        elif not gone:
            welcome([one.name for one in collections if one.id in scope])
        for unsent in desk.state.unsent:
            _unsent(desk.state, unsent, gone=gone)
    if side:
        with side:
            evidence_panel(desk)


def thread(desk: Desk, messages: Sequence[MessageInfo]) -> None:
    """Draw the messages."""
    question = ""
    for message in messages:
        if message.role == "user":
            question = message.text
        with st.chat_message(message.role, avatar=PERSON if message.role == "user" else WORKBENCH):
            _message(desk, message, question)


def _message(desk: Desk, message: MessageInfo, question: str) -> None:
    if message.role == "user":
        st.markdown(escape_lines(message.text))
    elif message.state == "streaming":
        follow(desk, message.id)
    elif message.state == "failed":
        st.error(failure_text(message.error or "the answer failed", message.hint), icon=":material/error:")
        if message.text:
            st.markdown(escape_lines(message.text))
        _ask_again(desk.state, message.id, question)
    else:
        answer_view(desk.state, message, question)
        if message.state == "stopped":
            _ask_again(desk.state, message.id, question)


def _ask_again(state: State, message_id: str, question: str) -> None:
    st.button(
        "Ask again", key=f"chat_retry_{message_id}", icon=":material/refresh:", on_click=ask_again, args=(state, question)
    )


def question_box(desk: Desk, conversation: ConversationInfo | None, scope: Sequence[str]) -> None:
    """Draw the box for a question, and send what was typed (or is to be tried again); what is refused is kept.

    The box is never closed while an answer runs, and has no limit of its own: both would drop what was typed, silently.
    """
    placeholder = "Ask a question about your documents" if scope else "Choose a collection above, then ask"
    typed = st.chat_input(placeholder, key="chat_question", disabled=not scope)
    question = (typed or "").strip() or desk.state.retry
    fresh, desk.state.retry, desk.state.fresh = desk.state.fresh and not typed, "", False
    if not question:
        return
    try:
        if is_gone(desk.state, conversation):
            raise GONE
        if conversation is None:
            conversation = desk.call(desk.workbench.create_conversation, scope)
            desk.state.conversation_id, desk.state.new_conversation = conversation.id, False
        desk.call(desk.workbench.send, conversation.id, question, fresh=fresh)
    except EngineError as error:
        desk.state.refusals += 1
        desk.state.unsent.append(Unsent(desk.state.refusals, question, str(error), error.hint))
    else:
        desk.state.evidence = None
        st.rerun()


def _unsent(state: State, unsent: Unsent, *, gone: bool) -> None:
    key = f"chat_unsent_{unsent.number}"
    with st.container(border=True, key=f"box_{key}"):
        st.markdown(f":red[:material/error:] {failure_text(unsent.reason, unsent.hint)}")
        st.text_area("Your question, not sent", unsent.question, key=key, height=120)
        with st.container(horizontal=True):
            st.button(
                "Ask in a new conversation" if gone else "Send again",
                key=f"chat_send_again_{unsent.number}",
                icon=":material/refresh:",
                type="primary",
                on_click=_send_again,
                args=(state, unsent, gone),
            )
            remove = state.unsent.remove
            st.button("Discard", key=f"chat_discard_{unsent.number}", type="tertiary", on_click=remove, args=(unsent,))


def _send_again(state: State, unsent: Unsent, gone: bool) -> None:
    question = st.session_state[f"chat_unsent_{unsent.number}"]
    state.unsent.remove(unsent)
    if gone:
        state.conversation_id, state.new_conversation = "", True
    state.retry = question


def welcome(names: Sequence[str]) -> None:
    """Say what a new conversation is good for."""
    st.space("large")
    st.markdown("### What do you want to know?", anchors=False)
    where = (
        f"in **{escape(names[0])}**" if len(names) == 1 else f"in {len(names)} collections" if names else "in your documents"
    )
    st.markdown(
        f"Ask {where} in plain words. Each sentence of the answer carries a number; the button with that number below the "
        "answer shows the passage on its page. When the documents do not answer, you are told so."
    )
