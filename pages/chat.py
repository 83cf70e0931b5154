"""Chat: ask the documents, and check every sentence of the answer against the page it came from."""

from ui.components.conversations import conversation_list
from ui.components.empty import nothing_to_ask
from ui.components.thread import conversation_view
from ui.failures import friendly_errors
from ui.session import open_page

desk = open_page()

with friendly_errors():
    collections = desk.call(desk.workbench.collections)
    conversation = conversation_list(desk)
    messages = desk.call(desk.workbench.messages, conversation.id) if conversation else []

    if not messages and nothing_to_ask(desk.principal, collections):
        desk.state.evidence = None
    else:
        conversation_view(desk, collections, conversation, messages)
