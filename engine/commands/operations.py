"""`grant`, `health`, `serve`: what operators and admins do on the machine itself."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from engine.commands.console import LOCAL, complain, errors, out, print_json, run
from engine.commands.library import AsJson
from engine.errors import ConfigError
from engine.monitoring.logs import configure_logging
from engine.services.server_lock import ServerLock
from engine.settings import load_settings, server_environment
from engine.types import Right
from engine.workbench import Workbench

_MARKS = {"ok": "ok", "degraded": "degraded", "failed": "FAILED"}


def grant(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    name: Annotated[str, typer.Argument(help="Name of the user, or of the group with --group.")],
    right: Annotated[Right, typer.Option(help="What they may do there.")] = Right.READ,
    revoke: Annotated[bool, typer.Option("--revoke", help="Take every right away instead.")] = False,
    group: Annotated[bool, typer.Option("--group", help="NAME is a group.")] = False,
) -> None:
    """Share a collection with a user or a group, or stop sharing it. It bites at once, also on open pages."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        give = workbench.grant_group if group else workbench.grant
        await give(LOCAL, collection_id, name, None if revoke else right)
        out.print(f"{name} may {'not see' if revoke else right.value} {collection!r}", markup=False)

    run(work)


def health(as_json: AsJson = False) -> None:
    """Try every part for real, say what is wrong and how to mend it; ends with 1 when one failed."""

    async def work(workbench: Workbench) -> None:
        checks = await workbench.health(LOCAL, fresh=True)
        if as_json:
            print_json([asdict(check) for check in checks])
        else:
            table = Table("state", "part", "found", "ms", box=None, pad_edge=False)
            for check in checks:
                told = [check.detail] if check.state == "ok" else [check.detail, check.effect, check.hint]
                said = Text("\n".join(filter(None, told)))
                table.add_row(_MARKS[check.state], Text(check.name), said, f"{check.elapsed_ms:.0f}")
            out.print(table)
        if any(check.state == "failed" for check in checks):
            raise typer.Exit(1)

    run(work)


def serve(
    port: Annotated[int, typer.Option(min=1, max=65535, help="Port to listen on.")] = 8501,
    address: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for every interface.")] = "127.0.0.1",
) -> None:
    """Start the app; this process becomes the server."""
    script = Path(__file__).resolve().parents[2] / "app.py"
    try:
        if not script.exists():
            raise ConfigError("app.py is not beside the engine", hint="Run this from a checkout.")
        settings = load_settings()
        configure_logging(settings.monitoring.log_format)
        environment = server_environment(settings)
        with ServerLock(
            settings.data_dir
        ):  # the server itself takes it for good; here it can still be told to whoever starts it
            pass
    except ConfigError as error:
        complain(error)
        raise typer.Exit(2) from None
    arguments = [sys.executable, "-m", "streamlit", "run", str(script), "--server.port", str(port), "--server.address", address]
    errors.print(f"Starting on http://{'localhost' if address == '127.0.0.1' else address}:{port}")
    os.chdir(script.parent)
    os.execve(sys.executable, arguments, environment)  # the server takes over process id and signals
