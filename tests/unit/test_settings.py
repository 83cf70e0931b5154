"""Settings: which source wins, what is refused, and secrets that do not leak."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from engine.errors import ConfigError, MissingSecret
from engine.settings import load_secrets, load_settings


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_arguments_beat_environment_beat_file_beat_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_settings().chunk_tokens == 200
    (tmp_path / "workbench.toml").write_text('chunk_tokens = 100\nchunker = "fixed"\n[limits]\nmax_pages = 7\n')
    assert (load_settings().chunk_tokens, load_settings().limits.max_pages) == (100, 7)
    monkeypatch.setenv("WORKBENCH_CHUNK_TOKENS", "90")
    monkeypatch.setenv("WORKBENCH_LIMITS__MAX_PAGES", "8")
    assert (load_settings().chunk_tokens, load_settings().limits.max_pages) == (90, 8)
    assert load_settings(chunk_tokens=80).chunk_tokens == 80
    assert load_settings().chunker == "fixed"


def test_unknown_keys_are_refused_with_the_known_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError) as refusal:
        load_settings(chunk_tokenz=1)
    assert "chunk_tokenz" in str(refusal.value)
    assert "chunk_tokens" in refusal.value.hint
    monkeypatch.setenv("WORKBENCH_CHUNK_TOKENZ", "1")
    with pytest.raises(ConfigError, match="WORKBENCH_CHUNK_TOKENZ"):
        load_settings()
    monkeypatch.delenv("WORKBENCH_CHUNK_TOKENZ")
    (tmp_path / "workbench.toml").write_text("[limits]\nmax_pagez = 7\n")
    with pytest.raises(ConfigError, match=r"limits\.max_pagez"):
        load_settings()


@pytest.mark.parametrize("toml", ["chunk_tokens = 'many'", "chunk_tokens = 1", "not toml at all ="])
def test_wrong_values_name_the_problem(tmp_path: Path, toml: str) -> None:
    (tmp_path / "workbench.toml").write_text(toml)
    with pytest.raises(ConfigError) as refusal:
        load_settings()
    assert refusal.value.hint


def test_the_first_start_makes_random_secrets_that_only_the_owner_reads(tmp_path: Path) -> None:
    one = load_secrets(load_settings(data_dir=tmp_path / "one"))["secret_key"]
    two = load_secrets(load_settings(data_dir=tmp_path / "two"))["secret_key"]
    assert one != two
    assert one == load_secrets(load_settings(data_dir=tmp_path / "one"))["secret_key"]
    path = tmp_path / "one" / "secrets.json"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert one.get_secret_value() not in repr(one)
    assert [file.name for file in (tmp_path / "one").iterdir()] == ["secrets.json"]


@pytest.mark.parametrize("secret", ["changeme", "k3y", "x" * 64, "your-secret-key"])
def test_a_known_or_short_secret_is_refused(tmp_path: Path, secret: str) -> None:
    with pytest.raises(MissingSecret) as refusal:
        load_secrets(load_settings(data_dir=tmp_path, secret_key=secret))
    assert secret not in str(refusal.value)


def test_secrets_print_as_stars() -> None:
    secret = "a0b1c2d3e4f5g6h7i8j9k0l1m2n3o4p5"
    assert secret not in repr(load_settings(secret_key=secret))
    with pytest.raises(ConfigError) as refusal:
        load_settings(secret_key=["not", "a", secret])
    assert secret not in str(refusal.value)


@pytest.mark.parametrize("content", ["", "{}", "not json", "[]"])
def test_damaged_secrets_are_one_clear_line(tmp_path: Path, content: str) -> None:
    (tmp_path / "secrets.json").write_text(content)
    with pytest.raises(ConfigError, match="damaged"):
        load_secrets(load_settings(data_dir=tmp_path))


def test_a_data_folder_that_is_a_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    with pytest.raises(ConfigError, match="cannot be used"):
        load_secrets(load_settings(data_dir=tmp_path / "data"))
