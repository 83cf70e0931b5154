"""`user ...`: what admins do with users, on the machine itself. It is also the way back in when no admin can sign in."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from engine.access_views import Invitation, UserInfo
from engine.commands.console import LOCAL, out, print_json, run
from engine.commands.library import AsJson
from engine.errors import InputError, NotFound
from engine.services.user_lists import MAX_CHARS
from engine.types import Principal, Role
from engine.workbench import Workbench

user = typer.Typer(help="Users.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The name to sign in with.")]
AsRole = Annotated[Role, typer.Option(help="What the user may do.")]


@user.command("add")
def add(
    name: Name,
    role: AsRole = Role.ANALYST,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for when not given.")
    ] = "",
    must_change: Annotated[bool, typer.Option("--must-change", help="The password is good for one sign-in.")] = False,
) -> None:
    """Add a user. The password is read from the terminal, never shown, and stored as a bcrypt hash."""

    async def work(workbench: Workbench) -> None:
        info = await workbench.create_user(LOCAL, name, password, role, must_change=must_change)
        out.print(f"added {info.name} ({info.role.value})", markup=False)

    run(work)


@user.command("invite")
def invite(name: Name, role: AsRole = Role.ANALYST) -> None:
    """Add a user who chooses the password: prints the path of a one-time link to put behind the app's address."""

    async def work(workbench: Workbench) -> None:
        _print_link(await workbench.invite_user(LOCAL, name, role))

    run(work)


@user.command("list")
def listed(as_json: AsJson = False) -> None:
    """List users with role and state."""

    async def work(workbench: Workbench) -> None:
        found = await workbench.users(LOCAL)
        if as_json:
            print_json([asdict(one) for one in found])
            return
        for one in found:
            out.print(f"{one.name:24} {one.role.value:9} {_state(one)}", markup=False)

    run(work)


@user.command("role")
def role(name: Name, role: Annotated[Role, typer.Argument(help="The new role.")]) -> None:
    """Give a user another role. It bites at once; other sessions of the user end."""

    async def work(workbench: Workbench) -> None:
        await workbench.set_role(LOCAL, await _id_of(workbench, name), role)
        out.print(f"{name} is {role.value} now", markup=False)

    run(work)


@user.command("disable")
def disable(name: Name) -> None:
    """Keep a user out until `enable`."""
    _change(name, lambda workbench: workbench.disable_user, "disabled")


@user.command("enable")
def enable(name: Name) -> None:
    """Let a disabled user in again."""
    _change(name, lambda workbench: workbench.enable_user, "enabled")


@user.command("unlock")
def unlock(name: Name) -> None:
    """Forget the wrong passwords that locked an account."""
    _change(name, lambda workbench: workbench.unlock_user, "unlocked")


@user.command("delete")
def delete(name: Name, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False) -> None:
    """Remove a user with sessions, keys, grants and conversations, for good. Documents stay."""
    if not yes:
        typer.confirm(f"Delete {name!r} and all conversations of this user for good?", abort=True)
    _change(name, lambda workbench: workbench.delete_user, "deleted")


@user.command("reset")
def reset(
    name: Name,
    second_factor: Annotated[bool, typer.Option("--second-factor", help="Take away the second factor instead.")] = False,
) -> None:
    """Make the password useless and print the path of a one-time link for a new one."""
    if second_factor:
        _change(name, lambda workbench: workbench.reset_second_factor, "without a second factor")
        return

    async def work(workbench: Workbench) -> None:
        _print_link(await workbench.reset_password(LOCAL, await _id_of(workbench, name)))

    run(work)


@user.command("import")
def import_(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, readable=True, help="CSV: name, role, groups by ';'.")],
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without this nothing is changed.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add many users from a list. Prints what becomes of each line, with --apply each one's link. Exit code 1: some refused."""

    async def work(workbench: Workbench) -> None:
        rows = await workbench.import_users(LOCAL, _text(file), apply=apply)
        if as_json:
            print_json([asdict(row) for row in rows])
        else:
            for row in rows:
                out.print(f"{row.line:5}  {row.outcome:8} {row.name:24} {row.path or row.reason}", markup=False)
            if not apply:
                out.print("Nothing was changed. Add --apply to do it.")
        if any(row.outcome == "refused" for row in rows):
            raise typer.Exit(1)

    run(work)


def _change(name: str, method: Callable[[Workbench], Callable[[Principal, str], Awaitable[None]]], done: str) -> None:
    async def work(workbench: Workbench) -> None:
        await method(workbench)(LOCAL, await _id_of(workbench, name))
        out.print(f"{name} is {done}", markup=False)

    run(work)


async def _id_of(workbench: Workbench, name: str) -> str:
    for one in await workbench.users(LOCAL):
        if one.name == name.strip().lower():
            return one.id
    raise NotFound(f"there is no user {name!r}", hint="`user list` names them.")


def _print_link(invitation: Invitation) -> None:
    out.print(f"{invitation.user.name}, until {invitation.expires_at:%Y-%m-%d %H:%M} UTC:", markup=False)
    typer.echo(invitation.path)


def _state(one: UserInfo) -> str:
    words = {"disabled": one.disabled, "no password yet": one.invited, "must change the password": one.must_change,
             "second factor": one.second_factor, "locked": one.locked_until is not None}  # fmt: skip
    return ", ".join(word for word, true in words.items() if true) or "active"


def _text(file: Path) -> str:
    with file.open("rb") as stream:
        data = stream.read(4 * MAX_CHARS + 1)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("the list is not UTF-8", hint="Save it as CSV (UTF-8).") from error
