"""The main moves of the providers page."""

from dataclasses import replace
from datetime import date

import pytest

from engine.errors import ProviderUnavailable, StoreError
from engine.provider_views import Choice, Price, Usage
from tests.ui.looking import button, texts
from ui.components.providers.forms import free_name, host
from ui.components.providers.prices import INPUT, OUTPUT, changed
from ui.components.providers.usage import as_csv, total_cost

PAGE = "pages/providers.py"
SECTIONS = ["Answers", "Other jobs", "Providers", "Prices", "Usage and cost"]
KEY = "sk-never-to-be-shown-9f3c"


def opened(visit, section="Answers"):
    test = visit(PAGE, "admin")
    return switch(test, section)


def switch(test, section):
    test.segmented_control(key="providers_section").set_value(section).run()
    assert not test.exception
    return test


def click(test, key):
    next(one for one in test.button if one.key == key).click().run()
    assert not test.exception
    return test


def has(test, key):
    return any(one.key == key for one in test.button)


def everything(test):
    """Return all that reached the browser and all that is remembered for this tab."""
    state = test._session_state._state
    shown = [getattr(one, "proto", "") for one in test._tree]
    return f"{shown}{state._new_session_state}{state._old_state}{state._new_widget_state.states}"


def field(widgets, key):
    return next(one for one in widgets if (one.key or "").startswith(key))


def secret(test):
    return field(test.text_input, "providers_secret_")


def use(test, job):
    click(test, f"providers_use_{job}")
    assert "3 users who ask questions" in texts(test)
    return click(test, f"providers_apply_{job}")


def test_the_page_says_what_answers_now_and_since_when(visit):
    shown = texts(opened(visit))
    assert "Questions are answered by **openai** · gpt\\-5\\-mini; if it fails, **ollama\\-old** · llama3\\.2 (" in shown
    assert "then **extractive**." in shown
    assert "Changed 02 Mar 2026 08:30 UTC by admin" in shown


@pytest.mark.parametrize("section", SECTIONS)
def test_every_section_is_drawn_and_the_choice_of_it_stays(visit, section):
    test = opened(visit, section)
    assert not test.error
    assert test.run().segmented_control(key="providers_section").value == section


@pytest.mark.parametrize("method", ["choices", "providers", "offers", "simulate", "usage", "prices"])
@pytest.mark.parametrize("section", SECTIONS)
def test_a_failing_call_is_told_once_and_leaves_the_rest(visit, workbench, method, section):
    workbench.fail[method] = StoreError("the database is locked", hint="try again in a minute")
    test = opened(visit, section)
    assert [one.value for one in test.error] in ([], ["The database is locked.  \nTry again in a minute."])
    assert test.title[0].value == "Providers"
    assert test.segmented_control(key="providers_section").value == section
    if method != "choices":
        assert "Questions are answered by" in texts(test)


def test_drawing_the_page_asks_no_vendor_and_looks_for_offers_once_a_minute(visit, workbench):
    workbench.called.clear()
    test = opened(visit)
    for section in SECTIONS:
        switch(test, section)
    assert workbench.called == [("offers", "", "", "")]


# --- answers


def test_the_order_is_a_draft_until_it_is_used(visit, workbench):
    test = opened(visit)
    before = workbench.now
    click(test, "providers_up_1")
    click(test, "providers_remove_2")
    assert "No link works without a network" in texts(test)
    assert workbench.now == before
    use(test, "chain")
    assert [one.provider for one in workbench.now.chain] == ["ollama-old", "openai"]
    assert "In force from the next question on" in texts(test)
    assert not has(test, "providers_use_chain")


def test_a_draft_can_be_discarded_and_an_edit_asks_for_its_effects_again(visit, workbench):
    test = click(opened(visit), "providers_down_0")
    click(test, "providers_use_chain")
    assert has(test, "providers_apply_chain")
    click(test, "providers_down_0")
    assert not has(test, "providers_apply_chain")  # back to what is in force
    click(test, "providers_discard_chain")
    assert workbench.now.version == 2
    assert not has(test, "providers_discard_chain")


