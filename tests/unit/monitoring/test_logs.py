"""What a log line looks like, what it never holds, and which request it belongs to."""

import asyncio
import io
import json
import logging
import os
import re

import pytest
import sqlalchemy

from engine.correlation import belongs_to, request_id, working_for
from engine.database.database import Database
from engine.monitoring.logs import configure_logging, redact
from engine.testing import ADMIN, HashedWords, offline_workbench

KEYS = [
    "sk-abcdefgh12345678",
    "AIzaSyA-1234567890abcdef",
    "wb_0123456789ab_" + "x" * 43,
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghijklmnop",
]


@pytest.fixture
def written():
    """Give a function that configures logging into memory; the handler is taken away again."""
    made, levels = [], {name: logging.getLogger(name).level for name in ("engine", "ui", "api", "pages")}

    def start(format):
        stream = io.StringIO()
        made.append(configure_logging(format, stream=stream))
        return stream

    yield start
    for handler in made:
        logging.getLogger().removeHandler(handler)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


def test_a_json_line_says_when_where_what_and_for_which_request(written):
    stream = written("json")
    with working_for("abc123"):
        logging.getLogger("engine.worker").warning("version %s goes back", "v1")
    line = json.loads(stream.getvalue())
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}\+00:00", line.pop("time"))
    assert line == {
        "level": "warning", "logger": "engine.worker", "message": "version v1 goes back", "process": os.getpid(), "request_id": "abc123",
    }  # fmt: skip


def test_an_exception_in_json_is_one_line_with_the_traceback_as_a_field(written):
    stream = written("json")
    try:
        raise ValueError("a bad\nvalue")
    except ValueError:
        logging.getLogger("engine.x").exception("it failed")
    (line,) = stream.getvalue().splitlines()
    told = json.loads(line)
    assert told["message"] == "it failed"
    assert told["error"].startswith("Traceback")
    assert "ValueError: a bad\nvalue" in told["error"]


def test_a_message_cannot_forge_a_second_line_of_text(written):
    stream = written("text")
    with working_for("r1"):
        logging.getLogger("engine.x").warning("a name\n2026-01-01 00:00:00 error   root [-] forged")
    (line,) = stream.getvalue().splitlines()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d warning engine\.x \[r1\] a name", line)


@pytest.mark.parametrize("format", ["json", "text"])
@pytest.mark.parametrize("key", KEYS)
def test_no_key_is_written_whether_in_a_message_an_argument_or_a_traceback(written, format, key):
    stream = written(format)
    log = logging.getLogger("engine.x")
    log.warning("called with %s", key)
    log.warning(f"called with {key}")
    try:
        raise ValueError(f"refused {key}")
    except ValueError:
        log.exception("it failed")
    assert key not in stream.getvalue()
    assert stream.getvalue().count("[key]") >= 3


@pytest.mark.parametrize(
    ("text", "kept", "gone"),
    [
        ("redis://:hunter22@cache:6379/0", "cache:6379", "hunter22"),
        ("postgresql+asyncpg://app:s3cr3tpw@db/x", "app:", "s3cr3tpw"),
        ("GET /setup?token=abcdef123456&next=/", "next=/", "abcdef123456"),
        ("{'password': 'correct horse'}", "password", "correct"),
        ("Authorization: Bearer abcdef.ghijkl", "Authorization", "ghijkl"),
    ],
)
def test_passwords_and_tokens_go_and_what_helps_stays(text, kept, gone):
    assert kept in redact(text)
    assert gone not in redact(text)


def test_ordinary_sentences_stay_as_they_are():
    for text in ("the indexes of c1 do not match SQL", "12 tokens: 5 in, 7 out", "GET http://127.0.0.1:8501/healthz/ready 200"):
        assert redact(text) == text


def test_configuring_twice_writes_once_and_leaves_others_handlers(written):
    theirs = logging.NullHandler()
    logging.getLogger().addHandler(theirs)
    try:
        written("text")
        stream = written("json")
        logging.getLogger("engine.x").warning("once")
        assert len(stream.getvalue().splitlines()) == 1
        assert theirs in logging.getLogger().handlers
    finally:
        logging.getLogger().removeHandler(theirs)


