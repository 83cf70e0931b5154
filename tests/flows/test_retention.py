"""What is too old goes by rules, what is held stays, and nothing is removed by looking."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import update

from engine.database.chat_models import Conversation
from engine.database.columns import now
from engine.database.models import DocumentRow, Version
from engine.errors import AccessDenied, InputError, NotFound
from engine.keeping_views import RetentionKind, RetentionRule
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.workbench import Workbench
from tests.flows.conftest import add as add_to

ANALYST = Principal(user_id="e" * 32, name="eve", role=Role.ANALYST, session_id="s2")


async def add(workbench: Workbench, name: str, text: str):
    return await add_to(workbench, await workbench.collection_id(ADMIN, "papers", create=True), name, text)


async def age(workbench: Workbench, table, key: str, **columns) -> None:
    async with workbench.database.write() as session:
        await session.execute(update(table).where(table.id == key).values(**columns))


async def rule(workbench: Workbench, kind: RetentionKind, days: int, **options) -> RetentionRule:
    return await workbench.save_retention_rule(ADMIN, RetentionRule(id="", kind=kind, days=days, **options))


async def test_old_chats_go_and_those_of_a_held_user_stay(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        for name in ("ada", "bob"):
            await workbench.create_user(ADMIN, name, "correct horse battery", Role.ANALYST)
        ids = {info.name: info.id for info in await workbench.users(ADMIN)}
        people = {n: Principal(user_id=ids[n], name=n, role=Role.ANALYST, session_id=n) for n in ids}
        old = now() - timedelta(days=40)
        for who in people.values():
            for moment in (old, now()):
                chat = await workbench.create_conversation(who, ())
                await age(workbench, Conversation, chat.id, updated_at=moment)
        held = await workbench.set_legal_hold(ADMIN, "user", ids["bob"], "case 7")
        await rule(workbench, RetentionKind.CHATS, 30)
        (effect,) = await workbench.retention_effects(ADMIN)
        assert (effect.count, effect.held, effect.examples) == (1, 1, ())
        assert len(await workbench.conversations(people["ada"])) == 2  # looking removed nothing

        (done,) = await workbench.apply_retention(ADMIN)
        assert done.count == 1
        assert [len(await workbench.conversations(people[n])) for n in ("ada", "bob")] == [1, 2]
        with pytest.raises(InputError, match="legal hold"):
            await workbench.delete_user(ADMIN, ids["bob"])
        with pytest.raises(InputError, match="legal hold"):
            await workbench.delete_conversation(people["bob"], (await workbench.conversations(people["bob"]))[0].id)

        await workbench.release_legal_hold(ADMIN, held.id)
        (done,) = await workbench.apply_retention(ADMIN)
        assert (done.count, len(await workbench.conversations(people["bob"]))) == (1, 1)
        with pytest.raises(NotFound):
            await workbench.release_legal_hold(ADMIN, held.id)


async def test_old_files_are_deleted_as_by_a_person_and_held_ones_by_nobody(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        infos = [await add(workbench, f"{n}.txt", f"The {n} digs.") for n in ("wombat", "quokka", "numbat")]
        for info in infos[:2]:
            async with workbench.database.write() as session:
                old = now() - timedelta(days=800)
                await session.execute(update(Version).where(Version.document_id == info.id).values(created_at=old))
        await workbench.set_legal_hold(ADMIN, "document", infos[1].id, "case 8")
        made = await rule(workbench, RetentionKind.FILES, 730, collection_id=infos[0].collection_id)
        (effect,) = await workbench.retention_effects(ADMIN, made.id)
        assert (effect.count, effect.held, effect.examples) == (1, 1, ("wombat.txt",))
        await workbench.apply_retention(ADMIN, made.id)
        left = {one.name for one in await workbench.documents(ADMIN)}
        assert left == {"quokka.txt", "numbat.txt"}
        assert not await workbench.search(ADMIN, "wombat", collections=[infos[0].collection_id], mode="lexical")
        await workbench.restore_document(ADMIN, infos[0].id)  # it can be undone

        with pytest.raises(InputError, match="legal hold"):
            await workbench.delete_document(ADMIN, infos[1].id)
        with pytest.raises(InputError, match="'quokka.txt' in this collection is under a legal hold"):
            await workbench.delete_collection(ADMIN, infos[1].collection_id)
        # deleted before it was held: the purge passes it over
        await workbench.delete_document(ADMIN, infos[2].id)
        await workbench.set_legal_hold(ADMIN, "collection", infos[2].collection_id, "case 9")
        assert await workbench.purge(older_than_seconds=0) == 0
        await workbench.restore_document(ADMIN, infos[2].id)


async def test_former_versions_lose_their_content_and_the_live_one_keeps_it(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        await add(workbench, "a.txt", "The wombat digs.")
        info = await add(workbench, "a.txt", "The quokka smiles.")
        async with workbench.database.write() as session:
            long_ago = now() - timedelta(days=100)
            await session.execute(update(Version).where(Version.number == 1).values(updated_at=long_ago))
        await rule(workbench, RetentionKind.VERSIONS, 90)
        (done,) = await workbench.apply_retention(ADMIN)
        assert (done.count, done.examples) == (1, ("a.txt",))
        assert len(list((tmp_path / "blobs").rglob("*.part"))) == 0
        assert sum(path.is_file() for path in (tmp_path / "blobs").rglob("*")) == 1
        with pytest.raises(NotFound):
            await workbench.page(ADMIN, info.id, 1, version=1)
        assert (await workbench.page(ADMIN, info.id, 1)).text == "The quokka smiles."
        (again,) = await workbench.apply_retention(ADMIN)
        assert again.count == 0


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        ({"kind": "everything"}, "no such kind"),
        ({"days": 0}, "takes 1 to"),
        ({"kind": RetentionKind.AUDIT, "days": 30}, "takes 365 to"),
        ({"collection_id": "c" * 32}, "whole workbench"),
    ],
)
async def test_a_rule_that_makes_no_sense_is_refused(tmp_path: Path, wrong: dict, why: str) -> None:
    async with offline_workbench(tmp_path) as workbench:
        with pytest.raises(InputError, match=why):
            await workbench.save_retention_rule(
                ADMIN, RetentionRule(**{"id": "", "kind": RetentionKind.CHATS, "days": 9, **wrong})
            )


async def test_only_admins_set_rules_and_holds(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        info = await add(workbench, "a.txt", "The wombat digs.")
        with pytest.raises(AccessDenied):
            await rule_as(workbench, ANALYST)
        with pytest.raises(AccessDenied):
            await workbench.set_legal_hold(ANALYST, "document", info.id, "mine")
        with pytest.raises(InputError, match="needs a reason"):
            await workbench.set_legal_hold(ADMIN, "document", info.id, " ")
        with pytest.raises(NotFound):
            await workbench.set_legal_hold(ADMIN, "document", "d" * 32, "case 1")


async def rule_as(workbench: Workbench, who: Principal) -> None:
    await workbench.save_retention_rule(who, RetentionRule(id="", kind=RetentionKind.CHATS, days=9))


async def test_rules_act_by_the_clock_and_a_disabled_one_does_not(tmp_path: Path) -> None:
    async with offline_workbench(tmp_path) as workbench:
        info = await add(workbench, "a.txt", "The wombat digs.")
        async with workbench.database.write() as session:
            await session.execute(update(Version).values(created_at=now() - timedelta(days=10)))
            assert await session.get(DocumentRow, info.id)
        made = await rule(workbench, RetentionKind.FILES, 9, enabled=False)
        assert await workbench.apply_retention(ADMIN) == []
        assert (await workbench.retention_effects(ADMIN))[0].count == 1
        await workbench.delete_retention_rule(ADMIN, made.id)
        assert await workbench.retention_rules(ADMIN) == []
