"""What all commands share: who calls, how data and errors are printed, which exit code follows.

Exit codes: 0 done; 1 it failed, or part of it did, or it was interrupted; 2 wrong usage or wrong settings.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Any, TypeVar

import typer
from rich.console import Console

from engine.assembly import build_workbench
from engine.errors import ConfigError, EngineError
from engine.settings import Settings, load_settings
from engine.types import Principal, Role
from engine.workbench import Workbench


class Mode(StrEnum):
    """How to search: by vectors, by words, or both."""

    DENSE = "dense"
    LEXICAL = "lexical"
    HYBRID = "hybrid"


Result = TypeVar("Result")

# Whoever can read the data folder can read everything in it, so the command line acts with an admin's rights.
LOCAL = Principal(user_id="local", name="command line", role=Role.ADMIN)
errors = Console(stderr=True, highlight=False)
out = Console(highlight=False, soft_wrap=True)


def run(work: Callable[[Workbench], Awaitable[Result]]) -> Result:
    """Open the workbench, do the work, and turn errors into one clear line and an exit code."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")

    async def whole(settings: Settings) -> Result:
        # An order to stop ends the work as Ctrl-C does: jobs go back to the queue, indexes are saved.
        if task := asyncio.current_task():
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        async with build_workbench(settings) as workbench:
            return await work(workbench)

    try:
        return asyncio.run(whole(load_settings()))
    except EngineError as error:
        complain(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        errors.print("Interrupted. What was finished is kept; run the same command again to go on.")
        raise typer.Exit(1) from None


def complain(error: EngineError) -> None:
    """Print what happened and how to go on."""
    errors.print(f"Error: {error}", markup=False)
    if error.hint:
        errors.print(f"       {error.hint}", markup=False)


def print_json(value: Any) -> None:
    """Print data for programs: one JSON value on standard output, nothing else."""
    typer.echo(json.dumps(value, ensure_ascii=False, indent=2, default=str))
