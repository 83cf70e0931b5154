"""The main moves of the chat page."""

from dataclasses import replace

from engine.errors import AccessDenied, ProviderUnavailable
from tests.ui.looking import button, texts


def open_old_conversation(visit):
    test = visit("pages/chat.py", "analyst")
    return button(test, "chat_open_").click().run()


def test_a_new_chat_teaches_and_asks(visit, workbench):
    test = visit("pages/chat.py", "analyst")
    assert "What do you want to know?" in texts(test)
    test.chat_input[0].set_value("How did revenue develop?").run()
    assert not test.exception
    shown = texts(test)
    assert "Revenue grew by 12 percent to 4\\.2 billion dollars\\. **\\[1\\]**" in shown
    assert "partly supported" in shown
    assert "not in the documents" in shown
    assert len(workbench.stored_conversations) == 2


def test_without_collections_the_way_leads_to_documents(visit, workbench):
    workbench.stored_documents.clear()
    workbench.stored_collections.clear()
    test = visit("pages/chat.py", "operator")
    assert "first make a collection" in texts(test)
    assert not test.chat_input


def test_a_citation_opens_the_page_picture_with_the_quotation(visit):
    test = open_old_conversation(visit)
    button(test, "chat_cite_").click().run()
    assert not test.exception
    assert len(test.image) == 1
    assert "Revenue grew by 12 percent to 4.2 billion dollars." in [one.value for one in test.text]
    button(test, "chat_evidence_Next").click().run()
    assert "**Passage 2** of 3" in texts(test)
    button(test, "chat_evidence_close").click().run()
    assert not test.image


def test_a_citation_whose_document_was_removed_keeps_its_quotation(visit):
    test = open_old_conversation(visit)
    cites = [one for one in test.button if one.key.startswith("chat_cite_")]
    cites[2].click().run()
    assert "removed since" in texts(test)
    assert not test.image
    assert any("Operating margin" in one.value for one in test.text)


def test_a_document_without_pictures_shows_its_text(visit, workbench):
    for key, one in workbench.stored_documents.items():
        workbench.stored_documents[key] = replace(one, name=one.name.replace(".pdf", ".txt"))
    test = open_old_conversation(visit)
    button(test, "chat_cite_").click().run()
    assert not test.image
    assert "this is its text" in texts(test)


def test_a_refusal_is_honest_and_its_nearest_passages_open(visit):
    test = visit("pages/chat.py", "analyst")
    test.chat_input[0].set_value("unknown thing").run()
    assert "The documents do not answer this" in test.warning[0].value
    button(test, "chat_cite_").click().run()
    assert len(test.image) == 1


def test_a_question_that_could_not_be_sent_is_kept(visit, workbench):
    test = visit("pages/chat.py", "analyst")
    workbench.fail["send"] = ProviderUnavailable("the provider does not answer", hint="try again in a minute")
    test.chat_input[0].set_value("Is it *safe*?").run()
    assert "Is it \\*safe\\*\\?" in texts(test)
    assert "The provider does not answer" in test.error[0].value
    del workbench.fail["send"]
    button(test, "chat_send_again").click().run()
    assert "Revenue grew" in texts(test)


def test_a_failed_answer_can_be_asked_again(visit):
    test = visit("pages/chat.py", "analyst")
    test.chat_input[0].set_value("please fail").run()
    assert "Try again" in test.error[0].value
    button(test, "chat_retry_").click().run()
    assert len(test.error) == 2


def test_a_running_answer_is_followed_and_can_be_stopped(visit, workbench):
    conversation = next(iter(workbench.stored_conversations))
    running = replace(workbench.stored_messages[conversation][1], state="streaming", step="Ranked 8", text="Half", answer=None)
    workbench.stored_messages[conversation][1] = running
    test = open_old_conversation(visit)
    assert "Ranked 8" in texts(test)
    assert test.chat_input[0].disabled
    button(test, "chat_stop_").click().run()
    assert "Stopped" in texts(test)
    assert not test.chat_input[0].disabled


def test_conversations_are_renamed_and_deleted(visit, workbench):
    test = open_old_conversation(visit)
    conversation = next(iter(workbench.stored_conversations))
    test.text_input(key=f"chat_title_{conversation}").set_value("Revenue")
    button(test, "chat_rename_").click().run()
    assert workbench.stored_conversations[conversation].title == "Revenue"
    button(test, "chat_delete_").click().run()
    assert not workbench.stored_conversations


def test_a_conversation_of_somebody_else_is_not_shown(visit, workbench):
    workbench.fail["messages"] = AccessDenied("this is not your conversation")
    test = open_old_conversation(visit)
    assert "not your conversation" in test.error[0].value
    assert "Revenue grew" not in texts(test)


def test_hostile_names_stay_text(visit, workbench):
    key, one = next(iter(workbench.stored_documents.items()))
    workbench.stored_documents[key] = replace(one, name="![x](https://evil.example/a.png) :red[y].pdf")
    shown = texts(visit("pages/documents.py", "analyst"))
    assert "![x]" not in shown
    assert ":red[y]" not in shown
