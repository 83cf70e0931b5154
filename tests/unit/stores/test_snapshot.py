"""Snapshot folders survive a crash at any step of a write."""

from __future__ import annotations

import os

import pytest

from engine.errors import StoreError
from engine.stores import snapshot

OLD, NEW = {"a": b"old", "b": b"same"}, {"a": b"new", "b": b"same"}


@pytest.mark.parametrize("step", range(3))
def test_a_crash_leaves_the_old_snapshot_readable(tmp_path, monkeypatch, step):
    path = tmp_path / "index"
    snapshot.write(path, OLD)
    calls = []
    replace = os.replace

    def crash(source, target):
        calls.append(target)
        if len(calls) > step:
            raise OSError(28, "No space left on device")
        replace(source, target)

    monkeypatch.setattr(os, "replace", crash)
    with pytest.raises(StoreError, match="No space left"):
        snapshot.write(path, NEW)
    assert snapshot.read(path) == OLD
    monkeypatch.undo()
    snapshot.write(path, NEW)
    assert snapshot.read(path) == NEW
    assert len(list(path.iterdir())) == 3


def test_files_of_others_are_left_alone(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    snapshot.write(tmp_path, OLD)
    assert (tmp_path / "notes.txt").read_text() == "mine"


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path):
    (tmp_path / "index").write_text("")
    with pytest.raises(StoreError):
        snapshot.write(tmp_path / "index", OLD)
    with pytest.raises(StoreError):
        snapshot.fingerprint(tmp_path / "index")


def test_a_fingerprint_covers_names_and_contents_of_all_files_below(tmp_path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "one").write_text("1")
    seen = {snapshot.fingerprint(tmp_path)}
    (tmp_path / "a" / "two").write_text("1")
    seen.add(snapshot.fingerprint(tmp_path))
    (tmp_path / "a" / "two").rename(tmp_path / "two")
    seen.add(snapshot.fingerprint(tmp_path))
    (tmp_path / "two").write_text("2")
    seen.add(snapshot.fingerprint(tmp_path))
    assert len(seen) == 4
    with pytest.raises(StoreError):
        snapshot.fingerprint(tmp_path / "none")
