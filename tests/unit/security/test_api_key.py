"""API keys: their form, and that what is stored opens nothing."""

import hashlib
import re

import pytest

from engine.security.api_key import new_api_key, parse_api_key, same_digest


def test_a_new_key_is_found_by_its_id_and_proved_by_the_digest_of_its_secret():
    identifier, key, stored = new_api_key()
    assert re.fullmatch(r"wb_[0-9a-f]{12}_[A-Za-z0-9_-]{43}", key)
    assert stored == hashlib.sha256(key[16:].encode()).hexdigest()
    assert parse_api_key(key) == (identifier, stored)
    assert key[16:] not in stored


def test_keys_differ():
    assert len({new_api_key()[1] for _ in range(100)}) == 100


def test_a_wrong_secret_has_another_digest():
    identifier, key, stored = new_api_key()
    found = parse_api_key(key[:-1] + ("A" if key[-1] != "A" else "B"))
    assert found is not None
    assert found[0] == identifier
    assert not same_digest(found[1], stored)
    assert same_digest(stored, stored)


KEY = "wb_0123456789ab_" + "x" * 43


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wb_",
        KEY[:-1],
        KEY + "x",
        KEY.upper(),
        " " + KEY,
        KEY + "\n",
        KEY.replace("ab_", "AB_"),
        KEY[:-1] + "é",
        "wb_" + "0" * 9999,
    ],
)
def test_what_is_no_key_is_none(text):
    assert parse_api_key(text) is None
    assert parse_api_key(KEY) is not None
