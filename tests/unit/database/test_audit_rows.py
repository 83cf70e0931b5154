"""What is signed is what comes back, whatever was recorded; unknown actions and sessions for reading are refused."""

from __future__ import annotations

import ast
import re
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.database.audit import record
from engine.database.audit_actions import ACTIONS
from engine.database.audit_chain import batches, canonical, is_signed
from engine.types import Principal, Role
from tests.servers.audited import KEY, place
from tests.servers.databases import SERVERS

ENGINE = Path(__file__).resolve().parents[3] / "engine"
TEXT = st.text(st.characters(), max_size=300)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | st.datetimes() | st.sampled_from(Role)
DETAILS = st.dictionaries(
    TEXT.filter(lambda name: name not in {"session", "principal", "action", "object_", "outcome", "ip", "reason", "request_id", "object_type"}),
    st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3), max_leaves=8),
    max_size=4,
)  # fmt: skip


@pytest.fixture(scope="module", params=["sqlite", *SERVERS])
def here(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    with place(request.param, tmp_path_factory.mktemp("audit")) as found:
        yield found


@given(details=DETAILS, name=TEXT, object_=TEXT, ip=TEXT, reason=TEXT)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_every_row_is_verified_as_it_comes_back_from_the_database(here, details, name, object_, ip, reason) -> None:
    database = here.database()
    await database.migrate()
    who = Principal(user_id="u" * 32, name=name, role=Role.ADMIN, session_id="s", ip=ip, request_id="r-1")
    async with database.write() as session:
        await record(session, who, "document.upload", object_, reason=reason, **details)
    async with database.read() as session:
        rows = [row async for some in batches(session, after=database.audit.newest - 1) for row in some]
    assert len(rows) == 1
    assert is_signed(KEY, rows[0])
    assert rows[0]["request_id"] == "r-1"
    await database.close()


def test_the_zone_of_a_time_makes_no_difference() -> None:
    row = dict.fromkeys(("seq", "actor_id", "actor", "session_id", "request_id", "action", "object_type", "object", "outcome",
                         "reason", "ip", "details", "prev_hash"), "x")  # fmt: skip
    moment = datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    there = moment.astimezone(timezone(timedelta(hours=5, minutes=45)))
    assert canonical({**row, "at": moment}) == canonical({**row, "at": there})
    assert canonical({**row, "at": moment}) != canonical({**row, "at": moment + timedelta(microseconds=1)})


async def test_recording_what_only_reads_is_a_programming_error(tmp_path: Path) -> None:
    with place("sqlite", tmp_path) as here:
        database = await here.filled(0)
        async with database.read() as session:
            with pytest.raises(RuntimeError, match="Database.write"):
                await record(session, None, "document.view", "d")
        await database.close()


async def test_an_unknown_action_is_a_programming_error(tmp_path: Path) -> None:
    with place("sqlite", tmp_path) as here:
        database = await here.filled(0)
        async with database.write() as session:
            with pytest.raises(ValueError, match=r"document\.frobnicate"):
                await record(session, None, "document.frobnicate", "d")
        await database.close()


def test_every_recorded_action_has_a_row_in_the_table() -> None:
    calls = []
    for path in sorted(ENGINE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and _name(node.func) == "record" and path.name != "audit.py":
                calls.append((f"{path.name}:{node.lineno}", _action(node.args[2])))
    assert len(calls) > 20
    assert [call for call in calls if call[1] not in ACTIONS and call[1] != HANDED_ON] == []


def test_every_text_that_reads_like_an_action_is_one() -> None:
    """Where an action is handed on to another function, its text stands somewhere else."""
    domains = {action.split(".")[0] for action in ACTIONS} - {"system"}
    for path in sorted((ENGINE / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Constant)
                and isinstance(node.value, str)
                and re.fullmatch(r"[a-z_]+(\.[a-z_]+)+", node.value)
            ):
                assert node.value in ACTIONS or node.value.split(".")[0] not in domains, f"{path.name}: {node.value}"


def test_each_action_is_domain_and_verb_with_a_meaning() -> None:
    for action, meaning in ACTIONS.items():
        assert action.count(".") >= 1, action
        assert action == action.lower()
        assert meaning
        assert not meaning.endswith(".")


def _name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


HANDED_ON = "an action that a caller gave"


def _action(node: ast.expr) -> str:
    """A literal, a constant of a module whose name is in capitals, a parameter `action`, or one of a table."""
    if isinstance(node, ast.Constant):
        return node.value
    if _name(node) == "action" or isinstance(node, ast.Subscript):
        return HANDED_ON
    from engine.database.audit_sources import ASKED
    from engine.database.audit_verify import RETAIN

    return {"ASKED": ASKED, "RETAIN": RETAIN}[_name(node)]
