"""What PgvectorStore adds to the contract of stores; against a real PostgreSQL with pgvector."""

from __future__ import annotations

import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import asyncpg
import numpy as np
import pytest

from engine.errors import ConfigError, DimensionMismatch, EngineError, StoreError
from engine.stores.memory import MemoryStore
from engine.stores.pgvector import INDEX_FROM, PgvectorStore
from engine.types import Condition, Endpoint, Entry
from engine.vendors.postgres import Postgres, translated
from tests.servers.pgvector import server
from tests.servers.postgres import PASSWORD, running

D = 8
TABLE = '"workbench_s"'


def unit(rows: int, *, seed: int = 0, dimension: int = D):
    matrix = np.random.default_rng(seed).standard_normal((rows, dimension)).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


def entries(rows: int) -> list[Entry]:
    return [
        Entry(
            id=f"c{i:05d}", metadata={"page": i % 40, "kind": "odd" if i % 2 else "even", "tenth": i / 10, "third": i % 3 == 0}
        )
        for i in range(rows)
    ]


def where(field: str, op: str, value) -> Condition:
    return Condition(field=field, op=op, value=value)


def sql(endpoint: Endpoint, statement: str) -> str:
    return running().sql(statement, endpoint.base_url.rsplit("/", 1)[1])


@pytest.fixture
def endpoint():
    with server() as place:
        yield place


@pytest.fixture
def store(endpoint):
    return PgvectorStore(endpoint, dimension=D, space="s")


def test_a_store_can_be_made_without_a_server():
    PgvectorStore(Endpoint(base_url="postgresql://nobody@192.0.2.1:1/none"), dimension=D, space="s").close()


@pytest.mark.parametrize(
    "address",
    ["", "postgresql://u@host", "postgresql://host/db", "mysql://u@host/db", "postgresql://u@h:port/db",
     "postgresql://u@h/db?options=-c", "postgresql://u@h/db?sslmode=never", "/var/run/db"],
)  # fmt: skip
def test_an_address_that_is_none(address):
    with pytest.raises(ConfigError):
        PgvectorStore(Endpoint(base_url=address), dimension=D, space="s")


@pytest.mark.parametrize(
    "address",
    [f"postgresql://u:{PASSWORD}@h/db", f"postgresql://u@h/db?password={PASSWORD}", f"postgresql://u%3A{PASSWORD}@h/db",
     f"postgresql://u:1/{PASSWORD}@h/db"],
)  # fmt: skip
def test_a_password_belongs_into_the_key(address):
    with pytest.raises(ConfigError) as caught:
        PgvectorStore(Endpoint(base_url=address), dimension=D, space="s")
    assert "as the key" in caught.value.hint
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("space", ["", "A", 'x"; DROP TABLE y', "a-b", "x" * 49, "ä"])
def test_a_space_that_cannot_be_a_table(endpoint, space):
    with pytest.raises(ConfigError):
        PgvectorStore(endpoint, dimension=D, space=space)


def test_the_longest_name_of_a_space(endpoint):
    store = PgvectorStore(endpoint, dimension=D, space="x" * 48, index_from=5)
    store.upsert(entries(9), unit(9))
    assert sql(endpoint, "SELECT indexname FROM pg_indexes WHERE indexdef LIKE '%hnsw%'") == "workbench_" + "x" * 48 + "_hnsw"


def test_the_environment_is_not_read(endpoint, monkeypatch):
    for name, value in {"PGHOST": "192.0.2.1", "PGPORT": "1", "PGUSER": "x", "PGPASSWORD": PASSWORD, "PGDATABASE": "y"}.items():
        monkeypatch.setenv(name, value)
    assert PgvectorStore(endpoint, dimension=D, space="s").count() == 0
    with pytest.raises(StoreError, match="password"):
        PgvectorStore(replace(endpoint, api_key=""), dimension=D, space="s").count()