def test_a_link_is_added_with_a_model_of_the_live_list_above_the_last_resort(visit, workbench):
    test = click(opened(visit), "providers_add_link")
    assert test.selectbox(key="providers_link_provider").value == "lab-server"
    test.selectbox(key="providers_link_model_lab-server_list").set_value("gpt-5-nano").run()
    click(test, "providers_link_add")
    use(test, "chain")
    assert [str(one) for one in workbench.now.chain][2:] == ["lab-server · gpt-5-nano", "extractive"]
    assert len([one for one in workbench.called if one[0] == "models"]) == 1


def test_a_model_can_be_typed_where_the_list_fails_or_is_empty(visit, workbench):
    workbench.chosen["lab-server"] = []
    test = click(opened(visit), "providers_add_link")
    test.selectbox(key="providers_link_provider").set_value("ollama-old").run()
    assert "The list of models cannot be had: Connection refused" in texts(test)
    test.text_input(key="providers_link_model_ollama-old_text").set_value("qwen3").run()
    click(test, "providers_link_add")
    assert "**3.** **ollama\\-old** · qwen3" in texts(test)
    click(test, "providers_add_link")
    test.selectbox(key="providers_link_provider").set_value("lab-server").run()
    assert "has no list of its models" in texts(test)
    assert test.text_input(key="providers_link_model_lab-server_text").value == "gpt-5-mini"


def test_the_same_link_is_not_added_twice(visit):
    test = click(opened(visit), "providers_add_link")
    test.selectbox(key="providers_link_provider").set_value("extractive").run()
    assert "It is in the order already" in texts(test)
    assert button(test, "providers_link_add").disabled


def test_a_pretended_outage_shows_who_would_answer(visit):
    test = opened(visit)
    assert "**openai** · gpt\\-5\\-mini would answer." in texts(test)
    test.multiselect(key="providers_out").set_value(["openai", "ollama-old"]).run()
    assert "**extractive** would answer." in texts(test)
    test.multiselect(key="providers_out").set_value(["openai", "ollama-old", "extractive"]).run()
    assert "Nobody would answer" in texts(test)
    click(test, "providers_remove_2")
    assert "Nobody would answer" in texts(test)


def test_another_admins_change_keeps_the_draft(visit, workbench):
    test = click(opened(visit), "providers_remove_1")
    click(test, "providers_use_chain")
    # The other admin is faster than this page can see: the engine refuses.
    newer = replace(workbench.now, version=7, changed_by="berta")
    genuine = workbench.choose

    async def overtaken(p, **change):
        workbench.now = newer
        return await genuine(p, **change)

    workbench.choose = overtaken
    click(test, "providers_apply_chain")
    shown = texts(test)
    assert "Somebody else changed the choices meanwhile" in shown
    assert "berta changed the choices at 02 Mar 2026 08:30 UTC, after you began. Your draft is kept" in shown
    assert "**2.** **extractive**" in shown
    click(test, "providers_rebase_chain")
    use(test, "chain")
    assert [one.provider for one in workbench.now.chain] == ["openai", "extractive"]


def test_a_draft_that_was_overtaken_can_be_dropped(visit, workbench):
    test = click(opened(visit), "providers_remove_1")
    workbench.now = replace(workbench.now, version=7, chain=(Choice(provider="extractive"),))
    click(test.run(), "providers_reload_chain")
    assert "**1.** **extractive**" in texts(test)
    assert not test.warning


def test_effects_that_cannot_be_told_are_not_applied(visit, workbench):
    workbench.fail["impact"] = StoreError("the database is locked")
    test = click(opened(visit), "providers_remove_1")
    click(test, "providers_use_chain")
    assert "The database is locked" in texts(test)
    assert not has(test, "providers_apply_chain")


# --- other jobs


def test_other_jobs_are_changed_one_at_a_time(visit, workbench):
    test = opened(visit, "Other jobs")
    assert "Existing ones keep theirs until you change it on the documents page" in texts(test)
    for job, provider in (("embedding", "openai"), ("store", "chroma"), ("rewrite", "lab-server")):
        click(test, f"providers_change_{job}")
        field(test.selectbox, f"providers_{job}_provider_").set_value(provider).run()
        use(test, job)
    assert workbench.now.embedding == Choice(provider="openai", model="gpt-5")
    assert workbench.now.store == "chroma"
    assert workbench.now.rewrite == Choice(provider="lab-server", model="gpt-5-mini")
    click(test, "providers_change_rewrite")
    field(test.selectbox, "providers_rewrite_provider_").set_value("").run()
    use(test, "rewrite")
    assert workbench.now.rewrite is None


