"""Breakers on the command line, as an operator on the machine uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from engine.__main__ import app


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments))


def test_b24_breakers_are_listed_tripped_and_reset_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKBENCH_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("WORKBENCH_PROVIDER_KEY", "sk-0123456789abcdef")
    assert "Nothing that is in use needs a breaker" in run("breakers").output
    assert run("provider", "add", "openai", "--name", "box", "--url", "http://127.0.0.1:9").exit_code == 0
    assert run("use", "--chat", "box:m-1", "--chat", "extractive").exit_code == 0
    [listed] = json.loads(run("breakers", "--json").output)
    assert listed["dependency"] == {"operation": "chat", "provider": "box", "model": "m-1"}
    assert listed["state"] == "closed"
    done = run("breakers", "trip", listed["id"][:6], "--reason", "the bill is due")
    assert done.exit_code == 0, done.output
    assert "chat · box · m-1 is tripped; servers follow within two seconds" in done.output
    shown = run("breakers").output
    assert "tripped" in shown
    assert "by command line at" in shown
    assert "the bill is due" in shown
    assert run("breakers", "reset", listed["id"]).exit_code == 0
    assert json.loads(run("breakers", "--json").output)[0]["state"] == "closed"
    unknown = run("breakers", "hold", "nothing")
    assert unknown.exit_code != 0
    assert "0 breakers have an id that begins with" in unknown.output
