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
    assert test.text_area[0].value == "Is it *safe*?"
    assert "The provider does not answer" in texts(test)
    del workbench.fail["send"]
    button(test, "chat_send_again").click().run()
    assert "Revenue grew" in texts(test)
    assert not test.text_area


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
    button(test, "chat_stop_").click().run()
    assert "Stopped. What was written until then is kept" in texts(test)
    assert button(test, "chat_retry_")


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


def test_an_overlong_question_is_refused_with_words_and_can_be_shortened(visit, workbench):
    test = visit("pages/chat.py", "analyst")
    assert not test.chat_input[0].proto.max_chars
    test.chat_input[0].set_value("revenue? " * 600).run()
    assert "A question has 1 to 4000 characters" in texts(test)
    test.run()
    test.text_area[0].set_value("How did revenue develop?")
    button(test, "chat_send_again").click().run()
    assert "Revenue grew" in texts(test)
    assert "A question has 1 to" not in texts(test)


def test_a_question_beside_a_running_answer_is_kept_until_it_can_be_sent(visit, workbench):
    conversation, messages = next(iter(workbench.stored_messages.items()))
    test = open_old_conversation(visit)
    done, messages[1] = messages[1], replace(messages[1], state="streaming", step="Writing", answer=None)  # by another tab
    test.chat_input[0].set_value("first more").run()
    test.chat_input[0].set_value("second more").run()
    assert [one.value for one in test.text_area] == ["first more", "second more"]
    assert "The previous answer is still being written" in texts(test)
    messages[1] = done
    button(test, "chat_send_again").click().run()
    button(test, "chat_send_again").click().run()
    assert [one.text for one in workbench.stored_messages[conversation] if one.role == "user"][1:] == [
        "first more",
        "second more",
    ]


def test_a_question_for_a_deleted_conversation_goes_nowhere_else(visit, workbench):
    kept, gone = (visit("pages/chat.py", "analyst"), visit("pages/chat.py", "analyst"))
    kept.chat_input[0].set_value("How did revenue develop?").run()
    gone.chat_input[0].set_value("And margins?").run()
    workbench.stored_conversations.pop(gone.session_state["workbench"].conversation_id)
    before = {key: len(messages) for key, messages in workbench.stored_messages.items()}
    gone.chat_input[0].set_value("And the dividend?").run()
    assert "This conversation no longer exists" in texts(gone)
    assert gone.text_area[0].value == "And the dividend?"
    assert before == {key: len(messages) for key, messages in workbench.stored_messages.items()}
    button(gone, "chat_send_again").click().run()
    assert len(workbench.stored_messages) == len(before) + 1
    assert "Revenue grew" in texts(gone)
    assert not gone.text_area


def test_an_address_of_a_conversation_that_is_not_there_says_so(visit):
    test = visit("pages/chat.py", "analyst")
    button(test, "chat_new").click().run()
    test.query_params["conversation"] = "k-none"
    test.session_state["workbench"].new_conversation = False
    test.run()
    assert "This conversation no longer exists" in test.warning[0].value


def test_a_new_question_closes_the_evidence_of_the_answer_before(visit):
    test = open_old_conversation(visit)
    button(test, "chat_cite_").click().run()
    test.chat_input[0].set_value("How did revenue develop?").run()
    assert not test.image


def test_stopping_before_the_first_word_says_so_and_offers_to_ask_again(visit, workbench):
    messages = next(iter(workbench.stored_messages.values()))
    empty = replace(messages[1].answer, text="", sentences=(), citations=(), refused=True)
    messages[1] = replace(messages[1], state="stopped", text="", answer=empty)
    test = open_old_conversation(visit)
    assert "Nothing had been written yet" in texts(test)
    assert not test.warning
    button(test, "chat_retry_").click().run()
    assert "Revenue grew" in texts(test)


def test_a_passage_of_a_long_text_stands_between_its_surroundings(visit, workbench):
    for key, one in workbench.stored_documents.items():
        workbench.stored_documents[key] = replace(one, name=one.name.replace(".pdf", ".txt"))
    before, after = "early word. " * 4000, " late word." * 4000
    answer = next(iter(workbench.stored_messages.values()))[1].answer
    first = answer.citations[0]
    workbench.texts[first.document_id] = before + first.text + after
    page = f"Annual report, page 2.\n\n{before}{first.text}{after}"
    moved = replace(first, start=page.index(first.text), end=page.index(first.text) + len(first.text))
    messages = next(iter(workbench.stored_messages.values()))
    messages[1] = replace(messages[1], answer=replace(answer, citations=(moved, *answer.citations[1:])))
    test = open_old_conversation(visit)
    button(test, "chat_cite_").click().run()
    folded = [one for one in test.expander if "on this page" in one.label]
    assert [one.label for one in folded] == ["Earlier on this page", "Later on this page"]
    assert all(19_000 < len(one.text[0].value) <= 20_000 for one in folded)
    assert all("more characters are not shown" in one.caption[0].value for one in folded)
    beside = [one.value for one in test.text if one.value not in [part.text[0].value for part in folded]]
    assert first.text in beside
    assert all(len(value) < 800 for value in beside)
    assert sum("word." in value for value in beside) == 2


def test_a_quotation_is_called_a_quotation_and_scores_are_explained(visit):
    test = open_old_conversation(visit)
    button(test, "chat_cite_").click().run()
    assert "quoted from the document" in texts(test)
