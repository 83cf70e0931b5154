"""The dictionary of options: unknown keys, impossible values, placeholders, and that the package itself loads nothing."""

import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from engine.errors import ConfigError, MissingSecret
from engine.security import SecurityIntegration
from engine.security.headers import api_headers, with_missing
from engine.security.options import Options, options_from
from engine.settings import KNOWN_SECRETS

SECRET = "a-secret-of-tests-0123456789-abcdefghij"
ROOT = Path(__file__).resolve().parents[3]


def test_an_unknown_key_is_refused_with_the_known_ones():
    with pytest.raises(ConfigError, match="rate_limit_per_minute") as caught:
        options_from({"rate_limit_per_minut": 5})
    assert caught.value.hint == "did you mean 'rate_limit_per_minute'?"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("enable_auth", 1), ("enable_auth", "false"), ("rate_limit_per_minute", 0), ("rate_limit_per_minute", True),
        ("rate_limit_per_minute", 1.5), ("rate_limit_per_minute", "100"), ("recovery_seconds", float("nan")), ("recovery_seconds", -1),
        ("auth_method", "basic"), ("auth_method", ["jwt"]), ("suspicious_input", True), ("hsts", "maybe"), ("jwt_secret", None), ("jwt_secret", b"x"),
        ("public_paths", "/health"), ("public_paths", ["health"]), ("public_paths", [1]), ("methods", []), ("is_revoked", "no"),
        ("api_keys", ["a"]), ("audit", "file.log"), ("deny_networks", "10.0.0.0/8"), ("audit_required", True),
    ],
)  # fmt: skip
def test_an_impossible_value_is_refused_by_name_and_not_repeated(name, value):
    with pytest.raises(ConfigError, match=name) as caught:
        options_from({"enable_auth": False, name: value})
    assert caught.value.hint


@pytest.mark.parametrize("secret", [*sorted(KNOWN_SECRETS), "", "short", "a" * 40])
@pytest.mark.parametrize("enable_auth", [True, False])
def test_a_placeholder_is_refused_when_applying(secret, enable_auth):
    if not secret and not enable_auth:
        SecurityIntegration({"enable_auth": False})  # nothing is signed, so there is nothing to guess
        return
    with pytest.raises(MissingSecret):
        SecurityIntegration({"enable_auth": enable_auth, "jwt_secret": secret})


def test_api_keys_have_to_come_from_somewhere():
    with pytest.raises(ConfigError, match="API keys"):
        SecurityIntegration({"auth_method": "api_key"})


def test_a_wrong_network_is_refused_when_applying():
    with pytest.raises(ConfigError, match="no network"):
        SecurityIntegration({"jwt_secret": SECRET, "trusted_proxies": ["10.0.0.1/8"]})


def test_secrets_are_in_no_repr():
    options = options_from({"jwt_secret": SECRET, "api_keys": {"0123456789ab": {"sha256": "f" * 64}}})
    assert SECRET not in repr(options)
    assert "ffff" not in repr(options)


def test_the_page_names_every_option_with_its_default():
    page = (ROOT / "docs" / "security-integration.md").read_text()
    for one in fields(Options):
        assert f"| `{one.name}` |" in page, one.name


def test_importing_the_package_loads_no_vendor():
    code = "import sys, engine.security; print([n for n in ('jwt','pydantic','starlette','fastapi','flask','django','bcrypt','cryptography') if n in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_integration_itself_needs_no_web_framework():
    code = (
        "import sys; from engine.security import apply_security_to_fastapi;"
        "print([n for n in ('starlette','fastapi','flask','django') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_headers_are_added_where_they_are_missing_and_never_twice():
    own = [(b"Content-Security-Policy", b"default-src 'self'"), (b"x-own", b"1")]
    merged = with_missing(own, api_headers("default-src 'none'"))
    names = [name.lower() for name, _ in merged]
    assert len(names) == len(set(names))
    assert dict(merged)[b"Content-Security-Policy"] == b"default-src 'self'"
    assert b"strict-transport-security" not in names
    assert (b"strict-transport-security", b"max-age=60") in api_headers("", hsts_seconds=60)
    assert b"content-security-policy" not in dict(api_headers(""))
