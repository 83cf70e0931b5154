"""One-time codes: the vectors of the RFCs, the window, no code twice."""

import base64
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from engine.security import totp

SECRET = base64.b32encode(b"12345678901234567890").decode()  # the key of both RFCs
RFC_4226 = ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"]
RFC_6238 = {59: "94287082", 1111111109: "07081804", 1111111111: "14050471", 1234567890: "89005924", 2000000000: "69279037",
            20000000000: "65353130"}  # fmt: skip


@pytest.mark.parametrize(("step", "code"), list(enumerate(RFC_4226)))
def test_the_vectors_of_rfc_4226(step, code):
    assert totp.code_at(SECRET, step) == code


@pytest.mark.parametrize(("seconds", "code"), RFC_6238.items())
def test_the_vectors_of_rfc_6238(seconds, code):
    # The RFC prints eight digits; six are the last ones of the same number.
    assert totp.matched_step(SECRET, code[-6:], at=seconds) == seconds // 30


def test_a_code_is_good_one_step_early_and_one_late():
    at = 1_000_000_000.0
    present = int(at // 30)
    steps = [totp.matched_step(SECRET, totp.code_at(SECRET, present + n), at=at) for n in range(-3, 4)]
    assert steps == [None, None, present - 1, present, present + 1, None, None]


def test_no_code_works_twice_nor_an_older_one_after_a_newer():
    at = 1_000_000_000.0
    present = int(at // 30)
    for n in (-1, 0):
        assert totp.matched_step(SECRET, totp.code_at(SECRET, present + n), at=at, after=present) is None
    assert totp.matched_step(SECRET, totp.code_at(SECRET, present + 1), at=at, after=present) == present + 1


@pytest.mark.parametrize("code", ["", "28708", "2870822", "28708a", "-28708", "２８７０８２", "٢٨٧٠٨٢", "287082\0"])
def test_what_is_no_code_is_refused(code):
    assert totp.matched_step(SECRET, code, at=59) is None


def test_codes_may_be_typed_with_spaces():
    assert totp.matched_step(SECRET, " 287 082\n", at=59) == 1


def test_secrets_are_random_and_the_link_holds_what_apps_need():
    secret = totp.new_secret()
    assert len(secret) == 32
    assert secret != totp.new_secret()
    parts = urlsplit(totp.uri(secret, name="änna&x=1"))
    assert (parts.scheme, parts.netloc) == ("otpauth", "totp")
    assert unquote(parts.path) == "/RAG Workbench:änna&x=1"
    fields = {name: values for name, values in parse_qs(parts.query).items()}
    assert fields == {"secret": [secret], "issuer": ["RAG Workbench"], "algorithm": ["SHA1"], "digits": ["6"], "period": ["30"]}
