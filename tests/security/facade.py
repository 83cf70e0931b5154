"""Every method of the facade that takes a principal, called as everybody: who may do what, as a table.

`python -m tests.security.facade` writes facade_matrix.csv anew; look at its difference before it is kept.
"""

from __future__ import annotations

import asyncio
import csv
import inspect
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from engine.access_views import Scope
from engine.database.columns import Base
from engine.database.models import Audit
from engine.errors import AccessDenied, EngineError, NotFound
from engine.provider_views import Choice
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Right, Role
from engine.workbench import Workbench

TABLE = Path(__file__).with_name("facade_matrix.csv")
WHO = ("stranger", "owner", "reader", "other", "operator", "admin",
       "preview of owner", "key read", "key ask", "key write", "key admin")  # fmt: skip
PASSWORD = "a long enough password"


@dataclass
class World:
    """One workbench with somebody of every kind."""

    workbench: Workbench
    people: dict[str, Principal] = field(default_factory=dict)
    count: int = 0

    async def begin(self) -> None:
        roles = {
            "owner": Role.ANALYST,
            "reader": Role.ANALYST,
            "other": Role.ANALYST,
            "operator": Role.OPERATOR,
            "admin": Role.ADMIN,
        }
        for name, role in roles.items():
            await self.workbench.create_user(ADMIN, name, PASSWORD, role)
            token = await self.workbench.sign_in(name, PASSWORD, ip="127.0.0.1", user_agent="test")
            found = await self.workbench.authenticate(getattr(token, "token", token))
            assert found is not None
            self.people[name] = found
        self.people["stranger"] = Principal(user_id="f" * 32, name="stranger", role=Role.ANALYST, session_id="f" * 32)
        self.people["preview of owner"] = await self.workbench.view_as(self.people["admin"], self.people["owner"].user_id)
        for scope in Scope:
            of = self.people["admin" if scope is Scope.ADMIN else "owner"]
            made = await self.workbench.create_api_key(of, scope.value, [scope])
            key = await self.workbench.authenticate_bearer(made.text, ip="127.0.0.1")
            assert key is not None
            self.people[f"key {scope.value}"] = key

    def name(self) -> str:
        self.count += 1
        return f"n{self.count}"

    async def collection(self) -> str:
        made = await self.workbench.create_collection(ADMIN, self.name())
        await self.workbench.grant(ADMIN, made.id, "owner", Right.OWNER)
        await self.workbench.grant(ADMIN, made.id, "reader", Right.READ)
        return made.id

    async def document(self) -> str:
        collection_id = await self.collection()
        info, _ = await self.workbench.upload(ADMIN, collection_id, "a.txt", f"The quokka sleeps {self.name()}.".encode())
        await self.workbench.process(ADMIN, collection_id)
        return info.id

    async def user(self) -> str:
        return (await self.workbench.create_user(ADMIN, self.name(), PASSWORD, Role.ANALYST)).id

    async def group(self) -> str:
        return (await self.workbench.create_group(ADMIN, self.name())).id

    async def provider(self) -> str:
        return (await self.workbench.add_provider(ADMIN, "qdrant", name=self.name(), base_url="http://127.0.0.1:9")).name

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
    "collection_id": args("nothing of this name", create=False),
    "create_collection": args(World.name),
    "delete_collection": args(C),
    "upload": args(C, "b.txt", b"The wombat digs."),
    "waiting": args(C),
    "process": args(C),
    "documents": args(C),
    "document": args(D),
    "page": args(D, 1),
    "chunks": args(D),
    "page_image": args(D, 1),
    "original": args(D),
    "delete_document": args(D),
    "restore_document": args(D),
    "reprocess": args(D),
    "search": args("quokka", collections=_collections),
    "ask": args("What does the quokka do?", collections=_collections),
    "conversations": args(),
    "create_conversation": args(_collections),
    "rename_conversation": args(World.conversation, "title"),
    "delete_conversation": args(World.conversation),
    "set_scope": args(World.conversation, ()),
    "messages": args(World.conversation),
    "message": args(World.message),
    "send": args(World.conversation, "Why?"),
    "stop": args(World.message),
    "citation_states": args(World.message),
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
    "users": args(),
    "create_user": args(World.name, PASSWORD, Role.ANALYST),
    "audit": args(),
    "health": args(),
    "groups": args(),
    "create_group": args(World.name),
    "rename_group": args(G, World.name),
    "delete_group": args(G),
    "set_members": args(G, ()),
    "grants": args(C),
    "grant": args(C, "other", Right.READ),
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
}


def methods(workbench: Workbench) -> list[str]:
    """Return the names of the async methods whose first argument is a principal."""
    named = {name: getattr(workbench, name) for name in dir(workbench) if not name.startswith("_")}
    return sorted(
        name
        for name, method in named.items()
        if inspect.iscoroutinefunction(method) and next(iter(inspect.signature(method).parameters), "") == "principal"
    )


async def outcome(world: World, name: str, who: str) -> str:
    """Call one method as somebody. Whatever else fails, fails behind the permissions."""
    arguments, named = await ARGUMENTS[name](world)
    before = await _rows(world.workbench)
    try:
        await getattr(world.workbench, name)(world.people[who], *arguments, **named)
    except AccessDenied:
        result = "denied"
    except NotFound:
        result = "not found"
    except EngineError as error:
        result = f"allowed ({type(error).__name__})"
    else:
        result = "allowed"
    changed = await _rows(world.workbench) != before
    if changed and result in {"denied", "not found"}:
        return f"{result}, and yet something changed"
    return f"{result}, changed" if changed and who.startswith("preview") else result


async def _rows(workbench: Workbench) -> dict[str, object]:
    """Return a picture of every table; of the audit without refusals, and without what any request touches."""
    found: dict[str, object] = {}
    async with workbench.database.read() as session:
        for table in Base.metadata.sorted_tables:
            if table.name == "audit":
                kept = select(func.count()).where(Audit.action != "permission.denied")
                found["audit"] = await session.scalar(kept)
            elif table.name not in {"jobs", "versions", "snapshots", "counters", "ai_calls"}:
                found[table.name] = sorted(map(repr, (await session.execute(select(table))).all()))
    return found


async def matrix(names: list[str] | None = None) -> dict[str, dict[str, str]]:
    """Return method -> who -> outcome, in a workbench of their own."""
    with tempfile.TemporaryDirectory() as folder:
        async with offline_workbench(Path(folder), uploads={"files_per_hour": 100_000}) as workbench:
            world = World(workbench)
            await world.begin()
            rows: dict[str, dict[str, str]] = {}
            for name in names or methods(workbench):
                rows[name] = {who: await outcome(world, name, who) for who in WHO}
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
