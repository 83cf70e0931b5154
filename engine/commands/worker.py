"""`worker`: a process that works on documents, for as long as it is let."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from typing import Annotated

import typer

from engine.assembly import Assembly
from engine.commands.console import complain, errors
from engine.errors import ConfigError, EngineError
from engine.monitoring.logs import configure_logging
from engine.settings import Settings, load_settings
from engine.worker_child import end_for_sure

NICENESS = 10  # beside a server, whoever waits for a page comes first


def worker(
    slots: Annotated[int, typer.Option(min=0, help="Files in work at the same time; 0 = the setting ingest_workers.")] = 0,
    celery: Annotated[bool, typer.Option("--celery", help="Take jobs from Celery's broker (ingestion.broker_url).")] = False,
    beside_server: Annotated[bool, typer.Option("--beside-server", hidden=True)] = False,
) -> None:
    """Work on documents until it is told to stop (SIGTERM, Ctrl-C). Any number of them may run."""
    try:
        settings = load_settings(**json.loads(sys.stdin.readline() or "{}")) if beside_server else load_settings()
        configure_logging(settings.monitoring.log_format)
        settings = settings.model_copy(update={"ingest_workers": slots or settings.ingest_workers})
        if celery:
            from engine.celery_app import work  # noqa: PLC0415 - only here: Celery is not needed otherwise

            work(settings)
            return
        if beside_server:
            os.nice(NICENESS)
        asyncio.run(_worked(settings, beside_server))
    except EngineError as error:
        complain(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None


async def _worked(settings: Settings, beside_server: bool) -> None:
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def told() -> None:
        if not stop.is_set():
            stop.set()
            end_for_sure()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told)
    if beside_server:
        threading.Thread(target=_until_the_end, args=(loop, told), daemon=True).start()
    else:
        errors.print(f"Working on {settings.ingest_workers} files at a time. Ctrl-C stops: unfinished ones wait for the next.")
    async with Assembly(settings).working(polling=True):
        await stop.wait()


def _until_the_end(loop: asyncio.AbstractEventLoop, told: Callable[[], None]) -> None:
    """Wait until the server has closed its end of the pipe, which the kernel does for one that was killed."""
    while sys.stdin.readline():
        pass
    with contextlib.suppress(RuntimeError):  # the loop is closed: it ended by itself
        loop.call_soon_threadsafe(told)