@pytest.mark.parametrize("index_from", [INDEX_FROM, 1])
def test_the_same_as_memory_after_many_changes(endpoint, index_from):
    store, memory = PgvectorStore(endpoint, dimension=D, space="s", index_from=index_from), MemoryStore(dimension=D)
    random = np.random.default_rng(7)
    for step in range(12):
        chosen = [entries(300)[i] for i in random.choice(300, size=30, replace=False)]
        vectors = unit(30, seed=step)
        vectors[:10] = vectors[0]  # ties
        gone = [f"c{i:05d}" for i in random.integers(0, 300, size=5)]
        for one in (store, memory):
            one.upsert(chosen, vectors)
            one.delete(gone)
        query = vectors[step]
        for condition in ((), (where("kind", "eq", "odd"),), (where("page", "lte", 9), where("third", "eq", False))):
            found, expected = store.search(query, k=12, where=condition), memory.search(query, k=12, where=condition)
            assert [one.id for one in found] == [one.id for one in expected]
            assert [one.score for one in found] == pytest.approx([one.score for one in expected], abs=1e-5)
        assert store.ids() == memory.ids()
        assert store.count() == memory.count()
    np.testing.assert_array_equal(store.fetch(store.ids()), memory.fetch(memory.ids()))


VALUES = ["Zebra", "apfel", "Äpfel", "", "3", 3, 3.0, 2**53, 0.1, -1, True, False, 1, 0, "true", "null", "é", "😀", "~"]


def test_filters_mean_what_they_mean_in_memory(endpoint, store):
    rows = [Entry(id=f"v{i:02d}", metadata={"field": value, 'a "quoted" $1 field': i}) for i, value in enumerate(VALUES)]
    memory = MemoryStore(dimension=D)
    for one in (store, memory):
        one.upsert([*rows, Entry(id="v99")], unit(len(rows) + 1))
    conditions = [where("field", op, value) for value in VALUES for op in ("eq", "gte", "lte", "in")]
    conditions += [where("field", "in", tuple(VALUES[i : i + 3])) for i in range(len(VALUES))]
    conditions += [where("id", op, value) for op in ("eq", "gte", "lte") for value in ("v03", 3, True)]
    conditions += [
        where("field", "eq", ("3",)),
        where("id", "in", ("v01", 2)),
        where("id", "in", ()),
        where("metadata", "eq", 1),
    ]
    conditions += [where('a "quoted" $1 field', "lte", 4), where("nothing", "lte", "x"), where("id", "in", "v01")]
    for condition in conditions:
        found = [one.id for one in store.search(unit(1)[0], k=99, where=(condition,))]
        assert found == [one.id for one in memory.search(unit(1)[0], k=99, where=(condition,))], condition


EVIL = ['\'; DROP TABLE "workbench_s"; --', "$1", '"', "\\", "%s", "a'b", "{}", "NULL", "\u2028", "x" * 2000]


def test_ids_fields_and_values_are_data(endpoint, store):
    rows = [Entry(id=evil, metadata={evil: evil, "n": i}) for i, evil in enumerate(EVIL)]
    store.upsert(rows, unit(len(rows)))
    assert store.ids() == sorted(EVIL)
    for i, evil in enumerate(EVIL):
        for condition in (
            where(evil, "eq", evil),
            where("id", "eq", evil),
            where("id", "in", (evil,)),
            where(evil, "gte", evil),
        ):
            found = store.search(unit(len(rows))[i], k=99, where=(condition, where("n", "eq", i)))
            assert [one.id for one in found] == [evil]
    store.delete(EVIL[:5])
    assert store.ids() == sorted(EVIL[5:])


@pytest.mark.parametrize("entry", [Entry(id="a\0b"), Entry(id="a", metadata={"x": "\0"}), Entry(id="a", metadata={"x": float("nan")}),
                                   Entry(id="\ud800")])  # fmt: skip
def test_what_postgres_cannot_hold_is_refused_and_nothing_is_kept(store, entry):
    store.upsert(entries(1), unit(1))
    with pytest.raises(StoreError):
        store.upsert([Entry(id="z"), entry], unit(2))
    assert store.ids() == ["c00000"]


def test_more_entries_than_one_statement_takes_are_one_change(endpoint, store):
    store.upsert(entries(2500), unit(2500))
    assert store.count() == 2500
    bad = [Entry(id=f"d{i:05d}") for i in range(2499)] + [Entry(id="z\0")]
    with pytest.raises(StoreError):
        store.upsert(bad, unit(2500))
    assert store.count() == 2500
    assert store.fetch(store.ids()).shape == (2500, D)


