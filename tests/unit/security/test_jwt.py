"""Tokens: what is issued is accepted, and every known way to make or keep one otherwise is not."""

import base64
import json

import jwt as pyjwt
import pytest

from engine.errors import AccessDenied, InputError, MissingSecret
from engine.security.jwt import Claims, Tokens
from engine.settings import KNOWN_SECRETS

SECRET = "a-secret-of-tests-0123456789-abcdefghij"
NOW = 1_700_000_000.0


class Clock:
    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def tokens(clock):
    return Tokens(SECRET, issuer="us", audience="them", clock=clock)


def payload(**changes):
    plain = {
        "iss": "us",
        "aud": "them",
        "sub": "anna",
        "sid": "s1",
        "jti": "j1",
        "iat": NOW,
        "nbf": NOW,
        "exp": NOW + 60,
        "scope": "a b",
    }
    return {name: value for name, value in (plain | changes).items() if value is not None}


def forged(key=SECRET, algorithm="HS256", headers=None, **changes):
    return pyjwt.encode(payload(**changes), key, algorithm=algorithm, headers=headers)


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_an_issued_token_says_who_in_which_session_may_do_what(tokens):
    claims = tokens.verify(tokens.issue("anna", sid="s1", scopes=["write", "read"], seconds=60, team="blue"))
    assert isinstance(claims, Claims)
    assert (claims.sub, claims.sid, claims.scopes, claims.extra) == ("anna", "s1", {"read", "write"}, {"team": "blue"})
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + 60)
    assert claims.jti


def test_two_tokens_never_have_the_same_id(tokens):
    assert tokens.verify(tokens.issue("a", sid="s")).jti != tokens.verify(tokens.issue("a", sid="s")).jti


@pytest.mark.parametrize("seconds", [900.001, 3600, 0, -1, float("nan"), float("inf")])
def test_a_token_that_lives_too_long_is_not_issued(tokens, seconds):
    with pytest.raises(InputError):
        tokens.issue("anna", sid="s1", seconds=seconds)


@pytest.mark.parametrize(
    "wrong",
    [
        {"sub": "", "sid": "s"},
        {"sub": "a", "sid": ""},
        {"sub": "a", "sid": "s", "scopes": ["a b"]},
        {"sub": "a", "sid": "s", "exp": 1},
    ],
)
def test_a_token_without_subject_or_session_or_with_an_own_expiry_is_not_issued(tokens, wrong):
    with pytest.raises(InputError):
        tokens.issue(wrong.pop("sub"), **wrong)


@pytest.mark.parametrize("secret", [*sorted(KNOWN_SECRETS), "", "x" * 31, "a" * 64])
def test_placeholders_and_short_secrets_are_refused(secret):
    with pytest.raises(MissingSecret) as caught:
        Tokens(secret, issuer="us", audience="them")
    assert not secret or secret not in repr(caught.value.args) or secret in {"secret"}


def test_the_control_of_the_forgeries_below_is_accepted(tokens):
    assert tokens.verify(forged()).sub == "anna"
    assert tokens.verify(forged(exp=NOW + 900)).sub == "anna"


FORGERIES = {
    "no signature": lambda: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(payload())}.",
    "none with a signature": lambda: f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(payload())}.AAAA",
    "nOnE": lambda: f"{part({'alg': 'nOnE', 'typ': 'JWT'})}.{part(payload())}.AAAA",
    "another key": lambda: forged(key="another-secret-0123456789-abcdefghijk"),
    "another algorithm of the same key": lambda: forged(key=SECRET * 2, algorithm="HS512"),
    "HS384 with our key": lambda: forged(key=SECRET + "0123456789", algorithm="HS384"),
    "a key in the header": lambda: forged(headers={"jwk": {"kty": "oct", "k": "AAAA"}}),
    "a key's address in the header": lambda: forged(headers={"jku": "https://example.invalid/keys"}),
    "a key's name": lambda: forged(headers={"kid": "../../dev/null"}),
    "a critical extension": lambda: forged(headers={"crit": ["b64"], "b64": False}),
    "another type": lambda: forged(headers={"typ": "at+jwt"}),
    "the wrong issuer": lambda: forged(iss="somebody"),
    "the wrong audience": lambda: forged(aud="others"),
    "one of several audiences": lambda: forged(aud=["them", "others"]),
    "expired": lambda: forged(iat=NOW - 100, nbf=NOW - 100, exp=NOW - 5),
    "lives 901 s": lambda: forged(exp=NOW + 901),
    "ends before it began": lambda: forged(exp=NOW - 1),
    "issued in the future": lambda: forged(iat=NOW + 6, nbf=NOW, exp=NOW + 60),
    "not yet valid": lambda: forged(nbf=NOW + 6),
    "an endless expiry": lambda: forged(exp=float("inf")),
    "a text as expiry": lambda: forged(exp="9999999999"),
    "true as time of issue": lambda: forged(iat=True),
    "a number as session": lambda: forged(sid=7),
    "an empty session": lambda: forged(sid=""),
    "a list of scopes": lambda: forged(scope=["admin"]),
    "a changed body": lambda: ".".join([forged().split(".")[0], part(payload(sub="root")), forged().split(".")[2]]),
    "a cut signature": lambda: forged()[:-3],
    "a space behind": lambda: forged() + " ",
    "two of them": lambda: forged() + "." + forged(),
    "nothing": lambda: "",
    "beyond ASCII": lambda: forged() + "é",
    "a surrogate": lambda: "a.b.\ud800",
    "very long": lambda: forged(note="x" * 9000),
    "deep nesting": lambda: f"{base64.urlsafe_b64encode(b'[' * 4000).decode().rstrip('=')}.AA.AA",
    **{
        f"without {name}": (lambda name=name: forged(**{name: None}))
        for name in ("iss", "aud", "sub", "sid", "jti", "iat", "nbf", "exp")
    },
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forgery_is_refused_and_never_repeated(tokens, name):
    token = FORGERIES[name]()
    with pytest.raises(AccessDenied) as caught:
        tokens.verify(token)
    shown = f"{caught.value} {caught.value.hint} {caught.value.__cause__!r}"
    assert not token or token not in shown
    assert SECRET not in shown


def test_a_token_ends_at_its_expiry_but_for_five_seconds_of_leeway(tokens, clock):
    token = tokens.issue("anna", sid="s1", seconds=60)
    clock.now = NOW + 64.9
    assert tokens.verify(token).sub == "anna"
    clock.now = NOW + 65
    with pytest.raises(AccessDenied, match="expired"):
        tokens.verify(token)


def test_the_secret_is_in_no_repr(tokens):
    assert SECRET not in repr(tokens)
