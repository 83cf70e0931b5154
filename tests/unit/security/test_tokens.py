"""Tokens: nothing is stored that could be replayed."""

from engine.security.tokens import digest, new_token


def test_tokens_are_long_url_safe_and_different():
    tokens = {new_token() for _ in range(100)}
    assert len(tokens) == 100
    assert all(len(token) == 43 and token.replace("-", "").replace("_", "").isalnum() for token in tokens)


def test_a_digest_does_not_contain_its_token():
    token = new_token()
    assert digest(token) == digest(token) != digest(new_token())
    assert len(digest(token)) == 64
    assert token not in digest(token)
