"""What every LexicalIndex promises, in several scripts."""

from __future__ import annotations

import string
import threading

import pytest

from engine.errors import StoreError
from engine.retrieval.lexical import TantivyIndex
from engine.types import Condition, Entry

TEXTS = {
    "en": "The committee approved the budgets of two hospitals in March 2020.",
    "de": "Der Ausschuss genehmigte die Haushalte zweier Krankenhäuser.",
    "zh": "委员会批准了两家医院的预算。",
    "ja": "委員会は病院の予算を承認しました。",
    "ar": "وافقت اللجنة على ميزانية المستشفيات الجديدة",
    "th": "คณะกรรมการอนุมัติงบประมาณของโรงพยาบาล",
    "ko": "위원회는 병원의 예산을 승인했습니다.",
}


def where(field: str, op: str, value) -> tuple[Condition, ...]:
    return (Condition(field=field, op=op, value=value),)


@pytest.fixture
def index(tmp_path):
    index = TantivyIndex(path=tmp_path / "words")
    yield index
    index.close()


@pytest.fixture
def languages(index):
    index.upsert([Entry(id=one) for one in TEXTS], list(TEXTS.values()))
    return index


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("Which budget did hospitals approve?", "en"),
        ("krankenhauser genehmigt", "de"),
        ("医院的预算", "zh"),
        ("予算を承認", "ja"),
        ("لجنة المستشفى", "ar"),
        ("โรงพยาบาล", "th"),
        ("병원에서", "ko"),
        ("ＢＵＤＧＥＴ", "en"),
    ],
)
def test_each_script_finds_its_text_first(languages, question, expected):
    assert languages.search(question, k=3)[0].id == expected


def test_nothing_in_nothing_out(index):
    assert index.count() == 0
    assert index.search("budget", k=5) == []
    index.upsert([], [])
    index.delete(["nobody"])
    index.upsert([Entry(id="a")], ["budget"])
    assert index.search("zebra", k=5) == []
    assert index.search("", k=5) == []
    assert index.search("the of and", k=5) == []
    assert index.search("budget", k=0) == []


@pytest.mark.parametrize(
    "question",
    [
        string.punctuation,
        *(f"budgets {sign} hospitals{sign}" for sign in string.punctuation),
        'text:budgets AND NOT (hospitals OR "two',
        "id:en budgets^9999 hospitals~2 [a TO *} budgets",
        "budgets\x00 hospitals \ud83d \U0001f600",
        "budgets hospitals " * 2000,
    ],
)
def test_any_text_is_a_valid_question(languages, question):
    found = languages.search(question, k=10)
    if "budgets" in question:
        assert found[0].id == "en"


def test_a_question_cannot_name_a_field(languages):
    assert languages.search("id:zh", k=5) == []


def test_order_scores_and_ties(index):
    ids = [f"t{i:02d}" for i in range(40, 0, -1)]
    index.upsert([Entry(id=one) for one in ids], ["the red house"] * 40)
    index.upsert([Entry(id="best")], ["red red house"])
    found = index.search("red", k=6)
    assert [match.id for match in found] == ["best", *sorted(ids)[:5]]
    assert found[0].score > found[1].score == found[5].score > 0
    assert len(index.search("red", k=1000)) == 41


def test_upsert_is_idempotent_and_replaces(index):
    entries, texts = [Entry(id=f"c{i}") for i in range(5)], [f"word{i} common" for i in range(5)]
    index.upsert(entries, texts)
    before = [match.id for match in index.search("common word3", k=10)]
    index.upsert(entries, texts)
    assert index.count() == 5
    assert [match.id for match in index.search("common word3", k=10)] == before
    index.upsert([Entry(id="c3"), Entry(id="c3")], ["first", "replacement"])
    assert index.count() == 5
    assert index.search("word3 first", k=10) == []
    assert index.search("replacement", k=10)[0].id == "c3"


def test_delete(index):
    index.upsert([Entry(id=f"c{i}") for i in range(5)], ["common"] * 5)
    index.delete(["c1", "c1", "unknown"])
    assert index.count() == 4
    assert [match.id for match in index.search("common", k=10)] == ["c0", "c2", "c3", "c4"]
    index.delete([f"c{i}" for i in range(5)])
    assert index.count() == 0
    assert index.search("common", k=10) == []


def test_long_ids_long_texts_and_repeated_terms(index):
    ids = ["x" * 99 + "1", "x" * 99 + "2"]
    index.upsert([Entry(id=one) for one in ids], ["filler " * 50_000 + "needle", "needle " * 3 + "filler " * 50_000])
    found = index.search("needle", k=2)
    assert [match.id for match in found] == [ids[1], ids[0]]
    assert found[0].score > found[1].score
    index.upsert([Entry(id="blob")], ["A1b2" * 30_000])
    assert index.search("A1b2" * 30_000, k=1)[0].id == "blob"


