"""Passwords and tokens: limits stated, equal work for unknown users, nothing stored that could be replayed."""

import time

import pytest

from engine.errors import InputError
from engine.security.passwords import hash_password, verify_password
from engine.security.tokens import digest, new_token


def test_a_hash_verifies_its_own_password_only():
    stored = hash_password("pässwörter mögen Umlaute")
    assert stored.startswith("$2b$12$")
    assert verify_password("pässwörter mögen Umlaute", stored)
    assert not verify_password("passworter mogen Umlaute", stored)


@pytest.mark.parametrize("password", ["", "short", "123456789"])
def test_short_passwords_are_refused(password):
    with pytest.raises(InputError, match="10 characters"):
        hash_password(password)


def test_what_bcrypt_would_cut_is_refused_and_never_matches():
    with pytest.raises(InputError, match="72 bytes"):
        hash_password("ü" * 37)
    stored = hash_password("x" * 72)
    assert verify_password("x" * 72, stored)
    assert not verify_password("x" * 73, stored)


@pytest.mark.parametrize("stored", ["", "plain text", "$2b$12$short", "$argon2id$v=19$m=1,t=1,p=1$abc$def"])
def test_a_stored_text_that_is_no_bcrypt_hash_never_matches(stored):
    assert not verify_password("plain text", stored)


@pytest.mark.parametrize("password", ["\0" * 12, "\ud800 lone surrogate", "x" * 5000, ""])
def test_odd_input_is_refused_quietly(password):
    assert not verify_password(password, hash_password("a good password"))


def test_an_unknown_user_costs_as_much_as_a_wrong_password():
    stored = hash_password("a good password")

    def fastest(known):
        times = []
        for _ in range(3):
            begin = time.process_time()
            assert not verify_password("another password", known)
            times.append(time.process_time() - begin)
        return min(times)

    assert fastest(None) == pytest.approx(fastest(stored), rel=0.3)


def test_tokens_are_long_url_safe_and_different():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_a_digest_does_not_contain_its_token():
    token = new_token()
    assert digest(token) == digest(token) != digest(new_token())
    assert len(digest(token)) == 64
    assert token not in digest(token)
