"""The command line as a person or a script uses it: a process a command, the real local model, exit codes and JSON."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.forked import ForkedCommands
from tests.upstreams import openai
from tests.upstreams.server import KEY

ROOT = Path(__file__).resolve().parents[2]
LEAVE = "Every employee has thirty days of paid leave a year.\n\nParking is free for visitors on the second floor."


def environment(folder: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
    return kept | {"WORKBENCH_DATA_DIR": str(folder / "data"), **changes}


@pytest.fixture(scope="module")
def forked() -> Iterator[ForkedCommands]:
    commands = ForkedCommands()
    yield commands
    commands.close()


@pytest.fixture
def engine(tmp_path: Path, forked: ForkedCommands):
    def run(*arguments: str, stdin: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        return forked.run(list(arguments), env=environment(tmp_path, **changes), stdin=stdin)

    return run


@pytest.fixture
def fresh(tmp_path: Path):
    """The same in a fresh interpreter."""

    def run(*arguments: str, **changes: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "engine", *arguments]
        env = environment(tmp_path, **changes)
        return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, timeout=240, check=False)

    return run


def test_the_main_job_from_a_folder_to_a_cited_answer(engine, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    (folder / "sub").mkdir(parents=True)
    (folder / "leave.txt").write_text(LEAVE)
    (folder / "sub" / "broken.pdf").write_bytes(b"%PDF-1.7 nothing")
    (folder / ".hidden").write_text("not for you")

    done = engine("ingest", str(folder), "--collection", "handbook", "--json")
    assert done.returncode == 1, done.stderr  # a part failed, and the exit code says so
    rows = {row["name"]: row for row in json.loads(done.stdout)}
    assert rows["leave.txt"]["state"] == "live"
    assert rows["sub/broken.pdf"]["state"] == "failed"
    assert rows["sub/broken.pdf"]["reason"]
    assert len(rows) == 2
    assert "Traceback" not in done.stderr

    asked = engine("ask", "How many days of paid leave does an employee have?", "-c", "handbook", "--json")
    assert asked.returncode == 0, asked.stderr
    answer = json.loads(asked.stdout)
    assert set(answer) == {"answer", "refused", "sentences", "citations", "provider", "model", "trace"}
    assert not answer["refused"]
    assert "thirty days" in answer["answer"]
    first = answer["citations"][0]
    assert (first["n"], first["document"], first["version"], first["page"]) == (1, "leave.txt", 1, 1)
    assert engine("text", "leave.txt", "-c", "handbook").stdout[first["start"] : first["end"]] == first["text"]

    found = json.loads(engine("search", "parking for visitors", "-c", "handbook", "-k", "3", "--json").stdout)
    assert found[0]["document"] == "leave.txt"
    assert set(found[0]["scores"]) == {"dense", "lexical", "fused"}

    assert engine("delete", "leave.txt", "-c", "handbook").returncode == 0
    assert json.loads(engine("search", "parking", "-c", "handbook", "--json").stdout) == []


def test_wrong_use_is_told_in_one_line_with_the_way_out(fresh) -> None:
    missing = fresh("ask", "How many days?", "-c", "nowhere")
    assert missing.returncode == 1
    assert "there is no collection 'nowhere'" in missing.stderr
    settings = fresh("documents", WORKBENCH_CHUNK_TOKENZ="1")
    assert settings.returncode == 2
    assert "WORKBENCH_CHUNK_TOKENZ" in settings.stderr
    assert fresh("frobnicate").returncode == 2
    assert fresh("ingest", "/no/such/file").returncode == 2
    for done in (missing, settings):
        assert "Traceback" not in done.stderr


def test_users_are_added_with_a_hidden_password(engine) -> None:
    added = engine("user", "add", "ada", "--role", "admin", "--password", "correct horse battery")
    assert added.returncode == 0, added.stderr
    again = engine("user", "add", "ada", "--role", "admin", "--password", "correct horse battery")
    assert again.returncode == 1
    assert "already" in again.stderr
    assert engine("user", "add", "eve", "--password", "short").returncode == 1


def test_users_are_invited_changed_imported_and_deleted(engine, tmp_path: Path) -> None:
    assert engine("user", "add", "ada", "--role", "admin", "--password", "correct horse battery").returncode == 0
    invited = engine("user", "invite", "bob", "--role", "operator")
    assert invited.returncode == 0, invited.stderr
    assert "/invite?token=" in invited.stdout
    assert engine("user", "role", "BOB", "analyst").stdout == "BOB is analyst now\n"
    assert engine("user", "disable", "bob").returncode == 0
    (tmp_path / "list.csv").write_text("name;role\ncarl;analyst\ndora;king\n")
    tried = engine("user", "import", str(tmp_path / "list.csv"))
    assert tried.returncode == 1  # a line was refused, and the exit code says so
    assert "Nothing was changed" in tried.stdout
    done = json.loads(engine("user", "import", str(tmp_path / "list.csv"), "--apply", "--json").stdout)
    assert [(row["name"], row["outcome"], bool(row["path"])) for row in done] == [
        ("carl", "new", True),
        ("dora", "refused", False),
    ]
    listed = json.loads(engine("user", "list", "--json").stdout)
    assert [(one["name"], one["role"], one["disabled"], one["invited"]) for one in listed] == [
        ("ada", "admin", False, False), ("bob", "analyst", True, True), ("carl", "analyst", False, True),
    ]  # fmt: skip
    last = engine("user", "delete", "ada", "--yes")
    assert last.returncode == 1
    assert "last admin" in last.stderr
    assert engine("user", "delete", "bob", "--yes").returncode == 0
    assert "/invite?token=" in engine("user", "reset", "ada").stdout
    unknown = engine("user", "unlock", "nobody")
    assert unknown.returncode == 1
    assert "no user 'nobody'" in unknown.stderr
    assert "Traceback" not in unknown.stderr


def test_evaluate_measures_a_small_collection(engine, tmp_path: Path) -> None:
    folder = tmp_path / "tiny"
    (folder / "qrels").mkdir(parents=True)
    texts = ["the lamp is in room one", "the ladder is in room two", "the kettle is in the kitchen"]
    lines = [json.dumps({"_id": f"d{n}", "title": "", "text": text}) for n, text in enumerate(texts)]
    (folder / "corpus.jsonl").write_text("\n".join(lines))
    (folder / "queries.jsonl").write_text(json.dumps({"_id": "q", "text": "where is the ladder"}))
    (folder / "qrels" / "test.tsv").write_text("query-id\tcorpus-id\tscore\nq\td1\t1\n")
    done = engine("evaluate", str(folder), "--mode", "lexical", "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["quality"]["ndcg_at_10"] == 1.0
    assert report["documents"] == 3
    assert engine("evaluate", str(folder), "--split", "nope").returncode == 1


def test_providers_are_added_chosen_tested_and_removed(engine) -> None:
    key = "sk-canary-0123456789abcdef"
    with openai.upstream() as running:
        done = engine("provider", "add", "openai", "--name", "box", "--url", running.url, WORKBENCH_PROVIDER_KEY=KEY)
        assert done.returncode == 0, done.stderr
        assert engine("use", "--chat", "box:m-1", "--chat", "extractive").stdout.startswith(
            "answers: box · m-1, then extractive"
        )
        tested = engine("provider", "test", "box", "--role", "chat")
        assert tested.returncode == 0, tested.stdout
        assert "ok" in tested.stdout
        listed = engine("provider", "list", "--json")
        assert {one["name"]: one["state"] for one in json.loads(listed.stdout)}["box"] == "ready"
        for one in (done, tested, listed):
            assert KEY not in one.stdout + one.stderr
    assert engine("provider", "test", "box", "--role", "chat").returncode == 1
    refused = engine("provider", "remove", "box")
    assert refused.returncode == 1
    assert "answers: number 1 of 2" in refused.stderr
    assert engine("use", "--chat", "extractive").returncode == 0
    assert engine("provider", "remove", "box").returncode == 0
    bad = engine("provider", "add", "openai", "--url", "file:///etc/passwd", WORKBENCH_PROVIDER_KEY=key)
    assert bad.returncode == 1
    assert "Traceback" not in bad.stderr
    assert key not in bad.stderr


def test_a_collection_is_moved_and_moved_back(engine, tmp_path: Path) -> None:
    (tmp_path / "leave.txt").write_text(LEAVE)
    assert engine("ingest", str(tmp_path / "leave.txt"), "-c", "handbook").returncode == 0
    assert engine("provider", "add", "qdrant", WORKBENCH_PROVIDER_KEY="").returncode == 0
    moved = engine("migrate-store", "-c", "handbook", "--to", "qdrant")
    assert moved.returncode == 0, moved.stderr
    assert "checksum  equal" in moved.stdout
    assert "top 10    1.0000" in moved.stdout
    assert engine("search", "paid leave", "-c", "handbook", "--mode", "dense", "--json").stdout.count("leave.txt") >= 1
    assert "faiss again" in engine("migrate-store", "-c", "handbook", "--revert").stdout
    assert engine("migrate-store", "-c", "handbook").returncode == 1


def test_the_audit_is_verified_exported_and_kept(engine, tmp_path: Path) -> None:
    assert engine("user", "add", "ada", "--role", "admin", "--password", "correct horse battery").returncode == 0
    good = engine("audit", "verify")
    assert (good.returncode, good.stdout) == (0, "ok: 2 rows, the newest is 2; 1 checkpoints agree\n"), good.stderr
    assert engine("audit", "export", str(tmp_path / "a.jsonl"), "--format", "jsonl", "--action", "user.").returncode == 0
    assert json.loads((tmp_path / "a.jsonl").read_text())["object"] == "ada"
    young = engine("audit", "retain", "--older-than", "3", "--apply")
    assert young.returncode == 1
    assert "at least 365 days" in young.stderr
    with contextlib.closing(sqlite3.connect(tmp_path / "data" / "workbench.db")) as connection, connection:
        connection.execute("DROP TRIGGER audit_no_delete")
        connection.execute("DELETE FROM audit WHERE seq = 2")
    bad = engine("audit", "verify", "--json")
    assert bad.returncode == 1
    assert json.loads(bad.stdout)["first_bad"] == 2
    told = engine("audit", "verify")
    assert told.returncode == 1
    assert "NOT OK  first bad row 2: row 2 is missing" in told.stdout
    assert "Traceback" not in told.stderr