def test_ones_own_change_overtakes_no_draft_of_ones_own(visit):
    test = click(opened(visit), "providers_remove_1")
    switch(test, "Other jobs")
    click(test, "providers_change_store")
    field(test.selectbox, "providers_store_provider_").set_value("memory").run()
    use(test, "store")
    switch(test, "Answers")
    assert has(test, "providers_use_chain")
    assert not has(test, "providers_reload_chain")


# --- providers


def test_a_card_says_what_a_provider_is_and_whether_it_works(visit):
    shown = texts(opened(visit, "Providers"))
    assert "**Key:** set, ends in 1a2b" in shown
    assert "**Key:** no key" in shown
    assert "**Address:** in the data folder" in shown
    assert "42 calls · 31,200 tokens · \\$0\\.0213" in shown
    assert "3 calls · 1 failed · 900 tokens · price unknown" in shown
    assert "chat · llama3\\.2: failed, 412 ms, 02 Mar 2026 08:30 UTC  \nConnection refused.  \nStart the server" in shown


def test_built_in_providers_can_only_be_tested(visit):
    test = opened(visit, "Providers")
    assert has(test, "providers_do_test_extractive")
    assert not [one for one in test.button if one.key in ("providers_do_edit_extractive", "providers_do_remove_extractive")]


