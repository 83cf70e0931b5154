"""Passwords: limits stated, hashes of older systems taken over, equal work for unknown users."""

import time

import pytest

from engine.errors import InputError
from engine.security import pbkdf2
from engine.security.passwords import BcryptHasher, Passwords, check_password
from tests.fixtures.old_hashes import HASHES_OF_OTHERS
from ui.hasher import AuthenticatorHasher

PASSWORDS = Passwords()
QUICK = Passwords(BcryptHasher(4))


def test_a_hash_verifies_its_own_password_only():
    stored = PASSWORDS.hash("pässwörter mögen Umlaute")
    assert stored.startswith("$2b$12$")
    assert PASSWORDS.verify("pässwörter mögen Umlaute", stored)
    assert not PASSWORDS.verify("passworter mogen Umlaute", stored)


@pytest.mark.parametrize("password", ["", "short", "123456789"])
def test_short_passwords_are_refused(password):
    with pytest.raises(InputError, match="10 characters"):
        PASSWORDS.hash(password)


def test_what_bcrypt_would_cut_is_refused_and_never_matches():
    with pytest.raises(InputError, match="72 bytes"):
        PASSWORDS.hash("ü" * 37)
    stored = PASSWORDS.hash("x" * 72)
    assert PASSWORDS.verify("x" * 72, stored)
    assert not PASSWORDS.verify("x" * 73, stored)


@pytest.mark.parametrize(
    ("password", "name"),
    [
        ("Password123", ""),
        ("qwertyuiop", ""),
        ("Anna.Berghold", " anna.berghold "),
        ("nul\0 in the middle", ""),
        ("\ud800 lone surrogate", ""),
    ],
)
def test_what_is_tried_first_and_what_is_no_text_is_refused_without_repeating_it(password, name):
    with pytest.raises(InputError) as refusal:
        check_password(password, name=name)
    assert password not in str(refusal.value) + refusal.value.hint


@pytest.mark.parametrize(
    "stored",
    ["", "plain text", "$2b$12$short", "$2b$31$" + "a" * 53, "$argon2id$v=19$m=1,t=1,p=1$abc$def", "pbkdf2_sha256$1$s$short",
     "pbkdf2_sha256$0$saltsalt$U/e7njNWa8fQWV5CnzhWBaQo1ruQ4Cdg6KDN+qs5KTg="],
)  # fmt: skip
def test_a_stored_text_that_is_no_hash_of_ours_never_matches(stored):
    assert not QUICK.verify("plain text", stored)
    assert not QUICK.verify(stored, stored)
    assert not QUICK.verify("", stored)


@pytest.mark.parametrize("password", ["\0" * 12, "\ud800 lone surrogate", "x" * 5000, ""])
def test_odd_input_is_refused_quietly(password):
    assert not QUICK.verify(password, QUICK.hash("a good password"))
    for stored in HASHES_OF_OTHERS:
        assert not QUICK.verify(password, stored)


@pytest.mark.parametrize(("stored", "password"), HASHES_OF_OTHERS.items(), ids=["Django", "Werkzeug", "passlib"])
def test_hashes_of_older_systems_are_verified_and_renewed(stored, password):
    assert stored.startswith(pbkdf2.PREFIXES)
    assert QUICK.verify(password, stored)
    assert not QUICK.verify(password + "x", stored)
    renewed = QUICK.renewed(password, stored)
    assert renewed.startswith("$2b$04$")
    assert QUICK.verify(password, renewed)
    assert QUICK.renewed(password, renewed) == ""


def test_more_work_than_is_bearable_is_not_done():
    django = "pbkdf2_sha256$2000001$saltsalt$U/e7njNWa8fQWV5CnzhWBaQo1ruQ4Cdg6KDN+qs5KTg="
    assert pbkdf2.parse(django) is None
    assert pbkdf2.parse(django.replace("2000001", "2000000")) is not None


def test_a_bcrypt_hash_of_fewer_rounds_is_renewed_and_one_of_more_is_kept():
    weak = BcryptHasher(4).hash("a good password")
    assert Passwords(BcryptHasher(5)).verify("a good password", weak)
    assert Passwords(BcryptHasher(5)).renewed("a good password", weak).startswith("$2b$05$")
    assert Passwords(BcryptHasher(4)).renewed("a good password", Passwords(BcryptHasher(5)).hash("a good password")) == ""


def test_a_password_that_bcrypt_cannot_read_whole_keeps_its_old_hash():
    long = "x" * 100
    salted = pbkdf2._derived(long.encode(), b"salt", 10)
    stored = f"pbkdf2:sha256:10$salt${salted.hex()}"
    assert QUICK.verify(long, stored)
    assert QUICK.renewed(long, stored) == ""


def test_the_engines_hasher_and_streamlit_authenticators_read_each_other():
    ours, theirs = BcryptHasher(), AuthenticatorHasher()
    assert theirs.check("a good password", ours.hash("a good password"))
    assert ours.check("a good password", theirs.hash("a good password"))
    assert theirs.hash("a good password").startswith(f"$2b${theirs.rounds}$")
    through = Passwords(theirs)
    for odd in ("x" * 73, "\0", "\ud800"):
        assert not through.verify(odd, ours.hash("a good password"))
    assert not through.verify("plain text", "plain text")


def test_every_kind_of_account_costs_as_much_as_nobody():
    bcrypt = Passwords(BcryptHasher(10))
    django = "pbkdf2_sha256$100000$saltsalt$" + "A" * 43 + "="
    kinds = [None, "", "plain", bcrypt.hash("a good password"), BcryptHasher(7).hash("a good password"), django]

    def fastest(stored):
        times = []
        for _ in range(5):
            begin = time.process_time()
            assert not bcrypt.verify("another password", stored, iterations=100_000)
            times.append(time.process_time() - begin)
        return min(times)

    nobody, *others = [fastest(stored) for stored in kinds]
    assert others == pytest.approx([nobody] * len(others), rel=0.3)
