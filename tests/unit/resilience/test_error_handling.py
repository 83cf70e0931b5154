"""ErrorHandlingIntegration: the seed's example word for word, and what its configuration means."""

from __future__ import annotations

import functools
import inspect

import pytest

from engine.errors import ConfigError, InputError
from engine.operations_views import BreakerState
from engine.resilience import ErrorHandlingIntegration
from tests.unit.resilience.stage import Clock, Meter, collect

SEED = {
    "circuit_breaker": {"llm_failure_threshold": 3, "llm_recovery_timeout": 30},
    "retry": {"llm_max_attempts": 2, "llm_backoff_factor": 1.5},
}


def made(clock: Clock, config=SEED, **more) -> ErrorHandlingIntegration:
    return ErrorHandlingIntegration(config, clock=clock, wall=clock.wall, sleep=clock.sleep, asleep=clock.asleep,
                                    chance=lambda: 1.0, **more)  # fmt: skip


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Model:
    """An LLM that fails while `down`."""

    def __init__(self, error: Exception | None = None) -> None:
        self.calls, self.error = 0, error

    def __call__(self, prompt: str) -> str:
        self.calls += 1
        if self.error is not None:
            raise self.error
        return f"answer to {prompt}"


async def test_example_2_of_the_seed_word_for_word() -> None:
    """Only the path of the import is another. Its function returns None, as it stands there."""
    # Initialize error handling
    error_handler = ErrorHandlingIntegration({
        "circuit_breaker": {
            "llm_failure_threshold": 3,
            "llm_recovery_timeout": 30
        },
        "retry": {
            "llm_max_attempts": 2,
            "llm_backoff_factor": 1.5
        }
    })  # fmt: skip

    # Apply to functions
    @error_handler.create_protected_method("llm", "Service temporarily unavailable")
    async def generate_response(prompt: str):
        # Your LLM call here - fully protected
        pass

    assert await generate_response("hello") is None
    assert error_handler.get_error_statistics()["total_errors"] == 0
    assert error_handler.get_health()["status"] == "healthy"


async def test_the_life_of_a_protected_async_function(clock) -> None:
    handler, model = made(clock), Model(RuntimeError("boom"))

    @handler.create_protected_method("llm", "Service temporarily unavailable")
    async def generate_response(prompt: str) -> str:
        """Answers."""
        return model(prompt)

    assert (generate_response.__name__, inspect.iscoroutinefunction(generate_response)) == ("generate_response", True)
    assert await generate_response("a") == "Service temporarily unavailable"
    assert (model.calls, clock.slept) == (2, [1.5]), "a second try, after at most backoff_factor"
    assert await generate_response("b") == "Service temporarily unavailable"
    assert (model.calls, clock.slept) == (3, [1.5]), "three failures in a row: open, no further try"
    assert await generate_response("c") == "Service temporarily unavailable"
    assert model.calls == 3
    assert handler.get_health()["components"]["llm"]["state"] == "open"
    model.error = None
    clock.now += 30
    assert await generate_response("d") == "answer to d"
    assert handler.get_health()["status"] == "healthy"
    statistics = handler.get_error_statistics()
    assert (statistics["total_calls"], statistics["total_errors"], statistics["error_rate"]) == (4, 3, 0.75)
    llm = statistics["by_component"]["llm"]
    assert (llm["by_class"], llm["fallbacks"]) == ({"RuntimeError": 2, "CircuitOpen": 1}, 3)
    assert llm["last_error"] == {"error": "CircuitOpen", "at": llm["last_error"]["at"]}


def test_the_same_for_a_sync_function_with_a_callable_fallback(clock) -> None:
    handler, model = made(clock), Model(ConnectionError("down"))
    protected = handler.create_protected_method("embedding", lambda prompt: f"no {prompt}")(lambda prompt: model(prompt))
    assert protected("a") == "no a"
    assert handler.get_error_statistics()["by_class"] == {"ConnectionError": 1}


async def test_a_fallback_of_an_async_function_may_be_async(clock) -> None:
    async def sorry(prompt: str) -> str:
        return f"sorry, {prompt}"

    model = Model(RuntimeError())

    @made(clock).create_protected_method("llm", sorry)
    async def generate(prompt: str) -> str:
        return model(prompt)

    assert await generate("a") == "sorry, a"


async def test_without_a_fallback_the_error_is_raised_and_counted(clock) -> None:
    handler, model = made(clock), Model(ZeroDivisionError())

    @handler.create_protected_method("llm")
    async def generate(prompt: str) -> str:
        return model(prompt)

    with pytest.raises(ZeroDivisionError):
        await generate("a")
    assert handler.get_error_statistics()["fallbacks"] == 0
    assert handler.get_error_statistics()["total_errors"] == 1