def test_fetch_of_nothing_and_of_unknown_ids(store):
    assert store.fetch([]).shape == (0, D)
    with pytest.raises(StoreError, match="no entry 'x'"):
        store.fetch(["x"])
    store.upsert(entries(3), unit(3))
    np.testing.assert_array_equal(store.fetch(["c00002", "c00000", "c00002"]), unit(3)[[2, 0, 2]])
    with pytest.raises(StoreError, match="no entry 'x'"):
        store.fetch(["c00002", "x"])


def test_drop_takes_the_table_away_and_may_be_repeated(endpoint, store):
    store.drop()
    store.upsert(entries(3), unit(3))
    assert sql(endpoint, "SELECT count(*) FROM pg_tables WHERE tablename = 'workbench_s'") == "1"
    store.drop()
    store.drop()
    assert sql(endpoint, "SELECT count(*) FROM pg_tables WHERE tablename = 'workbench_s'") == "0"
    assert (store.count(), store.ids(), store.search(unit(1)[0], k=3)) == (0, [], [])
    store.upsert(entries(2), unit(2))
    assert store.count() == 2


def test_a_dropped_space_may_come_back_with_another_dimension(endpoint, store):
    store.upsert(entries(3), unit(3))
    for _ in range(10):
        store.search(unit(1)[0], k=3)
    other = PgvectorStore(endpoint, dimension=5, space="s")
    with pytest.raises(DimensionMismatch):
        other.search(unit(1, dimension=5)[0], k=1)
    with pytest.raises(DimensionMismatch):
        other.upsert(entries(1), unit(1, dimension=5))
    assert store.count() == 3
    other.drop()
    other.upsert(entries(1), unit(1, dimension=5))
    assert [one.id for one in other.search(unit(1, dimension=5)[0], k=3)] == ["c00000"]


def uses(endpoint: Endpoint, index: str) -> int:
    """How often the server read an index so far; it counts a connection's reads when the connection ends."""
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    sql(endpoint, f"SELECT pg_terminate_backend(pid, 5000) {others}")
    return int(sql(endpoint, f"SELECT coalesce(max(idx_scan), 0) FROM pg_stat_user_indexes WHERE indexrelname = '{index}'"))


def clustered(rows: int, dimension: int):
    random = np.random.default_rng(3)
    basis = random.standard_normal((12, dimension))
    matrix = (random.standard_normal((rows, 12)) @ basis + 0.3 * random.standard_normal((rows, dimension))).astype(np.float32)
    return matrix / np.linalg.norm(matrix, axis=1, keepdims=True)


@pytest.mark.parametrize("half", [False, True])
def test_above_the_threshold_the_index_answers_as_the_exact_scan_does(endpoint, half):
    endpoint = replace(endpoint, options={"half": half})
    dimension, rows = 48, 2000
    vectors, memory = clustered(rows, dimension), MemoryStore(dimension=dimension)
    store = PgvectorStore(endpoint, dimension=dimension, space=f"i{half}".lower(), index_from=1500)
    memory.upsert(entries(rows), vectors)
    index = f"workbench_i{half}_hnsw".lower()
    store.upsert(entries(1400), vectors[:1400])
    assert sql(endpoint, f"SELECT count(*) FROM pg_indexes WHERE indexname = '{index}'") == "0"
    store.upsert(entries(rows)[1400:], vectors[1400:])
    assert sql(endpoint, f"SELECT count(*) FROM pg_indexes WHERE indexname = '{index}'") == "1"
    conditions = [(), (where("kind", "eq", "odd"),), (where("page", "eq", 7),), (where("tenth", "gte", 150),)]
    for condition in conditions:
        good = 0
        for query in vectors[:40]:
            expected = {one.id: one.score for one in memory.search(query, k=10, where=condition)}
            found = {one.id: one.score for one in store.search(query, k=10, where=condition)}
            assert len(found) == len(expected) == 10
            good += len(expected.keys() & found.keys())
            for one in expected.keys() & found.keys():
                assert found[one] == pytest.approx(expected[one], abs=2e-3 if half else 1e-5)
        assert good / 400 >= 0.95, condition
    assert uses(endpoint, index) >= 4 * 40
    assert len(store.search(vectors[0], k=rows + 5)) == rows
    assert len(store.search(vectors[0], k=9, where=(where("tenth", "gte", 199.5),))) == 5


