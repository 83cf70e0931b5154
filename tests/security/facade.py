"""Every method of the facade that takes a principal, called as everybody: who may do what, as a table.

`python -m tests.security.facade` writes facade_matrix.csv anew; look at its difference before it is kept.
"""

from __future__ import annotations

import asyncio
import csv
import inspect
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.access_views import Scope
from engine.audit_views import AuditQuery
from engine.database.columns import Base, new_id, now
from engine.database.operations_models import AlertRow
from engine.errors import AccessDenied, AddressDenied, EngineError, NotFound
from engine.ingestion_views import BulkAction, UploadCheck
from engine.keeping_views import GenerationChange, RetentionKind, RetentionRule
from engine.operations_views import AlertChannel, AlertRule, BreakerCommand, Range
from engine.provider_views import Choice
from engine.security.passwords import BcryptHasher
from engine.security.totp import STEP_SECONDS, code_at
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Right, Role
from engine.workbench import Workbench
from tests.fixtures.loading.tiny_more import packed

TABLE = Path(__file__).with_name("facade_matrix.csv")
WHO = ("stranger", "owner", "reader", "other", "operator", "admin",
       "preview of owner", "key read", "key ask", "key write", "key operate", "key admin")  # fmt: skip
PASSWORD = "a long enough password"
NEW_PASSWORD = "another long enough password"