@pytest.mark.parametrize(
    ("conditions", "keeps"),
    [
        (where("kind", "eq", "odd one"), lambda i: i % 2 == 1),
        (where("page", "in", (3, 5, 999)), lambda i: i in (3, 5)),
        (where("page", "gte", 90), lambda i: i >= 90),
        (where("balance", "lte", -4.5), lambda i: i <= 5),
        (where("balance", "gte", -0.15) + where("balance", "lte", 1), lambda i: 49 <= i <= 60),
        (where("final", "eq", True), lambda i: i % 3 == 0),
        (where("final", "eq", 1), lambda i: False),
        (where("page", "eq", "3"), lambda i: False),
        (where("page", "eq", 3.0), lambda i: i == 3),
        (where("kind", "gte", "f"), lambda i: i % 2 == 1),
        (where("id", "in", ("c004", "c009", "zzz")) + where("kind", "eq", "odd one"), lambda i: i == 9),
        (where("missing", "eq", "x"), lambda i: False),
        (where("page", "in", ()), lambda i: False),
        (where("page", "eq", (3,)), lambda i: False),
    ],
)
def test_filters_act_inside_the_search(index, conditions, keeps):
    index.upsert(
        [
            Entry(
                id=f"c{i:03d}",
                metadata={
                    "page": i,
                    "kind": "odd one" if i % 2 else "even one",
                    "balance": i / 10 - 5,
                    "final": i % 3 == 0,
                },
            )
            for i in range(100)
        ],
        ["common word"] * 100,
    )
    expected = [f"c{i:03d}" for i in range(100) if keeps(i)]
    found = index.search("common", k=100, where=conditions)
    assert [match.id for match in found] == expected
    assert len(index.search("common", k=4, where=conditions)) == min(4, len(expected))
    if found:  # a filter selects, it does not score
        assert found[0].score == index.search("common", k=1)[0].score


def test_an_unknown_operator_never_matches_everything(languages):
    with pytest.raises(StoreError, match="unknown filter operator 'like'"):
        languages.search("budget", k=2, where=where("kind", "like", "o"))


def test_reopen(tmp_path):
    first = TantivyIndex(path=tmp_path / "words")
    first.upsert([Entry(id=one, metadata={"n": 1}) for one in TEXTS], list(TEXTS.values()))
    expected = first.search("budget hospital", k=5)
    first.close()
    again = TantivyIndex(path=tmp_path / "words")
    assert again.count() == len(TEXTS)
    assert again.search("budget hospital", k=5, where=where("n", "eq", 1)) == expected
    again.upsert([Entry(id="new")], ["budget budget"])
    assert again.search("budget", k=1)[0].id == "new"


@pytest.mark.parametrize("temporary", [True, False])
def test_a_saved_copy_opens_and_lives_its_own_life(tmp_path, temporary):
    index = TantivyIndex(path=None if temporary else tmp_path / "words")
    index.upsert([Entry(id="a"), Entry(id="b")], ["red", "green"])
    index.save(tmp_path / "copy")
    index.delete(["a"])
    index.close()
    copy = TantivyIndex(path=tmp_path / "copy")
    assert copy.count() == 2
    copy.upsert([Entry(id="c")], ["red"])
    assert [match.id for match in copy.search("red", k=5)] == ["a", "c"]


def test_a_folder_that_is_no_index_is_a_store_error(tmp_path):
    (tmp_path / "meta.json").write_text("{}")
    with pytest.raises(StoreError) as caught:
        TantivyIndex(path=tmp_path)
    assert caught.value.hint


def test_entries_and_texts_must_pair(index):
    with pytest.raises(StoreError, match="2 entries came with 1 texts"):
        index.upsert([Entry(id="a"), Entry(id="b")], ["one"])


def test_searches_beside_a_writer_see_a_change_whole(index):
    index.upsert([Entry(id="stay")], ["red"])
    group = [Entry(id=f"g{i}") for i in range(200)]
    stop, seen, failures = threading.Event(), set(), []

    def look() -> None:
        try:
            while not stop.is_set():
                seen.add(len(index.search("red", k=500)))
        except Exception as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    readers = [threading.Thread(target=look) for _ in range(2)]
    for reader in readers:
        reader.start()
    for _ in range(4):
        index.upsert(group, ["red"] * 200)
        index.delete([entry.id for entry in group])
    stop.set()
    for reader in readers:
        reader.join()
    assert not failures
    assert seen <= {1, 201}