def test_what_the_caller_has_to_change_is_raised_and_neutral(clock) -> None:
    handler, model = made(clock), Model(InputError("too long"))
    protected = handler.create_protected_method("llm", "fallback")(model.__call__)
    for _ in range(10):
        with pytest.raises(InputError):
            protected("a")
    assert (model.calls, handler.get_health()["status"]) == (10, "healthy")


async def test_an_async_generator_falls_back_before_its_first_item_only(clock) -> None:
    handler = made(clock)

    @handler.create_protected_method("llm", "unavailable")
    async def words(count: int):
        for index in range(count):
            yield index
        raise RuntimeError("broke")

    assert [word async for word in words(0)] == ["unavailable"]
    got = []
    with pytest.raises(RuntimeError):
        await collect(words(2), got)
    assert got == [0, 1]
    assert handler.get_error_statistics()["by_class"] == {"RuntimeError": 2}


def test_a_generator_that_would_fail_outside_is_refused(clock) -> None:
    with pytest.raises(ConfigError, match="generator"):

        @made(clock).create_protected_method("llm", [])
        def words():
            yield 1


def test_failure_threshold_means_failures_in_a_row(clock) -> None:
    handler, model = made(clock, {"circuit_breaker": {"llm_failure_threshold": 3}, "retry": {"llm_max_attempts": 1}}), Model()
    protected = handler.create_protected_method("llm", "-")(model.__call__)
    for error in [RuntimeError(), RuntimeError(), None, RuntimeError(), RuntimeError()]:
        model.error = error
        protected("a")
    assert handler.get_health()["components"]["llm"]["state"] == "closed"
    model.error = InputError("neutral")
    with pytest.raises(InputError):
        protected("a")
    model.error = RuntimeError()
    protected("a")
    assert handler.get_health()["components"]["llm"]["state"] == "open", "the neutral one did not interrupt the row"


def test_components_are_apart_and_health_tells(clock) -> None:
    handler = made(clock, {"circuit_breaker": {f"{one}_failure_threshold": 1 for one in ("llm", "embedding", "vector_store")}})
    seen = [handler.get_health()["status"]]
    for component in ("llm", "embedding", "vector_store"):
        handler.create_protected_method(component, None)(Model(RuntimeError()).__call__)("a")
        seen.append(handler.get_health()["status"])
    assert seen == ["healthy", "degraded", "degraded", "unhealthy"]


def test_an_operator_can_command_its_breakers_and_numbers_are_reported(clock) -> None:
    meter, heard = Meter(), []
    handler = made(clock, {}, meter=meter, on_transition=heard.append)
    handler.guard("llm").breaker.force(BreakerState.TRIPPED, by="Ana")
    assert handler.create_protected_method("llm", "-")(Model().__call__)("a") == "-"
    assert meter.counts["not_permitted_total", "chat", "llm", "", "open"] == 1
    assert heard[0].by == "Ana"


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"circuit_braker": {}}, ["circuit_braker", "circuit_breaker", "retry"]),
        ({"circuit_breaker": {"llm_treshold": 3}}, ["llm_treshold", "llm_failure_threshold", "vector_store_recovery_timeout"]),
        ({"retry": {"reranker_max_attempts": 3}}, ["reranker_max_attempts", "embedding_max_attempts"]),
        ({"retry": 3}, ["retry", "dictionary"]),
        ({"retry": {"llm_max_attempts": 0}}, ["llm_max_attempts", "0"]),
        ({"retry": {"llm_max_attempts": 1.5}}, ["llm_max_attempts", "1.5"]),
        ({"retry": {"llm_backoff_factor": "fast"}}, ["llm_backoff_factor", "fast"]),
        ({"circuit_breaker": {"llm_recovery_timeout": float("nan")}}, ["llm_recovery_timeout"]),
        ({"circuit_breaker": {"llm_failure_threshold": True}}, ["llm_failure_threshold", "True"]),
    ],
)
def test_a_config_that_means_nothing_is_refused_with_what_is_possible(config, words) -> None:
    with pytest.raises(ConfigError) as caught:
        ErrorHandlingIntegration(config)
    assert all(word in str(caught.value) for word in words)
    assert caught.value.hint


def test_an_unknown_component_is_refused(clock) -> None:
    with pytest.raises(ConfigError, match="vector_store"):
        made(clock).create_protected_method("database", None)


class Called:
    """An object that is called like an async function, without a name of its own."""

    async def __call__(self, prompt: str) -> str:
        raise RuntimeError("down")


async def test_objects_that_are_called_like_async_functions_are_protected(clock) -> None:
    handler = made(clock, {"retry": {"llm_max_attempts": 1}})
    assert await handler.create_protected_method("llm", "fallback")(Called())("x") == "fallback"
    with pytest.raises(ConfigError, match="generator"):
        handler.create_protected_method("llm")(functools.partial(lambda: (yield 1)))