@pytest.mark.parametrize("index_from", [INDEX_FROM, 10])
def test_many_equal_vectors_are_cut_by_id(endpoint, index_from):
    store = PgvectorStore(endpoint, dimension=D, space="s", index_from=index_from)
    ids = [f"t{i:04d}" for i in np.random.default_rng(1).permutation(700)]
    store.upsert([Entry(id=one, metadata={"n": int(one[1:])}) for one in ids], np.repeat(unit(1), 700, axis=0))
    store.upsert(entries(50), unit(50, seed=5))
    assert [one.id for one in store.search(unit(1)[0], k=7)] == sorted(ids)[:7]
    found = store.search(unit(1)[0], k=7, where=(where("n", "gte", 650),))
    assert [one.id for one in found] == sorted(ids)[650:657]


def test_half_keeps_half_the_bytes(endpoint):
    store = PgvectorStore(replace(endpoint, options={"half": True}), dimension=D, space="s")
    store.upsert(entries(30), unit(30))
    np.testing.assert_allclose(store.fetch(store.ids()), unit(30), atol=1e-3)
    assert sql(endpoint, f"SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attrelid = '{TABLE}'::regclass "
                         "AND attname = 'embedding'") == f"halfvec({D})"  # fmt: skip


@pytest.mark.parametrize("half", [False, True])
def test_the_precision_of_a_space_is_the_one_it_was_made_with(endpoint, half):
    first = PgvectorStore(replace(endpoint, options={"half": half}), dimension=D, space="s", index_from=20)
    then = PgvectorStore(replace(endpoint, options={"half": not half}), dimension=D, space="s", index_from=20)
    first.upsert(entries(30), unit(30))
    then.upsert(entries(30), unit(30))
    assert then.search(unit(30)[7], k=1)[0].id == "c00007"
    np.testing.assert_allclose(then.fetch(then.ids()), unit(30), atol=1e-3)


def test_vectors_that_cannot_be_indexed_stay_exact(endpoint):
    store = PgvectorStore(endpoint, dimension=2001, space="s", index_from=2)
    store.upsert(entries(9), unit(9, dimension=2001))
    assert sql(endpoint, "SELECT count(*) FROM pg_indexes WHERE indexdef LIKE '%hnsw%'") == "0"
    assert store.search(unit(9, dimension=2001)[4], k=1)[0].id == "c00004"


def test_an_index_that_cannot_be_built_costs_speed_only(endpoint, caplog):
    store = PgvectorStore(endpoint, dimension=D, space="s", index_from=5)
    store.upsert(entries(3), unit(3))
    sql(endpoint, 'CREATE SCHEMA other; CREATE FUNCTION no() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN RAISE \'no room\'; END $$;'
                  " CREATE EVENT TRIGGER no ON ddl_command_start WHEN TAG IN ('CREATE INDEX') EXECUTE FUNCTION no()")  # fmt: skip
    with caplog.at_level(logging.WARNING):
        store.upsert(entries(9), unit(9))
        store.upsert(entries(9), unit(9))
    assert caplog.text.count("no room") == 1
    assert store.search(unit(9)[8], k=1)[0].id == "c00008"


def test_several_threads_make_one_new_space_at_once(endpoint):
    def write(i: int) -> None:
        store = PgvectorStore(endpoint, dimension=D, space="s", index_from=100)
        store.upsert(entries(200)[i * 20 : i * 20 + 40], unit(200)[i * 20 : i * 20 + 40])

    with ThreadPoolExecutor(9) as threads:
        list(threads.map(write, range(9)))
    assert PgvectorStore(endpoint, dimension=D, space="s").count() == 200


def test_several_processes_make_one_new_space_at_once(endpoint):
    program = (
        "import sys, numpy; from engine.stores.pgvector import PgvectorStore; from engine.types import Endpoint, Entry\n"
        "store = PgvectorStore(Endpoint(base_url=sys.argv[1], api_key=sys.argv[2]), dimension=8, space='s')\n"
        "sys.stdin.readline(); store.upsert([Entry(id=sys.argv[3])], numpy.eye(1, 8, dtype='float32'))"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, endpoint.base_url, PASSWORD, f"p{i}"], stdin=subprocess.PIPE)
        for i in range(3)
    ]
    for child in children:
        child.stdin.write(b"\n")
        child.stdin.flush()
    assert [child.wait(60) for child in children] == [0, 0, 0]
    assert PgvectorStore(endpoint, dimension=D, space="s").ids() == ["p0", "p1", "p2"]