@dataclass
class World:
    """One workbench with somebody of every kind."""

    workbench: Workbench
    people: dict[str, Principal] = field(default_factory=dict)
    kept: dict[str, str] = field(default_factory=dict)
    caller: str = ""
    count: int = 0

    async def begin(self) -> None:
        """Let everybody come in anew, under names that nobody had."""
        self.kept.clear()
        roles = {
            "owner": Role.ANALYST,
            "reader": Role.ANALYST,
            "other": Role.ANALYST,
            "operator": Role.OPERATOR,
            "admin": Role.ADMIN,
        }
        for who, role in roles.items():
            user = await self.workbench.create_user(ADMIN, self.name(), PASSWORD, role)
            self.people[who] = await self.signed_in(user.name)
        self.people["stranger"] = Principal(user_id="f" * 32, name="stranger", role=Role.ANALYST, session_id="f" * 32)
        self.people["preview of owner"] = await self.workbench.view_as(self.people["admin"], self.people["owner"].user_id)
        for scope in Scope:
            of = self.people[{Scope.ADMIN: "admin", Scope.OPERATE: "operator"}.get(scope, "owner")]
            made = await self.workbench.create_api_key(of, scope.value, [scope])
            key = await self.workbench.authenticate_bearer(made.text, ip="127.0.0.1")
            assert key is not None
            self.people[f"key {scope.value}"] = key

    async def signed_in(self, name: str) -> Principal:
        done = await self.workbench.sign_in(name, PASSWORD, ip="127.0.0.1", user_agent="test")
        found = await self.workbench.authenticate(done.token)
        assert found is not None
        return found

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    async def collection(self) -> str:
        made = await self.workbench.create_collection(ADMIN, self.name())
        await self.workbench.grant(ADMIN, made.id, self.people["owner"].name, Right.OWNER)
        await self.workbench.grant(ADMIN, made.id, self.people["reader"].name, Right.READ)
        return made.id

    async def document(self) -> str:
        collection_id = await self.collection()
        info, _ = await self.workbench.upload(ADMIN, collection_id, "a.txt", f"The quokka sleeps {self.name()}.".encode())
        await self.workbench.process(ADMIN, collection_id)
        return info.id

    async def replaced(self) -> str:
        """One with a second version that is live."""
        document = await self.workbench.document(ADMIN, await self.document())
        await self.workbench.upload(ADMIN, document.collection_id, document.name, self.name().encode())
        await self.workbench.process(ADMIN, document.collection_id)
        return document.id

    async def documents(self) -> list[str]:
        return [await self.document()]

    async def kept_document(self) -> str:
        """One for all callers of a method that leaves it as it is."""
        return self.kept.get("document") or self.kept.setdefault("document", await self.document())

    async def kept_message(self) -> str:
        return self.kept.get("message") or self.kept.setdefault("message", await self.message())

    async def user(self) -> str:
        return (await self.workbench.create_user(ADMIN, self.name(), PASSWORD, Role.ANALYST)).id

    async def disabled(self) -> str:
        user_id = await self.user()
        await self.workbench.disable_user(ADMIN, user_id)
        return user_id

    async def passage(self) -> str:
        return (await self.workbench.chunks(ADMIN, await self.kept_document()))[0].id

    def owner_id(self) -> str:
        return self.people["owner"].user_id

    def other_name(self) -> str:
        return self.people["other"].name

    async def session(self) -> str:
        """One of the owner's, beside the one that the owner calls from."""
        return (await self.signed_in(self.people["owner"].name)).session_id

    async def code(self) -> str:
        """One that confirms a second factor of the caller, who can begin one only when signed in."""
        if self.caller == "stranger" or self.caller.startswith(("key", "preview")):
            return "000000"
        begun = await self.workbench.start_second_factor(self.people[self.caller])
        return code_at(begun.secret, int(time.time() // STEP_SECONDS))

    def list_of_users(self) -> str:
        return f"name,role\n{self.name()},analyst\n"

    async def group(self) -> str:
        return (await self.workbench.create_group(ADMIN, self.name())).id

    async def provider(self) -> str:
        return (await self.workbench.add_provider(ADMIN, "qdrant", name=self.name(), base_url="http://127.0.0.1:9")).name

    async def breaker(self) -> str:
        """One of a store that nobody called."""
        name = await self.provider()
        return next(one.id for one in await self.workbench.breakers(ADMIN) if one.dependency.provider == name)

    async def conversation(self) -> str:
        """One of the owner's."""
        return (await self.workbench.create_conversation(self.people["owner"], [])).id

    async def message(self) -> str:
        """One of the owner's."""
        document = await self.workbench.document(ADMIN, await self.document())
        owner = self.people["owner"]
        conversation = await self.workbench.create_conversation(owner, [document.collection_id])
        sent = await self.workbench.send(owner, conversation.id, "What does the quokka do?")
        while (await self.workbench.message(owner, sent.id)).state == "streaming":
            await asyncio.sleep(0.01)
        return sent.id

    async def alert_rule(self) -> str:
        return (
            await self.workbench.save_alert_rule(ADMIN, AlertRule(name="q", metric="queue_oldest_seconds", threshold=1.0))
        ).id

    async def alert(self) -> str:
        """One that ended."""
        alert_id = new_id()
        async with self.workbench.database.write() as session:
            session.add(AlertRow(id=alert_id, rule_id="r", rule="r", value=1.0, started_at=now()))
        return alert_id

    async def alert_channel(self) -> str:
        made = AlertChannel(name=self.name(), kind="mail", target="ops@example.com")
        saved = await self.workbench.save_alert_channel(ADMIN, made)
        return saved.id

    async def retention_rule(self) -> str:
        rule = RetentionRule(id="", kind=RetentionKind.FILES, days=30_000, collection_id=await self.collection(), enabled=False)
        return (await self.workbench.save_retention_rule(ADMIN, rule)).id

    async def legal_hold(self) -> str:
        return (await self.workbench.set_legal_hold(ADMIN, "document", await self.document(), "case 1")).id

    async def key(self) -> str:
        """One of the owner's."""
        made = await self.workbench.create_api_key(self.people["owner"], self.name(), [Scope.READ])
        await self.workbench.revoke_api_key(ADMIN, made.info.id)  # so that the limit on active ones is not reached
        return made.info.id


Arguments = Callable[[World], Awaitable[tuple[tuple[Any, ...], dict[str, Any]]]]


def args(*makers: Any, **named: Any) -> Arguments:
    """Return what makes the arguments anew for each call; async methods of World are awaited, all else is taken as it is."""

    async def made(world: World) -> tuple[tuple[Any, ...], dict[str, Any]]:
        async def value(maker: Any) -> Any:
            found = maker(world) if callable(maker) else maker
            return await found if inspect.isawaitable(found) else found

        return tuple([await value(maker) for maker in makers]), {name: await value(maker) for name, maker in named.items()}

    return made


async def _collections(world: World) -> list[str]:
    return [await world.collection()]


async def _version(world: World) -> int:
    return (await world.workbench.choices(ADMIN)).version


CHAIN = (Choice(provider="extractive"),)
C, D, U, G, P = World.collection, World.document, World.user, World.group, World.provider
ARGUMENTS: dict[str, Arguments] = {
    "collections": args(),
    "metrics": args(),
    "collection_id": args("nothing of this name", create=False),
    "create_collection": args(World.name),
    "delete_collection": args(C),
    "upload": args(C, "b.txt", b"The wombat digs."),
    "waiting": args(C),
    "process": args(C),
    "documents": args(C),
    "document": args(World.kept_document),
    "page": args(World.kept_document, 1),
    "chunks": args(World.kept_document),
    "page_image": args(World.kept_document, 1),
    "original": args(World.kept_document),
    "delete_document": args(D),
    "restore_document": args(D),
    "reprocess": args(D),
    "jobs": args(C),
    "job_log": args(World.kept_document),
    "tray": args(),
    "cancel": args(D),
    "requeue": args(D),
    "versions": args(World.kept_document),
    "activate_version": args(World.replaced, 1),
    "disable_document": args(D),
    "enable_document": args(D),
    "move_document": args(D, C),
    "check_upload": args(C, lambda _: (UploadCheck(name="b.txt", sha256="0" * 64, size_bytes=1),)),
    "bulk": args(BulkAction.DISABLE, World.documents),
    "search": args("quokka", collections=_collections),
    "ask": args("What does the quokka do?", collections=_collections),
    "conversations": args(),
    "create_conversation": args(_collections),
    "rename_conversation": args(World.conversation, "title"),
    "delete_conversation": args(World.conversation),
    "set_scope": args(World.conversation, ()),
    "messages": args(World.conversation),
    "message": args(World.kept_message),
    "send": args(World.conversation, "Why?"),
    "stop": args(World.kept_message),
    "citation_states": args(World.kept_message),
    "provider_kinds": args(),
    "providers": args(),
    "add_provider": args("qdrant", name=World.name, base_url="http://127.0.0.1:9"),
    "edit_provider": args(P, timeout_seconds=5.0),
    "remove_provider": args(P),
    "test_provider": args("extractive", "chat"),
    "provider_models": args("extractive", "chat"),
    "choices": args(),
    "choose": args(expected_version=_version, chain=lambda _: CHAIN),
    "impact": args("chat", lambda _: CHAIN),
    "simulate": args(lambda _: CHAIN, frozenset()),
    "offers": args(),
    "accept_offer": args("none"),
    "prices": args(),
    "set_price": args(P, "m", 1.0, 1.0),
    "usage": args(),
    "move_store": args(C, "memory"),
    "revert_store": args(C),
    "plan_generation": args(C, GenerationChange(chunk_tokens=50)),
    "start_generation": args(C, GenerationChange(chunk_tokens=50)),
    "generations": args(C),
    "cancel_generation": args("nothing of this id"),
    "switch_generation": args("nothing of this id"),
    "revert_generation": args(C),
    "build_generation": args("nothing of this id"),
    "users": args(),
    "create_user": args(World.name, PASSWORD, Role.ANALYST),
    "audit": args(),
    "health": args(),
    "alert_metrics": args(),
    "alert_rules": args(),
    "save_alert_rule": args(lambda _: AlertRule(name="slow", metric="queue_oldest_seconds", threshold=60.0)),
    "delete_alert_rule": args(World.alert_rule),
    "silence_alert_rule": args(World.alert_rule, 15.0),
    "alerts": args(),
    "acknowledge_alert": args(World.alert),
    "alert_channels": args(),
    "save_alert_channel": args(lambda _: AlertChannel(name="mail", kind="mail", target="ops@example.com")),
    "delete_alert_channel": args(World.alert_channel),
    "test_alert_channel": args(World.alert_channel),
    "incidents": args(Range.HOUR),
    "support_bundle": args(),
    "groups": args(),
    "create_group": args(World.name),
    "rename_group": args(G, World.name),
    "delete_group": args(G),
    "set_members": args(G, ()),
    "grants": args(C),
    "grant": args(C, World.other_name, Right.READ),
    "grant_group": args(C, "nobody", None),
    "shareable": args(C),
    "reach": args(U),
    "view_as": args(U),
    "api_keys": args(),
    "create_api_key": args(World.name, (Scope.READ,)),
    "revoke_api_key": args(World.key),
    "issue_token": args(),
    "revoke_token": args("A" * 22),
    "note_denied": args("a page"),
    "my_account": args(),
    "change_password": args(PASSWORD, NEW_PASSWORD),
    "start_second_factor": args(),
    "confirm_second_factor": args(World.code),
    "remove_second_factor": args(PASSWORD),
    "sessions": args(World.owner_id),
    "revoke_session": args(World.session),
    "sign_out_everywhere": args(),
    "invite_user": args(World.name, Role.ANALYST),
    "reset_password": args(U),
    "set_role": args(U, Role.OPERATOR),
    "disable_user": args(U),
    "enable_user": args(World.disabled),
    "delete_user": args(U),
    "reset_second_factor": args(U),
    "unlock_user": args(U),
    "import_users": args(World.list_of_users, apply=True),
    "audit_facets": args(),
    "audit_verify": args(),
    "audit_export": args(),
    "audit_sources": args(),
    "audit_retain": args(older_than_days=4000, apply=True),
    "audit_views": args(),
    "save_audit_view": args("denied", AuditQuery(outcome="denied")),
    "delete_audit_view": args("denied"),
    "quarantine": args(C),
    "release_passage": args(World.passage),
    "hold_passage": args(World.passage),
    "upload_archive": args(C, "b.zip", packed({"a.txt": b"The wombat digs."})),
    "upload_url": args(C, "http://127.0.0.1/a.txt"),
    "measurements": args(Range.HOUR),
    "measurements_csv": args("15 min"),
    "preference": args("health_range"),
    "set_preference": args("health_range", World.name),
    "breakers": args(),
    "clear_cache": args(),
    "reconcile": args(check=True),
    "command_breaker": args(World.breaker, BreakerCommand.HOLD),
    "backup": args(),
    "start_backup": args(),
    "backups": args(),
    "verify_backup": args(Path("none.tar")),
    "test_backup": args("none"),
    "export_collection": args(C, lambda world: Path(tempfile.mkdtemp(), "x.tar")),
    "import_collection": args(Path("/nowhere.tar")),
    "sync_folder": args(C, Path("/nowhere")),
    "retention_rules": args(),
    "save_retention_rule": args(RetentionRule(id="", kind=RetentionKind.CHATS, days=30_000, enabled=False)),
    "delete_retention_rule": args(World.retention_rule),
    "retention_effects": args(World.retention_rule),
    "apply_retention": args(World.retention_rule),
    "legal_holds": args(),
    "set_legal_hold": args("document", D, "case 2"),
    "release_legal_hold": args(World.legal_hold),
}
CHANGE_THE_CALLER = {"change_password", "confirm_second_factor", "remove_second_factor", "sign_out_everywhere"}
"""After these the callers are not who they were, so everybody comes in anew."""


def methods(workbench: Workbench) -> list[str]:
    """Return the names of the async methods whose first argument is a principal."""
    named = {name: getattr(workbench, name) for name in dir(workbench) if not name.startswith("_")}
    return sorted(
        name
        for name, method in named.items()
        if inspect.iscoroutinefunction(method) and next(iter(inspect.signature(method).parameters), "") == "principal"
    )


async def outcome(world: World, name: str, who: str) -> str:
    """Call one method as somebody, again if something changed that should not have.

    Work that an earlier call began may write in between; what a refused call changes by itself, it changes each time.
    """
    for _ in range(3):
        found = await _once(world, name, who)
        if "changed" not in found:
            break
    return found


async def _once(world: World, name: str, who: str) -> str:
    """Whatever else fails, fails behind the permissions."""
    world.caller = who
    arguments, named = await ARGUMENTS[name](world)
    before = _touched(world.workbench)
    try:
        await getattr(world.workbench, name)(world.people[who], *arguments, **named)
    except AddressDenied:  # the address was refused, not the caller
        result = "allowed (AddressDenied)"
    except AccessDenied:
        result = "denied"
    except NotFound:
        result = "not found"
    except EngineError as error:
        result = f"allowed ({type(error).__name__})"
    else:
        result = "allowed"
    changed = _touched(world.workbench) != before
    if changed and result in {"denied", "not found"}:
        return f"{result}, and yet something changed"
    return f"{result}, changed" if changed and who.startswith("preview") else result


UNWATCHED = {"audit_head", "sign_in_failures", "jobs", "versions", "snapshots", "counters"}


def watch(workbench: Workbench) -> None:
    """Count in `touched` what changes: of the audit what succeeded, and nothing of what any request or wrong password touches.

    By triggers, past the engine: some 4,000 pictures of 40 tables that grow would cost more than all the calls.
    """
    with closing(sqlite3.connect(str(workbench.database.url.database))) as connection:
        connection.execute("CREATE TABLE touched (times INTEGER)")
        connection.execute("INSERT INTO touched VALUES (0)")
        for table in Base.metadata.sorted_tables:
            if table.name in UNWATCHED:
                continue
            differs = " OR ".join(f'OLD."{column.name}" IS NOT NEW."{column.name}"' for column in table.columns)
            events = (
                {"INSERT": "NEW.outcome = 'success'"}
                if table.name == "audit"
                else {"INSERT": "1", "DELETE": "1", "UPDATE": differs}
            )
            for event, when in events.items():
                connection.execute(
                    f'CREATE TRIGGER "watch_{table.name}_{event}" AFTER {event} ON "{table.name}" WHEN {when} '
                    "BEGIN UPDATE touched SET times = times + 1; END"
                )
        connection.commit()


def _touched(workbench: Workbench) -> int:
    with closing(sqlite3.connect(str(workbench.database.url.database))) as connection:
        times: int = connection.execute("SELECT times FROM touched").fetchone()[0]
    return times


async def matrix(names: list[str] | None = None) -> dict[str, dict[str, str]]:
    """Return method -> who -> outcome, in a workbench of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with offline_workbench(Path(folder), hasher=BcryptHasher(4), uploads={"files_per_hour": 100_000}) as workbench:
            watch(workbench)
            world = World(workbench)
            await world.begin()
            rows: dict[str, dict[str, str]] = {}
            for name in names or methods(workbench):
                rows[name] = {who: await outcome(world, name, who) for who in WHO}
                if name in CHANGE_THE_CALLER:
                    await world.begin()
    return rows


def written() -> dict[str, dict[str, str]]:
    """Return the table as it is kept."""
    with TABLE.open(newline="") as file:
        return {row.pop("method"): row for row in csv.DictReader(file)}


def main() -> None:
    """Write the table."""
    rows = asyncio.run(matrix())
    with TABLE.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["method", *WHO], lineterminator="\n")
        writer.writeheader()
        writer.writerows({"method": name, **row} for name, row in rows.items())


if __name__ == "__main__":
    main()