def test_other_libraries_are_heard_from_warnings_on_and_through_our_handler(written, monkeypatch):
    parent = logging.getLogger("uvicorn.access")
    monkeypatch.setattr(parent, "propagate", False)  # as uvicorn leaves it, with or without a handler
    uvicorn = logging.getLogger("uvicorn.access.test")
    uvicorn.addHandler(logging.StreamHandler(io.StringIO()))
    uvicorn.propagate = False
    uvicorn.setLevel(logging.INFO)  # whatever a server that ran in this process left at its parent
    stream = written("json")
    uvicorn.warning("GET /setup?token=abcdef123456")
    logging.getLogger("httpx").info("GET https://example.com?q=private")
    assert "abcdef123456" not in stream.getvalue()
    assert json.loads(stream.getvalue())["logger"] == "uvicorn.access.test"


def test_work_inside_belongs_to_its_request_and_nothing_else_does():
    with working_for("one"):
        with working_for("two"):
            assert request_id() == "two"
        with working_for(""):
            assert request_id() == "one"
    assert request_id() == ""
    belongs_to("")


@pytest.mark.parametrize("format", ["json", "text"])
async def test_neither_a_question_nor_a_document_is_ever_written(written, format, tmp_path):
    """With everything at DEBUG in our own loggers: uploads that go well and that fail, questions that do and do not."""
    canary = "zebrafinch"
    stream = written(format)
    logging.getLogger("engine").setLevel(logging.DEBUG)
    async with offline_workbench(tmp_path, embedder=HashedWords()) as workbench:
        collection = await workbench.create_collection(ADMIN, "birds")
        for name, data in (("a.txt", f"The {canary} sings at dawn."), ("b.pdf", f"%PDF-1.7 {canary}")):
            await workbench.upload(ADMIN, collection.id, name, data.encode())
        await workbench.process(ADMIN, collection.id)
        answer = await workbench.ask(ADMIN, f"When does the {canary} sing?", collections=[collection.id])
        assert canary in answer.text
        talk = await workbench.create_conversation(ADMIN, [collection.id])

        async def broken(*_args, **_options):
            yield 1 / 0

        for stream_of in (workbench._ask.stream, broken):
            workbench._ask.stream = stream_of
            reply = await workbench.send(ADMIN, talk.id, f"When does the {canary} sing?")
            while (await workbench.message(ADMIN, reply.id)).state == "streaming":
                await asyncio.sleep(0.02)
    logging.getLogger("engine").warning("the end")
    assert "the end" in stream.getvalue()
    assert "version" in stream.getvalue()  # the broken file left its line
    assert canary not in stream.getvalue()


async def test_what_was_to_be_stored_is_in_no_traceback_of_a_failed_statement(written):
    stream = written("text")
    database, values = Database("sqlite+aiosqlite://"), {"question": "canary of a question"}
    try:
        async with database.read() as session:
            await session.execute(sqlalchemy.text("INSERT INTO nowhere VALUES (:question)"), values)
    except Exception:
        logging.getLogger("engine.x").exception("it failed")
    await database.close()
    assert "nowhere" in stream.getvalue()
    assert "canary" not in stream.getvalue()


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", "\v", "\x85", "\u2028", "\x1b[1A\x1b[2K"])
def test_nobody_forges_a_line_of_text_by_any_end_of_a_line_or_escape(written, end):
    stream = written("text")
    log = logging.getLogger("engine.x")
    forged = f"a name{end}2026-01-01 00:00:00 error   root [-] forged"
    log.warning(forged)
    assert len(stream.getvalue().splitlines()) == 1
    try:
        raise ValueError(forged)
    except ValueError:
        log.exception("it failed")
    written_at = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (warning|error)")
    assert sum(bool(written_at.match(line)) for line in stream.getvalue().splitlines()) == 2
    assert "\x1b" not in stream.getvalue()


@pytest.mark.parametrize("format", ["json", "text"])
def test_half_a_character_costs_no_line(written, format, tmp_path, capsys, monkeypatch):
    # Pytest's own handlers would carry half a character into a report, which xdist cannot send.
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with (tmp_path / "log").open("w", encoding="utf-8") as stream:
        handler = configure_logging(format, stream=stream)
        logging.getLogger("engine.x").warning("the file a\udcff.txt, key wb_0123456789ab_%s", "x" * 43)
        logging.getLogger().removeHandler(handler)
    assert "the file a" in (tmp_path / "log").read_text()
    assert "wb_0123456789ab" not in capsys.readouterr().err
