"""BEIR folders, whole and damaged."""

from __future__ import annotations

import pytest

from engine.errors import BrokenFile
from engine.evaluation.beir import BeirCollection, Passage


@pytest.fixture
def collection(tmp_path):
    (tmp_path / "qrels").mkdir()
    (tmp_path / "corpus.jsonl").write_text(
        '{"_id": "d1", "title": "T", "text": "größe"}\n\n{"_id": "d2", "text": ""}\n', "utf-8"
    )
    (tmp_path / "queries.jsonl").write_text('{"_id": "q1", "text": "one?"}\n{"_id": "q2", "text": "two?"}\n')
    (tmp_path / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t0\nq2\td1\t0\n")
    return BeirCollection(path=tmp_path)


def test_reads_all_three_parts(collection):
    assert list(collection.corpus()) == [Passage(id="d1", title="T", text="größe"), Passage(id="d2", title="", text="")]
    assert collection.queries() == {"q1": "one?", "q2": "two?"}
    assert collection.splits() == ["test"]
    assert collection.judgments("test") == {"q1": {"d1": 2, "d2": 0}}


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("corpus.jsonl", b'{"_id": "d1", "text": "x"}\n{"_id": "d2"', "corpus.jsonl line 2: not JSON"),
        ("corpus.jsonl", b'{"_id": 7, "text": "x"}', "corpus.jsonl line 1: '_id' is missing or not a text"),
        ("corpus.jsonl", b'{"_id": "d1"}', "line 1: 'text' is missing"),
        ("corpus.jsonl", b"[1]", "expected a JSON object"),
        ("corpus.jsonl", b"\xff\xfe", "not UTF-8"),
    ],
)
def test_a_damaged_corpus_names_the_place(collection, file, content, message):
    (collection.path / file).write_bytes(content)
    with pytest.raises(BrokenFile, match=message) as caught:
        list(collection.corpus())
    assert caught.value.hint


def test_damaged_or_missing_judgments(collection):
    (collection.path / "qrels" / "test.tsv").write_text("q1\td1\t1\nq2\td1\n")
    with pytest.raises(BrokenFile, match=r"test.tsv line 2"):
        collection.judgments("test")
    with pytest.raises(BrokenFile) as caught:
        collection.judgments("dev")
    assert "splits here: test" in caught.value.hint
