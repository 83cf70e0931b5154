"""What admins type about a provider: nothing odd gets in, no password gets into an address, and no message repeats one."""

from __future__ import annotations

import traceback

import pytest

from engine import registry
from engine.errors import InputError, UnknownComponent
from engine.security.sealing import Sealer
from engine.services.provider_input import (
    clean_key,
    clean_name,
    clean_options,
    clean_timeout,
    clean_url,
    place,
    refuse_built_in,
)
from engine.types import Endpoint
from engine.vendors import postgres

SECRET = "canary-7f3e9a1b"
WRONG_TYPES = [None, 5, 1.5, b"x", ["x"], {}, object()]
OPENAI, PGVECTOR, VERTEX, QDRANT = (registry.roles(kind) for kind in ("openai", "pgvector", "vertex", "qdrant"))
NAN, INF = float("nan"), float("inf")


def refused(call, *args) -> InputError:
    with pytest.raises(InputError) as caught:
        call(*args)
    assert caught.value.hint
    assert SECRET not in "".join(traceback.format_exception(caught.value)) + caught.value.hint
    return caught.value


@pytest.mark.parametrize(
    "url",
    [f"http://u:{SECRET}@h", f"http://{SECRET}@h/v1", "http://@h", "http://:@h", f"http://h/v1?api_key={SECRET}", "http://h/?",
     f"http://h/v1#{SECRET}", "http://h#", f"http://u:1/{SECRET}@h", f"https://u:{SECRET}/x@h", f"http://u:1#{SECRET}@h",
     "http://h\\@evil.example/", "http:\\\\h", "http://h%00/", "http://h/%00", "http://h\t/x", "http://h/a b", "http://h/\x7f",
     "http://h/\ud800", "http://h/é", "http://bücher.example", "http://127。0.0.1", "http://１２７.0.0.1", "http://h%2eevil",
     "http://a..b", "http://.h", "http://" + "a" * 64 + ".example", "http://<b>", "http://h:", "http://h:0",
     "http://h:99999", "http://h:-1", "http://h:x", "http://[::1", "http://[v1.x]/", "http://[fe80::1%25eth0]/", "http://[:::]",
     "http://h,evil.example", "http:///h", "http:h", "//h", "h", "ftp://h", "file:///etc/passwd", "postgresql://u@h/db",
     "http://h/" + "a" * 500],
)  # fmt: skip
def test_an_address_that_is_refused(url):
    refused(clean_url, url, OPENAI)


@pytest.mark.parametrize(
    "url",
    [f"postgresql://u:{SECRET}@h/db", f"postgresql://u%3A{SECRET}@h/db", f"postgresql://u%3a{SECRET}@h/db", "postgresql://u:@h/d",
     f"postgresql://u:1/{SECRET}@h/db", f"postgresql://u:1#{SECRET}@h/db", f"postgresql://u:{SECRET}/x@h/db",
     f"postgresql://u@h/db?password={SECRET}", f"postgresql://u@h/db?PASSWORD={SECRET}", f"postgresql://u@h/db?{SECRET}",
     f"postgresql://u@h/db?sslmode=require&passfile={SECRET}", "postgresql://u@h/db?sslmode=never",
     f"postgresql://u@h/db?sslmode={SECRET}", f"postgresql://u@h/db#{SECRET}", f"postgresql://u@h/db@{SECRET}",
     f"postgresql://u@h/db%23{SECRET}", f"postgresql://u%40{SECRET}@h/db", f"postgresql://u@{SECRET}@h/db", "postgresql://h/db",
     "postgresql://@h/db", "postgresql://u@h", "postgresql://u@h:port/db", "postgresql://u@a,b/db", "postgresql://u@%2Ftmp/db",
     "postgresql:///db", "http://h", "mysql://u@h/db"],
)  # fmt: skip
def test_an_address_of_a_database_that_is_refused(url):
    refused(clean_url, url, PGVECTOR)


@pytest.mark.parametrize(
    ("specs", "url", "kept"),
    [(OPENAI, "", ""), (OPENAI, " https://h.example/v1/ ", "https://h.example/v1"), (OPENAI, "http://[::1]:9/v1", "http://[::1]:9/v1"),
     (OPENAI, "HTTP://A.B:80", "HTTP://A.B:80"), (OPENAI, "http://xn--bcher-kva.example", "http://xn--bcher-kva.example"),
     (QDRANT, "http://qdrant:6333", "http://qdrant:6333"), (PGVECTOR, "", PGVECTOR["store"].url),
     (PGVECTOR, "postgresql://u%2Fx@db.example:5433/my%20db?sslmode=verify-full",
      "postgresql://u%2Fx@db.example:5433/my%20db?sslmode=verify-full")],
)  # fmt: skip
def test_an_address_that_is_kept(specs, url, kept):
    assert clean_url(url, specs) == kept


def test_an_international_name_is_entered_in_its_ascii_form():
    assert "xn--" in refused(clean_url, "http://bücher.example", OPENAI).hint