def test_changes_of_the_same_entries_at_once_do_not_lock_each_other_out(store):
    rows = entries(200)

    def write(i: int) -> None:
        order = np.random.default_rng(i).permutation(200)
        store.upsert([rows[j] for j in order], unit(200)[order])
        store.delete([rows[j].id for j in order[:50]])

    with ThreadPoolExecutor(6) as threads:
        list(threads.map(write, range(12)))
    assert set(store.ids()) <= {one.id for one in rows}


def test_a_search_sees_a_change_whole_or_not_at_all(store):
    done, seen = threading.Event(), set()
    store.upsert([Entry(id=f"c{i:05d}", metadata={"turn": 0}) for i in range(50)], unit(50))

    def look() -> None:
        while not done.is_set():
            seen.add(len(store.search(unit(1)[0], k=99, where=(where("turn", "eq", 0),))))

    reader = threading.Thread(target=look)
    reader.start()
    for turn in (1, 0) * 10:
        store.upsert([Entry(id=f"c{i:05d}", metadata={"turn": turn}) for i in range(50)], unit(50))
    done.set()
    reader.join()
    assert seen <= {0, 50}


def test_after_a_restart_of_the_server_the_next_call_works(endpoint, store):
    store.upsert(entries(5), unit(5))
    running().stop()
    with pytest.raises(StoreError) as caught:
        store.count()
    assert "cannot be reached" in str(caught.value)
    assert "Check that it runs" in caught.value.hint
    running().start()
    assert store.count() == 5
    running().stop()
    running().start()
    time.sleep(0.2)
    assert store.count() == 5


def test_a_wrong_password_and_a_missing_database(endpoint):
    wrong = PgvectorStore(replace(endpoint, api_key="not-" + PASSWORD), dimension=D, space="s")
    with pytest.raises(StoreError) as caught:
        wrong.count()
    assert "the password is the key" in caught.value.hint
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))
    with pytest.raises(StoreError) as caught:
        PgvectorStore(replace(endpoint, base_url=running().url("none")), dimension=D, space="s").count()
    assert "no database of that name" in caught.value.hint


