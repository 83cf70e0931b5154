"""The file of checkpoints: appended to, whole after a crash, never fooled by lines that are not ours."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.database.audit_checkpoints import Checkpoint, Checkpoints
from engine.errors import StoreError

KEY = b"k" * 32


def at(seq: int) -> Checkpoint:
    return Checkpoint(at=datetime(2026, 1, 1, tzinfo=UTC), rows=seq, seq=seq, hash="0" * 64)


@pytest.fixture
def file(tmp_path: Path) -> Checkpoints:
    return Checkpoints(tmp_path / "deep" / "checkpoints.jsonl", KEY)


def test_only_what_is_newer_is_appended(file: Checkpoints) -> None:
    assert [file.append(at(seq)) for seq in (1, 1, 5, 3, 6)] == [True, False, True, False, True]
    assert file.read() == ([at(1), at(5), at(6)], "")
    assert oct(file.path.stat().st_mode & 0o777) == "0o600"


def test_no_file_is_no_checkpoint(file: Checkpoints) -> None:
    assert file.read() == ([], "")


def test_many_writers_leave_linked_lines(file: Checkpoints) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda seq: Checkpoints(file.path, KEY).append(at(seq)), range(1, 60)))
    found, problem = file.read()
    assert problem == ""
    assert found[-1] == at(59)


def test_a_line_that_a_crash_cut_off_is_written_over(file: Checkpoints) -> None:
    file.append(at(1))
    with file.path.open("ab") as raw:
        raw.write(b'{"at": "2026')
    assert file.read() == ([at(1)], "line 2 of the checkpoint file is damaged")
    file.append(at(2))
    assert file.read() == ([at(1), at(2)], "")


def test_a_forged_last_line_does_not_stop_later_checkpoints(file: Checkpoints) -> None:
    file.append(at(1))
    Checkpoints(file.path, b"x" * 32).append(at(1_000_000))
    assert file.append(at(2))
    assert file.read()[1] == "line 2 of the checkpoint file is damaged"


def test_a_later_part_of_the_file_stands_alone(file: Checkpoints) -> None:
    for seq in (1, 2, 3):
        file.append(at(seq))
    file.path.write_text("".join(file.path.read_text().splitlines(keepends=True)[1:]))
    assert file.read() == ([at(2), at(3)], "")


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("")
    with pytest.raises(StoreError, match=r"checkpoints\.jsonl") as refusal:
        Checkpoints(tmp_path / "taken" / "checkpoints.jsonl", KEY).append(at(1))
    assert "audit.checkpoint_file" in refusal.value.hint