def test_every_address_of_a_database_that_is_kept_can_be_used():
    for url in ("", "postgresql://u%2Fx@[::1]:5433/my%20db?sslmode=verify-full", "postgresql://u@h/d?"):
        assert postgres.address(Endpoint(base_url=clean_url(url, PGVECTOR)))


@pytest.mark.parametrize("value", WRONG_TYPES)
def test_wrong_types_are_wrong_input(value):
    for call in (lambda: clean_url(value, OPENAI), lambda: clean_name(value, "openai"), lambda: clean_key(value)):
        refused(call)
    if value not in (5, 1.5):
        refused(clean_timeout, value)
    if value != {}:
        refused(clean_options, value, OPENAI)


@pytest.mark.parametrize("seconds", [NAN, INF, -INF, True, "60", 10**400, 0, 0.9, 601, -1])
def test_a_time_limit_that_is_none(seconds):
    refused(clean_timeout, seconds)


@pytest.mark.parametrize("name", ["", "-", "a" * 41, "ａ", "../x", "İ", "x\ny", "\ud800", "qdrant"])
def test_a_name_that_is_none(name):
    refused(clean_name, name, "openai")


@pytest.mark.parametrize(
    "key",
    [SECRET + "\ud800", SECRET + "é", SECRET + "😀", SECRET + "\0", f"{SECRET} x", f"{SECRET}\nx", SECRET + "\x7f",
     SECRET * 2000, "{" + SECRET + "\ud800}", "{" + SECRET + "\0}", "{" + SECRET + "\x7f}"],
)  # fmt: skip
def test_a_key_that_is_none_is_not_repeated(key):
    refused(clean_key, key)


def test_keys_that_are_kept():
    assert clean_key(" sk-a~!{} ") == "sk-a~!{}"
    assert clean_key('\n{"a": "é",\n\t"b": 1}\r\n') == '{"a": "é",\n\t"b": 1}'
    assert clean_key("  ") == ""


def test_sealing_what_is_no_text_does_not_repeat_it():
    sealer = Sealer("s" * 32)
    for text in (SECRET + "\ud800", None, 5):
        refused(sealer.seal, text)
    assert sealer.open(sealer.seal("é😀")) == "é😀"


@pytest.mark.parametrize(
    "options",
    [
        {"context_tokens": value}
        for value in (NAN, INF, None, [1], {}, b"1", True, "9" * 5000, 10**9 + 1, 10**5000, -1, "1.5", "x")
    ]
    + [{"reasoning_effort": value} for value in ("x" * 501, "a\nb", "\0", "\ud800", None, [], b"x", 10**5000)]
    + [{1: 2}, {None: 2, "a": 1}, {"unknown": 1}, {"\ud800" * 500: 1}],
)
def test_options_that_are_none(options):
    error = refused(clean_options, options, OPENAI)
    assert len(str(error)) < 400
    assert str(error).isprintable()


@pytest.mark.parametrize(
    "location", ["evil.example/x?", "evil.example:8443/", "x@evil.example/", "e#", "US", "a" * 41, "\u0661", "a\n"]
)
def test_a_location_that_would_be_another_host(location):
    refused(clean_options, {"location": location}, VERTEX)
    refused(clean_options, {"project": location.replace(".", "_") + "/"}, VERTEX)


def test_options_that_are_kept():
    assert clean_options({"location": " europe-west4 ", "project": "my.org:app-1"}, VERTEX) == {
        "location": "europe-west4",
        "project": "my.org:app-1",
    }
    assert clean_options({"location": "", "project": ""}, VERTEX) == {"location": ""}
    assert clean_options(
        {"context_tokens": " 512 ", "query_prefix": "query: "}, {**OPENAI, "embedding": registry.EMBEDDERS["ollama"]}
    ) == {
        "context_tokens": 512,
        "query_prefix": "query: ",
    }
    assert clean_options({"half": True}, PGVECTOR) == {"half": True}


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("http://h", "http://h:80", True), ("https://h", "https://H.:443/v2", True), ("postgresql://u@h/d", "postgresql://v@h:5432/e", True),
     ("http://h", "https://h", False), ("http://h", "http://h:8000", False), ("http://h", "http://i", False), ("", "https://h", False)],
)  # fmt: skip
def test_the_place_that_a_key_belongs_to(one, other, same):
    assert (place(one) == place(other)) is same


def test_the_location_is_part_of_the_place():
    assert place("") == place("", {}) == place("", {"location": ""}) == place("", {"location": "global", "project": "p"})
    assert place("", {"location": "eu"}) != place("")


@pytest.mark.parametrize("kind", ["faiss", "extractive", "local", "memory", "cross-encoder", "transformers", None, 5, ["a"]])
def test_what_is_built_in_cannot_be_added(kind):
    refused(refuse_built_in, kind)


def test_the_other_kinds_can_be_added():
    for kind in ("openai", "vertex", "qdrant", "pgvector", "ollama"):
        refuse_built_in(kind)
    with pytest.raises(UnknownComponent):
        refuse_built_in("opena")


def test_the_options_of_a_database_address_are_those_of_its_driver():
    for mode in postgres._SSL_MODES:
        assert clean_url(f"postgresql://u@h/d?sslmode={mode}", PGVECTOR)
