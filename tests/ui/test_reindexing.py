"""The page on which a collection gets another embedding: what it would take, how far it is, and the ways back."""

from datetime import UTC, datetime, timedelta

import pytest

from engine.errors import ProviderUnavailable
from engine.keeping_views import GenerationState
from tests.ui.looking import button, texts

SOON = datetime.now(UTC) + timedelta(days=3)


@pytest.fixture
def reindexing(visit, workbench):
    def opened(name="admin"):
        test = visit("pages/documents.py", name)
        test.query_params["reindex"] = next(iter(workbench.stored_collections))
        return test.run()

    return opened


def test_only_admins_who_own_the_collection_get_there(reindexing, visit):
    assert "Only admins who own a collection" in texts(reindexing("analyst"))
    assert not [one for one in visit("pages/documents.py", "analyst").button if one.key == "documents_reindex"]
    assert [one for one in visit("pages/documents.py", "admin").button if one.key == "documents_reindex"]


def test_what_it_would_take_is_said_before_anything_is_started(reindexing, workbench):
    test = reindexing()
    assert not test.exception
    next(one for one in test.selectbox if one.label == "Embedding provider").select_index(1)
    button(test, "FormSubmitter:documents_change_form").click().run()
    assert not test.exception
    shown = texts(test)
    assert "36 → 52" in shown
    assert "$0\\.27" in shown
    assert "broken\\.pdf was never read" in shown
    assert not workbench.stored_generations
    button(test, "documents_generation_start").click().run()
    assert workbench.stored_generations[0].embedder == workbench.planned[-1].embedder != ""
    assert "1 of 3 documents · 33% · 2 min left" in test.get("progress")[-1].proto.text


def test_a_plan_for_nothing_says_so(reindexing):
    test = reindexing()
    button(test, "FormSubmitter:documents_change_form").click().run()
    assert "Nothing would be different" in test.error[0].value
    assert not [one for one in test.button if one.key == "documents_generation_start"]


def test_what_is_built_can_be_cancelled(reindexing, workbench):
    workbench.generation(2, GenerationState.BUILDING, documents_done=1, eta_seconds=60.0)
    button(reindexing(), "documents_generation_cancel").click().run()
    assert workbench.stored_generations[0].state is GenerationState.CANCELLED


def test_a_complete_one_says_what_its_check_found_and_is_switched_to(reindexing, workbench):
    workbench.generation(1, GenerationState.LIVE)
    workbench.generation(2, GenerationState.READY, recall=0.5, questions=40)
    test = reindexing()
    assert "It misses much of what the former one found" in texts(test)
    assert "50% of the best passages of 40 sampled questions" in texts(test)
    button(test, "documents_generation_switch").click().run()
    assert workbench.stored_generations[0].state is GenerationState.LIVE


def test_the_former_one_is_gone_back_to_while_it_is_kept(reindexing, workbench):
    workbench.generation(1, GenerationState.FORMER, revertible_until=SOON)
    workbench.generation(2, GenerationState.LIVE, recall=0.98, questions=40, switched_at=SOON - timedelta(days=7))
    test = reindexing()
    assert "It finds what the former one found: 98%" in texts(test)
    button(test, "documents_generation_revert").click().run()
    assert {one.number: one.state for one in workbench.stored_generations}[1] is GenerationState.LIVE


def test_one_that_failed_says_why_and_that_nothing_was_touched(reindexing, workbench):
    workbench.generation(2, GenerationState.FAILED, reason="the provider refused the key", hint="give it a valid key")
    shown = reindexing().error[0].value
    assert "the provider refused the key" in shown
    assert "The present index was not touched" in shown


def test_a_failure_of_the_plan_is_told(reindexing, workbench):
    workbench.fail["plan_generation"] = ProviderUnavailable("the provider does not answer", hint="try again in a minute")
    test = reindexing()
    button(test, "FormSubmitter:documents_change_form").click().run()
    assert "The provider does not answer" in test.error[0].value


def test_after_a_way_back_neither_form_nor_button_keeps_what_belonged_to_the_other_generation(reindexing, workbench):
    workbench.generation(1, GenerationState.FORMER, chunk_tokens=256, revertible_until=SOON)
    workbench.generation(2, GenerationState.LIVE, chunk_tokens=96, switched_at=SOON - timedelta(days=7))
    test = reindexing()
    next(one for one in test.number_input if "Passage size" in one.label).set_value(64).run()
    pressed = button(test, "documents_generation_revert").key
    button(test, "documents_generation_revert").click().run()
    assert next(one.value for one in test.number_input if "Passage size" in one.label) == 256
    assert pressed not in [one.key for one in test.button]