def test_a_provider_is_added_and_tested_and_its_key_is_nowhere(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_add")
    field(test.selectbox, "providers_add_kind").set_value("openai").run()
    assert field(test.text_input, "providers_add_name_openai").value == "openai-2"
    entry = secret(test)
    assert (entry.proto.type, entry.proto.autocomplete) == (entry.proto.Type.PASSWORD, "new-password")
    entry.set_value(KEY)
    field(test.text_input, "providers_add_name_openai").set_value("second")
    field(test.text_input, "providers_add_openai_query_prefix").set_value("query: ")
    field(test.number_input, "providers_add_openai_context_tokens").set_value(8000)
    field(test.checkbox, "providers_add_openai_half").check()
    click(test, "providers_add_save")
    assert workbench.keys["second"] == KEY
    assert dict(workbench.infos["second"].options) == {"context_tokens": 8000, "query_prefix": "query: ", "half": True}
    assert ("test", "second", "chat", "gpt-5-mini") in workbench.called
    shown = texts(test)
    assert "**second** was added" in shown
    assert "works, 412 ms" in shown
    assert "set, ends in 9f3c" in shown
    assert KEY not in everything(test)
    assert KEY not in everything(test.run())
    assert "key" not in test.query_params


def test_a_refused_form_keeps_all_but_the_key(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_add")
    field(test.selectbox, "providers_add_kind").set_value("openai").run()
    secret(test).set_value(KEY)
    field(test.text_input, "providers_add_name_openai").set_value("openai")
    field(test.text_input, "providers_add_address_openai").set_value("http://one.example")
    click(test, "providers_add_save")
    assert "A provider named 'openai' exists" in texts(test).replace("\\", "")
    assert "The key was not kept: enter it again" in texts(test)
    assert field(test.text_input, "providers_add_address_openai").value == "http://one.example"
    assert secret(test).value == ""
    assert KEY not in everything(test)
    assert workbench.keys["openai"] == "sk-first-0000001a2b"


def test_a_new_provider_whose_test_fails_is_kept_with_the_real_error(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_add")
    field(test.selectbox, "providers_add_kind").set_value("ollama").run()
    field(test.text_input, "providers_add_name_ollama").set_value("attic")
    field(test.text_input, "providers_add_address_ollama").set_value("http://down.example")
    click(test, "providers_add_save")
    assert "attic" in workbench.infos
    assert "failed after 412 ms.  \nConnection refused" in texts(test)


def test_a_new_server_is_tested_with_a_model_that_it_has(visit, workbench):
    workbench.chosen["mine"] = ["qwen3", "other"]
    test = click(opened(visit, "Providers"), "providers_add")
    field(test.selectbox, "providers_add_kind").set_value("openai").run()
    field(test.text_input, "providers_add_name_openai").set_value("mine")
    click(test, "providers_add_save")
    assert ("test", "mine", "chat", "qwen3") in workbench.called


def test_a_kind_whose_package_is_missing_says_so(visit):
    test = click(opened(visit, "Providers"), "providers_add")
    field(test.selectbox, "providers_add_kind").set_value("gemini").run()
    assert "It needs the package google\\-genai, which is not installed" in texts(test)
    assert button(test, "providers_add_save").disabled


def test_another_host_is_warned_of_before_the_key_is_dropped(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_edit_lab-server")
    assert "will be dropped" not in texts(test)
    address = field(test.text_input, "providers_edit_address_")
    address.set_value("http://lab.example:8000/v2").run()
    assert "will be dropped" not in texts(test)
    address.set_value("http://elsewhere.example/v1").run()
    assert "**The stored key will be dropped** unless you enter it again" in texts(test)
    assert workbench.keys["lab-server"]
    assert not has(test, "providers_edit_save")
    click(test, "providers_edit_save_moved")
    assert workbench.keys["lab-server"] == ""
    assert "Its stored key was dropped, for the host changed" in texts(test)


def test_editing_changes_only_what_was_edited(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_edit_openai")
    field(test.number_input, "providers_edit_context_tokens").set_value(1000)
    click(test, "providers_edit_save")
    one = workbench.infos["openai"]
    assert (one.options["context_tokens"], one.key_last4, one.timeout_seconds) == (1000, "1a2b", 60.0)
    assert "**openai** was saved" in texts(test)
    test = click(test, "providers_do_edit_lab-server")
    field(test.text_input, "providers_edit_address_").set_value("http://no address").run()
    click(test, "providers_edit_save_moved")
    assert "is not an address" in texts(test)
    assert workbench.keys["lab-server"] == "lab-key-77x9"


def test_a_key_is_rotated_and_forgotten(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_rotate_openai")
    click(test, "providers_rotate_save")
    assert "Enter the new key" in texts(test)
    secret(test).set_value(KEY)
    click(test, "providers_rotate_save")
    assert workbench.keys["openai"] == KEY
    assert "The key of **openai** was replaced" in texts(test)
    assert KEY not in everything(test)


def test_removing_asks_first_and_tells_what_is_still_used(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_remove_openai")
    assert "This cannot be undone" in texts(test)
    click(test, "providers_remove_now")
    assert "It answers questions" in texts(test).replace("it answers", "It answers")
    assert "openai" in workbench.infos
    click(test, "providers_do_remove_lab-server")
    click(test, "providers_remove_now")
    assert "lab-server" not in workbench.infos
    assert "**lab\\-server** was removed" in texts(test)


def test_a_test_shows_the_answer_or_the_real_error(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_test_ollama-old")
    field(test.segmented_control, "providers_test_role").set_value("embedding").run()
    field(test.text_input, "providers_test_model").set_value("other").run()
    click(test, "providers_test_now")
    assert workbench.called[-1] == ("test", "ollama-old", "embedding", "other")
    assert "failed after 412 ms.  \nConnection refused" in test.error[0].value
    workbench.fail["test_provider"] = ProviderUnavailable("no *answer*")
    click(test, "providers_test_now")
    assert "No \\*answer\\*" in test.error[0].value


def test_a_dialog_of_a_provider_that_is_gone_closes(visit, workbench):
    test = click(opened(visit, "Providers"), "providers_do_edit_lab-server")
    del workbench.infos["lab-server"]
    assert not test.run().exception
    assert not has(test, "providers_edit_save")


# --- offers, prices, usage


def test_an_offer_is_used_or_put_away(visit, workbench):
    test = opened(visit)
    assert "**Found:** Ollama with 3 models at" in texts(test)
    click(test, "providers_dismiss_ollama")
    assert "**Found:**" not in texts(test)
    test = opened(visit)
    click(test, "providers_accept_ollama")
    assert workbench.infos["ollama"].base_url == "http://127.0.0.1:11434"
    assert "**ollama** was added" in texts(test)
    assert "**Found:**" not in texts(test)


def test_an_edited_price_is_saved_and_an_emptied_one_is_unknown(visit, workbench):
    prices = [Price(provider="a", model=str(n), input_usd=1.0, output_usd=2.0) for n in range(4)]
    edited = {INPUT: [1.0, 3.0, None, 1.0], OUTPUT: [2.0, 2.0, float("nan"), 2.0]}
    assert [(one.model, one.input_usd, one.output_usd) for one in changed(prices, edited)] == [
        ("1", 3.0, 2.0),
        ("2", None, None),
    ]
    assert button(opened(visit, "Prices"), "providers_save_prices").disabled
    workbench.priced = {("a", "b"): (None, None)}
    assert button(opened(visit, "Prices"), "providers_save_prices").disabled


def test_prices_and_usage_have_an_empty_state(visit, workbench):
    workbench.priced, workbench.spent = {}, []
    test = opened(visit, "Prices")
    assert "No model is in use or priced yet" in texts(test)
    assert "No model was called in the last 30 days" in texts(switch(test, "Usage and cost"))


def test_usage_is_summed_and_unknown_prices_stay_unknown(visit):
    test = opened(visit, "Usage and cost")
    assert {one.label: one.value for one in test.metric} == {
        "Calls": "357",
        "Failed": "7",
        "Tokens": "799,900",
        "Cost": "≥ \\$0.35",
    }
    assert "The price of 1 model is unknown" in texts(test)
    table = test.dataframe[0].value
    assert list(table["Model"]) == ["extractive", "lab-server · mistral-small", "openai · gpt-5-mini", "Total"]
    assert list(table["Cost"]) == ["$0.00", "unknown", "$0.35", "≥ $0.35"]
    test.segmented_control(key="providers_by").set_value("User").run()
    assert list(test.dataframe[0].value["User"]) == ["anna", "ben", "Total"]
    test.segmented_control(key="providers_days").set_value(7).run()
    assert test.metric[0].value != "357"


def test_the_csv_has_every_row_and_runs_no_formula():
    row = Usage(day=date(2026, 3, 1), user="=cmd|x", provider="a", model="-b", job="chat", calls=1, failures=0, input_tokens=2,
                output_tokens=3, cost_usd=None, mean_ms=1.5)  # fmt: skip
    lines = as_csv([row, row]).decode("utf-8-sig").splitlines()
    assert lines[0].startswith("day,user,provider,model,job,calls")
    assert lines[1:] == ["2026-03-01,'=cmd|x,a,'-b,chat,1,0,2,3,,1.5"] * 2
    assert total_cost([row]) == "unknown"


# --- hostile texts


def test_names_models_and_errors_are_shown_as_text(visit, workbench):
    evil = "<b>x</b> [a](http://e.example) :material/key: **bold** $x$"
    workbench.infos[evil] = replace(
        workbench.infos["ollama-old"], name=evil, label=evil, last_error=f"other {evil}", base_url=evil, models={"chat": evil}, roles=("chat", evil),
    )  # fmt: skip
    workbench.now = replace(
        workbench.now, chain=(Choice(provider=evil, model=evil),), changed_by=evil, rewrite=Choice(provider=evil, model=evil)
    )
    workbench.found["e"] = replace(workbench.found["ollama"], id="e", text=evil, models=(evil,))
    workbench.sentences = (evil,)
    workbench.fail["provider_models"] = ProviderUnavailable(evil, hint=evil)
    test = opened(visit)
    click(test, "providers_add_link")
    test.selectbox(key="providers_link_provider").set_value(evil).run()
    test.text_input(key=f"providers_link_model_{evil}_text").set_value("m").run()
    click(click(test, "providers_link_add"), "providers_use_chain")
    shown = [texts(test)]
    click(switch(test, "Other jobs"), "providers_change_rewrite")
    shown.append(texts(test))
    switch(test, "Providers")
    for action in ("test", "edit", "remove"):
        click(test, f"providers_do_{action}_{evil}")
        shown.append(texts(test))
    for text in shown:
        assert "x" in text
        for mark in ("<b>", "](http", " :material/key:", "**bold**", " $x$"):
            assert mark not in text


def test_names_for_new_providers_and_hosts():
    assert free_name("openai", {"a"}) == "openai"
    assert free_name("openai", {"openai", "openai-2"}) == "openai-3"
    assert host("http://a.example/v1") == host("http://A.example/v2")
    assert len({host(one) for one in ("", "http://a.example", "https://a.example", "http://a.example:8", "http://[::1")}) == 5
