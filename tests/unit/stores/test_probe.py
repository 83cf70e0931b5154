"""Folders of embedded stores that were not closed in order: tried in a child, and put aside when that does not survive."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.stores import probe
from engine.stores.chroma import ChromaStore
from engine.types import Endpoint, Entry


def test_a_folder_closed_in_order_is_not_tried_and_one_that_kills_its_child_is_put_aside(tmp_path: Path) -> None:
    folder = tmp_path / "chroma"
    folder.mkdir()
    (folder / "data").write_text("x")
    crash = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    probe.opening(folder, crash)  # new: nothing to try
    probe.closed(folder)
    probe.opening(folder, crash)
    assert (folder / "data").exists()
    probe.opening(folder, "pass")  # it crashed, and is whole
    assert (folder / "data").exists()
    probe.opening(folder, crash)
    assert not (folder / "data").exists()
    assert (tmp_path / "chroma.damaged" / "data").read_text() == "x"


def test_damaged_files_of_chroma_do_not_reach_this_process(tmp_path: Path) -> None:
    endpoint = Endpoint(folder=str(tmp_path / "chroma"))
    store = ChromaStore(endpoint, dimension=4, space="a")
    store.upsert([Entry(id="1", metadata={})], np.eye(1, 4, dtype=np.float32))
    store.close()
    assert not (tmp_path / "chroma" / probe.MARK).exists()
    file = tmp_path / "chroma" / "chroma.sqlite3"
    file.write_bytes(b"not a database at all" + file.read_bytes()[21:])
    (tmp_path / "chroma" / probe.MARK).touch()  # as a kill leaves it
    again = ChromaStore(endpoint, dimension=4, space="a")
    assert again.count() == 0
    again.upsert([Entry(id="2", metadata={})], np.eye(1, 4, dtype=np.float32))
    assert again.ids() == ["2"]
    again.close()
