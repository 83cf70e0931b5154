"""What vendors say, made safe: secrets hidden, times to wait, numbers of tokens, names."""

from __future__ import annotations

import base64
import html
import json
import re
from urllib.parse import quote

import pytest

from engine.errors import BadResponse, ProviderRejected
from engine.types import Endpoint
from engine.vendors.status import clean_names, clean_text, from_status, redacted, retry_seconds, tokens

ODD = "hun/ter2+Zz%q'\"\\&<9é"


@pytest.mark.parametrize(
    "form",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(ODD, ensure_ascii=False)[1:-1],
        repr(ODD)[1:-1],
        html.escape(ODD),
        html.escape(ODD, quote=False),
        base64.b64encode(ODD.encode()).decode(),
        base64.urlsafe_b64encode(ODD.encode()).decode().rstrip("="),
        quote(ODD),
        quote(ODD, safe=""),
        re.sub("%..", lambda found: found[0].lower(), quote(ODD, safe="")),
        ODD[:5] + "\x00\u200b" + ODD[5:],
    ],
)
def test_a_secret_is_hidden_however_it_is_written(form):
    said = redacted(f"the key <{form}> is wrong", Endpoint(api_key=f" {ODD}\n"))
    assert said.startswith("the key <[key]")
    assert said.endswith("> is wrong")
    assert redacted(f"the key <{form}> is wrong", Endpoint(api_key="another"), "one-more", ODD) == said
    assert form not in said


@pytest.mark.parametrize("before", ["", "u", "us"])
def test_a_secret_inside_longer_base64_is_hidden(before):
    form = base64.b64encode(f"{before}:{ODD}:more".encode()).decode()
    assert len(redacted(form, Endpoint(api_key=ODD)).replace("[key]", "")) <= len(form) - len(ODD)


@pytest.mark.parametrize("message", [{"your": ["key", ODD]}, [{"input": {"key": ODD}}]])
def test_a_secret_inside_an_object_is_hidden(message):
    said = redacted(message, Endpoint(api_key=ODD))
    assert "[key]" in said
    assert "hun" not in said


def test_what_cannot_be_printed_is_left_out():
    cycle: list[object] = []
    cycle.append(cycle)
    assert redacted(cycle, Endpoint()) == "list"
    assert redacted(10**5000, Endpoint()) == "int"
    assert redacted("\x1b[31mred\u202e \n line\ud83d", Endpoint(api_key="\ud83d")) == "[31mred line"
    assert len(redacted("x " * 10_000_000, Endpoint(api_key=ODD))) == 300


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7),
        ("-7", 0),
        ("1e400", 3600),
        ("9" * 5000, 3600),
        ("nan", None),
        ("soon", None),
        ("", None),
        (None, None),
        ("Mon, 01 Jan 2024 00:00:00 +99999999999999", None),
        ("Mon, 01 Jan 0001 00:00:00 +2359", 0),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 3600),
        ("Mon, 01 Jan 2001 00:00:00 GMT", 0),
    ],
)
def test_how_long_to_wait(header, seconds):
    assert retry_seconds(header) == seconds


def test_statuses_out_of_the_ordinary():
    for status in (300, 301, 302, 307, 308):
        error = from_status(status, "", provider="p", endpoint=Endpoint())
        assert type(error) is ProviderRejected
        assert "another address" in error.hint
    for status in (-1, 0, 101, 204):
        assert type(from_status(status, "", provider="p", endpoint=Endpoint())) is BadResponse


def test_numbers_of_tokens():
    assert [tokens(value) for value in (0, 17, 2**53)] == [0, 17, 2**53]
    assert not any(map(tokens, (-1, 2**53 + 1, True, 1.5, float("inf"), "3", None, {}, [])))


def test_texts_and_names():
    assert clean_text("a\0b\ud83dc 😀é") == "a\ufffdb?c 😀é"
    assert clean_names([" b ", "a", "a", "", 3, None, "x\ny", "é" * 201, "\x1b[0m"]) == ["a", "b"]
    assert len(clean_names(f"{n}" for n in range(5000))) == 1000
