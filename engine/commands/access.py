"""`group`, `key`: who may do what, on the machine itself."""

from __future__ import annotations

from typing import Annotated

import typer

from engine.access_views import GroupInfo, KeyInfo, Scope, UserInfo
from engine.commands.console import LOCAL, out, run
from engine.errors import NotFound
from engine.types import Principal
from engine.workbench import Workbench

group = typer.Typer(help="Groups of users.", no_args_is_help=True)
key = typer.Typer(help="API keys.", no_args_is_help=True)
GroupName = Annotated[str, typer.Argument(help="Name of the group.")]
UserName = Annotated[str, typer.Option("--user", help="Name of the user.")]


@group.command("add")
def add_group(name: GroupName) -> None:
    """Add an empty group."""

    async def work(workbench: Workbench) -> None:
        out.print(f"added {(await workbench.create_group(LOCAL, name)).name}", markup=False)

    run(work)


@group.command("remove")
def remove_group(name: GroupName) -> None:
    """Remove a group; its members keep only what they were granted themselves, or through other groups."""

    async def work(workbench: Workbench) -> None:
        await workbench.delete_group(LOCAL, (await _group(workbench, name)).id)
        out.print(f"removed {name}", markup=False)

    run(work)


@group.command("members")
def members(
    name: GroupName,
    users: Annotated[list[str] | None, typer.Argument(help="Names of users; none shows who is in the group.")] = None,
    empty: Annotated[bool, typer.Option("--empty", help="Take everybody out.")] = False,
) -> None:
    """Show the members of a group, or make exactly these users its members."""

    async def work(workbench: Workbench) -> None:
        found = await _group(workbench, name)
        if users or empty:
            ids = [(await _user(workbench, user)).id for user in users or []]
            await workbench.set_members(LOCAL, found.id, ids)
            found = await _group(workbench, name)
        out.print("\n".join(user for _, user in found.members) or "(nobody)", markup=False)

    run(work)


@group.command("list")
def list_groups() -> None:
    """Show all groups, how many are in each, and what is shared with it."""

    async def work(workbench: Workbench) -> None:
        for one in await workbench.groups(LOCAL):
            shared = ", ".join(f"{collection} ({right.value})" for collection, right in one.collections) or "nothing shared"
            out.print(f"{one.name}  {len(one.members)} members  {shared}", markup=False)

    run(work)


@key.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    user: UserName,
    scope: Annotated[list[Scope], typer.Option("--scope", help="What it may be used for; can be repeated.")],
    days: Annotated[int, typer.Option(min=1, max=365, help="How long it can be used.")] = 90,
    never_ends: Annotated[bool, typer.Option("--never-ends", help="No end; for keys of admins.")] = False,
) -> None:
    """Make an API key for a user and print it, once. It never does more than the user may."""

    async def work(workbench: Workbench) -> None:
        owner = await _user(workbench, user)
        behalf = Principal(user_id=owner.id, name=owner.name, role=owner.role, session_id="command line")
        made = await workbench.create_api_key(behalf, name, scope, days=None if never_ends else days)
        out.print(made.text, markup=False)

    run(work)


@key.command("list")
def list_keys() -> None:
    """Show the keys of all users; never their secrets."""

    async def work(workbench: Workbench) -> None:
        for one in await workbench.api_keys(LOCAL, "*"):
            out.print(_line(one), markup=False)

    run(work)


@key.command("revoke")
def revoke_key(key_id: Annotated[str, typer.Argument(help="The id, as `key list` shows it.")]) -> None:
    """End a key and its tokens at once."""

    async def work(workbench: Workbench) -> None:
        await workbench.revoke_api_key(LOCAL, key_id)
        out.print(f"revoked {key_id}", markup=False)

    run(work)


def _line(info: KeyInfo) -> str:
    until = f"until {info.expires_at:%Y-%m-%d}" if info.expires_at else "without an end"
    used = f"used {info.last_used_at:%Y-%m-%d %H:%M}" if info.last_used_at else "never used"
    return f"{info.id}  {info.state}  {info.user}  {info.name!r}  {'+'.join(info.scopes)}  {until}  {used}"


async def _group(workbench: Workbench, name: str) -> GroupInfo:
    wanted = " ".join(name.split()).casefold()
    for one in await workbench.groups(LOCAL):
        if one.name.casefold() == wanted:
            return one
    raise NotFound(f"there is no group {name!r}", hint="`group list` shows them.")


async def _user(workbench: Workbench, name: str) -> UserInfo:
    for one in await workbench.users(LOCAL):
        if one.name == name.strip().lower():
            return one
    raise NotFound(f"there is no user {name!r}", hint="Add the user first.")