def test_a_user_who_may_not_add_the_extension_is_told_what_to_do(endpoint):
    sql(endpoint, f"DROP ROLE IF EXISTS plain; CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    plain = replace(endpoint, base_url=endpoint.base_url.replace("//workbench@", "//plain@"))
    store = PgvectorStore(plain, dimension=D, space="s")
    with pytest.raises(StoreError) as caught:
        store.upsert(entries(1), unit(1))
    assert "CREATE EXTENSION vector" in caught.value.hint
    sql(endpoint, "CREATE SCHEMA places; CREATE EXTENSION vector SCHEMA places")
    with pytest.raises(StoreError) as caught:
        store.upsert(entries(1), unit(1))
    assert caught.value.hint
    sql(endpoint, "GRANT ALL ON SCHEMA public, places TO plain; ALTER ROLE plain SET search_path = public, places")
    again = PgvectorStore(replace(plain, timeout_seconds=29), dimension=D, space="s")  # other connections
    again.upsert(entries(3), unit(3))
    assert again.search(unit(3)[2], k=1)[0].id == "c00002"


def test_an_answer_that_does_not_come(endpoint, store):
    store.upsert(entries(3), unit(3))
    quick = PgvectorStore(replace(endpoint, timeout_seconds=1), dimension=D, space="s")
    holder = threading.Thread(target=sql, args=(endpoint, f"BEGIN; LOCK TABLE {TABLE}; SELECT pg_sleep(3); COMMIT"))
    holder.start()
    time.sleep(0.5)
    begin = time.monotonic()
    with pytest.raises(StoreError, match=r"no answer within 1 s|57014"):
        quick.search(unit(1)[0], k=1)
    assert time.monotonic() - begin < 2.5
    holder.join()
    assert len(quick.search(unit(1)[0], k=1)) == 1


def test_a_server_that_hangs_in_the_middle(endpoint, store):
    quick = PgvectorStore(replace(endpoint, timeout_seconds=1), dimension=D, space="s")
    quick.upsert(entries(3), unit(3))
    others = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    backends = [int(pid) for pid in sql(endpoint, f"SELECT pid {others}").split()]
    for pid in backends:
        os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        with pytest.raises(StoreError, match="no answer within 1 s"):
            quick.search(unit(1)[0], k=1)
        assert time.monotonic() - begin < 10
        assert store.count() == 3  # over another connection
    finally:
        for pid in backends:
            os.kill(pid, signal.SIGCONT)
    assert quick.count() == 3


def test_a_server_that_says_nothing(endpoint):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = PgvectorStore(
            Endpoint(base_url=f"postgresql://u@127.0.0.1:{port}/db", timeout_seconds=1), dimension=D, space="s"
        )
        with pytest.raises(StoreError, match="no answer within 1 s"):
            store.count()


def test_every_error_of_asyncpg_becomes_one_of_ours():
    kinds = [one for one in vars(asyncpg.exceptions).values() if isinstance(one, type) and issubclass(one, Exception)]
    assert len(kinds) > 200
    endpoint = Endpoint(base_url="postgresql://u@h/d", api_key=PASSWORD)
    for kind in kinds:
        ours = translated(kind(f"it broke with {PASSWORD}"), endpoint)
        assert isinstance(ours, StoreError), kind
        assert isinstance(ours, EngineError)
        assert ours.hint
        assert PASSWORD not in str(ours) + ours.hint + repr(ours)


def test_the_password_is_shown_nowhere(endpoint, store, caplog):
    with caplog.at_level(logging.DEBUG):
        store.upsert(entries(3), unit(3))
        store.search(unit(1)[0], k=1)
    assert PASSWORD not in caplog.text + repr(vars(store)) + repr(endpoint)


def test_an_address_that_cannot_be_read_is_not_repeated():
    with pytest.raises(ConfigError) as caught:
        PgvectorStore(Endpoint(base_url=f"postgresql://u:{PASSWORD}/x@h/db"), dimension=D, space="s")
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def answering(connection: socket.socket, mode: str) -> None:
    """Take a login with the password in clear, and repeat it in what is said then."""

    def packet() -> bytes:
        return connection.recv(int.from_bytes(connection.recv(4), "big") - 4)

    def say(kind: bytes, body: bytes) -> None:
        connection.sendall(kind + (len(body) + 4).to_bytes(4, "big") + body)

    packet()  # the start of a session
    say(b"R", (3).to_bytes(4, "big"))
    connection.recv(1)
    error = b"SERROR\0VERROR\0CXX000\0Mbecause " + packet().rstrip(b"\0") + b"\0\0"
    if mode == "login":
        say(b"E", error)
    else:
        say(b"R", (0).to_bytes(4, "big"))
        say(b"S", b"server_version\x0016.0\x00")
        say(b"Z", b"I")
        while connection.recv(65536):
            say(b"E", error)
            say(b"Z", b"I")


@pytest.mark.parametrize("mode", ["login", "query"])
def test_a_server_that_repeats_the_password(mode):
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                answering(connection, mode)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        address = f"postgresql://u@127.0.0.1:{listening.getsockname()[1]}/db?sslmode=disable"
        store = PgvectorStore(Endpoint(base_url=address, api_key=PASSWORD, timeout_seconds=3), dimension=D, space="s")
        with pytest.raises(StoreError) as caught:
            store.count()
        assert "because [key]" in str(caught.value)
        assert PASSWORD not in "".join(traceback.format_exception(caught.value)) + caught.value.hint


def test_whatever_is_raised_becomes_an_error_of_ours(endpoint):
    async def work(connection):
        raise RuntimeError(PASSWORD)

    with pytest.raises(StoreError) as caught:
        Postgres(endpoint).run(work)
    assert caught.value.hint
    assert PASSWORD not in "".join(traceback.format_exception(caught.value))


def test_the_vectors_of_a_table_of_another_dimension_are_not_fetched(endpoint, store):
    store.upsert(entries(1), unit(1))
    other = PgvectorStore(endpoint, dimension=D + 1, space=store._table.strip('"').removeprefix("workbench_"))
    with pytest.raises(DimensionMismatch):
        other.fetch([entries(1)[0].id])
