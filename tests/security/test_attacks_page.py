"""docs/attacks.md names tests: each is there, and is a test."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMED = sorted(set(re.findall(r"`(tests/[^`]+)`", (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8"))))


def test_twenty_classes_and_more_are_answered():
    rows = [line for line in (ROOT / "docs" / "attacks.md").read_text(encoding="utf-8").splitlines() if "`tests/" in line]
    assert len(rows) >= 20


@pytest.mark.parametrize("name", NAMED)
def test_what_is_named_is_there(name):
    path, _, function = name.partition("::")
    source = (ROOT / path).read_text(encoding="utf-8")
    assert re.search(rf"def {function or 'test_'}", source)
