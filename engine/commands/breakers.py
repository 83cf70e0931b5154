"""`breakers`, `breakers trip|drain|hold|reset`: what stands in front of models and stores, and taking it out of use."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engine.commands.console import LOCAL, out, print_json, run
from engine.commands.library import AsJson
from engine.operations_views import BreakerCommand, BreakerInfo
from engine.workbench import Workbench

breakers = typer.Typer(help="Breakers of models and stores; without a command, all of them.", invoke_without_command=True)
_Id = Annotated[str, typer.Argument(help="Id of the breaker, as the list shows it; its start is enough.")]
_Reason = Annotated[str, typer.Option(help="Why; everybody who looks at the breaker reads it.")]


@breakers.callback()
def list_breakers(context: typer.Context, as_json: AsJson = False) -> None:
    """Show the breakers.

    What operators forced is in force everywhere. Calls are counted by each server for itself: its health page shows them.
    """
    if context.invoked_subcommand is not None:
        return

    async def work(workbench: Workbench) -> None:
        infos = await workbench.breakers(LOCAL)
        if as_json:
            print_json([asdict(info) for info in infos])
            return
        for info in infos:
            out.print(f"{info.id}  {info.state.value:11}  {info.dependency}", markup=False)
            if info.forced_by:
                why = f": {info.reason}" if info.reason else ""
                out.print(f"{'':16}  by {info.forced_by} at {info.since:%Y-%m-%d %H:%M} UTC{why}", markup=False)
        if not infos:
            out.print("Nothing that is in use needs a breaker: all models and stores live in this process.")

    run(work)


@breakers.command()
def trip(breaker: _Id, reason: _Reason = "") -> None:
    """Take a model or store out of use at once, in every process; answers that are being written by it end."""
    _command(breaker, BreakerCommand.TRIP, reason)


@breakers.command()
def drain(breaker: _Id, reason: _Reason = "") -> None:
    """Take a model or store out of use, in every process; what runs may end."""
    _command(breaker, BreakerCommand.DRAIN, reason)


@breakers.command()
def hold(breaker: _Id, reason: _Reason = "") -> None:
    """Keep a model or store in use, whatever its failures."""
    _command(breaker, BreakerCommand.HOLD, reason)


@breakers.command()
def reset(breaker: _Id, reason: _Reason = "") -> None:
    """Give a model or store back to its breaker, which begins closed and with nothing counted."""
    _command(breaker, BreakerCommand.RESET, reason)


def _command(breaker: str, command: BreakerCommand, reason: str) -> None:
    async def work(workbench: Workbench) -> None:
        info = await _found(workbench, breaker)
        await workbench.command_breaker(LOCAL, info.id, command, reason=reason)
        after = await _found(workbench, info.id)
        out.print(f"{after.dependency} is {after.state.value}; servers follow within two seconds", markup=False)

    run(work)


async def _found(workbench: Workbench, start: str) -> BreakerInfo:
    found = [info for info in await workbench.breakers(LOCAL) if start and info.id.startswith(start)]
    if len(found) != 1:
        raise typer.BadParameter(f"{len(found)} breakers have an id that begins with {start!r}")
    return found[0]
