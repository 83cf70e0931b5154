"""The audit through the facade: found, exported, checked, removed; and what a server writes of itself."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine import __version__
from engine.audit_views import AuditQuery
from engine.database.audit import record
from engine.database.columns import now
from engine.errors import AccessDenied, InputError
from engine.services import trail
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.conftest import add
from tests.servers.audited import Place

QUESTION = "How long may visitors park?"
EVE = Principal(user_id="e" * 32, name="=cmd|' /C calc'!A1", role=Role.ANALYST, ip="10.0.0.9", request_id="r-9")


async def note(workbench: Workbench, who: Principal, action: str = "document.view", object_: str = "d-1", **details) -> None:
    async with workbench.database.write() as session:
        await record(session, who, action, object_, **details)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (AuditQuery(actor="ada"), {"user.role", "document.view"}),
        (AuditQuery(actor="e" * 32), {"auth.login"}),
        (AuditQuery(action="auth."), {"auth.login"}),
        (AuditQuery(action="user.role"), {"user.role"}),
        (AuditQuery(action="user"), set()),
        (AuditQuery(object="d-7"), {"document.view"}),
        (AuditQuery(object="document"), {"document.view"}),
        (AuditQuery(outcome="denied"), {"auth.login"}),
        (AuditQuery(ip="10.0.0.9"), {"auth.login"}),
        (AuditQuery(text="bücHER"), {"user.role"}),
        (AuditQuery(text="100%"), set()),
        (AuditQuery(until=datetime(2020, 1, 1, tzinfo=UTC)), set()),
    ],
)
async def test_entries_are_found_by_each_field(workbench: Workbench, query: AuditQuery, expected: set[str]) -> None:
    await note(workbench, ADMIN, "user.role", "bob", before="analyst", note="Bücher")
    await note(workbench, ADMIN, object_="d-7")
    await note(workbench, EVE, "auth.login", "eve", outcome="denied", reason="locked")
    assert {entry.action for entry in await workbench.audit(ADMIN, query=query)} == expected


async def test_entries_carry_address_request_and_reason(workbench: Workbench) -> None:
    await note(workbench, EVE, "auth.login", "eve", outcome="denied", reason="locked")
    entry = (await workbench.audit(ADMIN, limit=1))[0]
    assert (entry.ip, entry.request_id, entry.reason, entry.object_type) == ("10.0.0.9", "r-9", "locked", "user")
    assert entry.actor_id == EVE.user_id


async def test_pages_follow_each_other_without_gap_or_double(workbench: Workbench) -> None:
    for number in range(25):
        await note(workbench, ADMIN, object_=f"d-{number}")
    seen, before = [], None
    while page := await workbench.audit(ADMIN, limit=10, before_seq=before):
        seen += [entry.seq for entry in page]
        before = page[-1].seq
        await note(workbench, ADMIN, object_="written meanwhile")
    assert seen == list(range(26, 0, -1))


async def test_menus_offer_what_occurs(workbench: Workbench) -> None:
    await note(workbench, EVE, "auth.login", "eve", outcome="denied")
    facets = await workbench.audit_facets(ADMIN)
    assert facets.actors == (EVE.name,)
    assert facets.actions == ("audit.start", "auth.login")
    assert facets.outcomes == ("denied", "success")
    assert facets.object_types == ("user",)


async def test_an_export_is_neutral_whole_and_recorded(workbench: Workbench) -> None:
    await note(workbench, EVE, object_="-1+1", note="ünïcode")
    data = await workbench.audit_export(ADMIN, query=AuditQuery(action="document."), format="csv")
    rows = list(csv.DictReader(io.StringIO(data.decode())))
    assert len(rows) == 1
    assert rows[0]["actor"] == f"'{EVE.name}"
    assert rows[0]["object"] == "'-1+1"
    assert json.loads(rows[0]["details"]) == {"note": "ünïcode"}
    lines = [json.loads(line) for line in (await workbench.audit_export(ADMIN, format="jsonl")).splitlines()]
    assert [line["seq"] for line in lines] == [1, 2, 3]
    assert lines[1]["actor"] == EVE.name
    assert all(later["prev_hash"] == earlier["hash"] for earlier, later in zip(lines, lines[1:], strict=False))
    recorded = (await workbench.audit(ADMIN, query=AuditQuery(action="audit.export")))[-1]
    assert recorded.details == {"rows": 1, "format": "csv", "filter": {"action": "document."}}


async def test_an_export_that_is_too_large_says_so(workbench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trail, "EXPORT_ROWS", 3)
    for _ in range(3):
        await note(workbench, ADMIN)
    with pytest.raises(InputError, match="more than 3 rows"):
        await workbench.audit_export(ADMIN, format="csv")
    with pytest.raises(InputError, match="unknown format"):
        await workbench.audit_export(ADMIN, format="xml")  # type: ignore[arg-type]


async def test_sources_tell_which_document_fed_which_answer(workbench: Workbench, handbook: str) -> None:
    info = await add(workbench, handbook, "parking.txt", "Visitors may park for three hours on the second floor.")
    talk = await workbench.create_conversation(ADMIN, [handbook])
    message = await workbench.send(ADMIN, talk.id, QUESTION)
    while (message := await workbench.message(ADMIN, message.id)).state == "streaming":
        await asyncio.sleep(0.02)
    assert message.state == "done"
    assert not (await workbench.ask(ADMIN, QUESTION, collections=[handbook])).refused
    uses = await workbench.audit_sources(ADMIN, document_id=info.id)
    assert len(uses) == 2
    assert {(use.document_id, use.document, use.version, use.page) for use in uses} == {(info.id, "parking.txt", 1, 1)}
    outside, inside = uses
    assert inside.message_id == message.id
    assert inside.question_id not in {"", message.id}
    assert outside.message_id == outside.question_id != ""
    assert outside.user == ADMIN.name
    assert "park" not in repr(await workbench.audit(ADMIN, query=AuditQuery(action="question.ask")))
    # What a deleted conversation was answered from stays known.
    await workbench.delete_conversation(ADMIN, talk.id)
    assert message.id in {use.message_id for use in await workbench.audit_sources(ADMIN, document_id=info.id)}
    assert len(await workbench.audit_sources(ADMIN, user=ADMIN.name)) == 2
    assert await workbench.audit_sources(ADMIN, user="nobody") == []
    assert await workbench.audit_sources(ADMIN, document_id="0" * 32) == []
    assert await workbench.audit_sources(ADMIN, since=now() + timedelta(hours=1)) == []


async def test_the_text_of_questions_is_kept_only_where_that_is_set(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path, audit={"question_text": True}) as workbench:
        collection = (await workbench.create_collection(ADMIN, "handbook")).id
        await add(workbench, collection, "parking.txt", "Visitors may park for three hours.")
        await workbench.ask(ADMIN, QUESTION, collections=[collection])
        assert (await workbench.audit(ADMIN, limit=1))[0].details["question"] == QUESTION


async def test_filters_are_kept_for_each_admin(workbench: Workbench) -> None:
    query = AuditQuery(since=datetime(2026, 1, 2, tzinfo=UTC), action="auth.", outcome="denied")
    await workbench.save_audit_view(ADMIN, "  wrong   passwords ", AuditQuery())
    await workbench.save_audit_view(ADMIN, "wrong passwords", query)
    assert [(view.name, view.query) for view in await workbench.audit_views(ADMIN)] == [("wrong passwords", query)]
    other = Principal(user_id="b" * 32, name="bea", role=Role.ADMIN)
    assert await workbench.audit_views(other) == []
    await workbench.delete_audit_view(other, "wrong passwords")
    assert len(await workbench.audit_views(ADMIN)) == 1
    await workbench.delete_audit_view(ADMIN, "wrong passwords")
    assert await workbench.audit_views(ADMIN) == []
    with pytest.raises(InputError, match="1 to 80"):
        await workbench.save_audit_view(ADMIN, " ", query)


@pytest.mark.parametrize("role", [Role.ANALYST, Role.OPERATOR])
async def test_the_audit_is_for_admins_and_operators_may_only_check_it(workbench: Workbench, role: Role) -> None:
    who = Principal(user_id="c" * 32, name="carl", role=role)
    calls = [
        workbench.audit(who), workbench.audit_facets(who), workbench.audit_export(who, format="csv"),
        workbench.audit_sources(who), workbench.audit_retain(who, older_than_days=400), workbench.audit_views(who),
        workbench.save_audit_view(who, "x", AuditQuery()), workbench.delete_audit_view(who, "x"),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(AccessDenied):
            await call
    if role is Role.OPERATOR:
        assert (await workbench.audit_verify(who)).ok
    else:
        with pytest.raises(AccessDenied):
            await workbench.audit_verify(who)


async def test_a_check_is_recorded_with_what_it_found(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        for number in range(5):
            await note(workbench, ADMIN, object_=f"d-{number}")
        assert (await workbench.audit_verify(ADMIN)).ok
        place = Place("", tmp_path)
        (tmp_path / "x.db").symlink_to(tmp_path / "workbench.db")
        place.tamper("UPDATE audit SET actor = 'eve' WHERE seq = 3")
        assert (await workbench.audit_verify(ADMIN)).first_bad == 3
        bad, good = await workbench.audit(ADMIN, limit=2)
        assert (good.outcome, bad.outcome, bad.details) == ("success", "failure", {"rows": 2, "first_bad": 3})


async def test_retention_removes_whole_segments_and_the_rest_still_verifies(tmp_path: Path) -> None:
    kept = {"retention_days": 0}
    for part in range(3):  # three processes: each leaves a checkpoint at its end
        async with offline_workbench(tmp_path, audit=kept) as workbench:
            for number in range(10):
                await note(workbench, ADMIN, object_=f"d-{part}-{number}")
    async with offline_workbench(tmp_path, audit=kept) as workbench:
        await note(workbench, ADMIN, object_="not in a segment yet")
        plan = await workbench.audit_retain(ADMIN, older_than_days=0)
        assert (plan.applied, plan.segments, plan.rows, plan.first_seq, plan.last_seq) == (False, 3, 31, 1, 31)
        assert len(await workbench.audit(ADMIN, limit=100)) == 32
        done = await workbench.audit_retain(ADMIN, older_than_days=0, apply=True)
        assert (done.applied, done.rows) == (True, 31)
        left = await workbench.audit(ADMIN, limit=100)
        assert [(entry.seq, entry.action) for entry in left] == [(33, "audit.retain"), (32, "document.view")]
        found = await workbench.audit_verify(ADMIN)
        assert (found.ok, found.rows, found.checkpoints) == (True, 2, 1)
    async with offline_workbench(tmp_path, audit=kept) as workbench:  # and again, over what the first one left
        assert (await workbench.audit_retain(ADMIN, older_than_days=0, apply=True)).rows == 3
        found = await workbench.audit_verify(ADMIN)
        assert (found.ok, found.problem) == (True, "")
        nothing = await workbench.audit_retain(ADMIN, older_than_days=1, apply=True)
        assert (nothing.rows, nothing.applied) == (0, False)


async def test_retention_keeps_what_is_too_young_and_refuses_an_audit_that_does_not_verify(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        with pytest.raises(InputError, match="at least 365 days"):
            await workbench.audit_retain(ADMIN, older_than_days=364, apply=True)
        assert (await workbench.audit_retain(ADMIN, older_than_days=365, apply=True)).rows == 0
    async with offline_workbench(tmp_path, audit={"retention_days": 0}) as workbench:
        (tmp_path / "x.db").symlink_to(tmp_path / "workbench.db")
        Place("", tmp_path).tamper("UPDATE audit SET actor = 'eve' WHERE seq = 1")
        with pytest.raises(InputError, match="does not verify"):
            await workbench.audit_retain(ADMIN, older_than_days=0, apply=True)


async def test_a_server_writes_of_its_start_and_stop_and_leaves_checkpoints(tmp_path: Path) -> None:
    for question_text in (False, False, True):
        async with offline_workbench(tmp_path, serve=True, audit={"question_text": question_text}) as workbench:
            await note(workbench, ADMIN)
    async with offline_workbench(tmp_path, audit={"question_text": True}) as workbench:
        rows = await workbench.audit(ADMIN, query=AuditQuery(action="system."))
        assert [row.action for row in rows] == ["system.stop", "system.start"] * 3
        assert {row.details["version"] for row in rows if row.action == "system.start"} == {__version__}
        third, second, first = (row.details["settings_sha256"] for row in rows if row.action == "system.start")
        assert first == second != third
        found = await workbench.audit_verify(ADMIN)
        assert found.ok
        assert found.checkpoints >= 3


async def test_checkpoints_can_lie_elsewhere(tmp_path: Path) -> None:
    elsewhere = tmp_path / "other volume" / "audit.jsonl"
    async with offline_workbench(tmp_path / "data", audit={"checkpoint_file": str(elsewhere)}) as workbench:
        await note(workbench, ADMIN)
    assert json.loads(elsewhere.read_text())["seq"] == 2
    assert not (tmp_path / "data" / "audit-checkpoints.jsonl").exists()
