"""The worker that a server starts beside itself: a process of its own, so that reading documents never slows a page.

It gets the settings of the server through its standard input, and ends when that closes: with the server, however that ends.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import time

from engine.settings import Settings, child_environment, settings_text

logger = logging.getLogger(__name__)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
LASTING_SECONDS = 60.0  # a worker that lived for so long did not die of its start
STOP_SECONDS = 30.0
END_SECONDS = 25.0  # jobs are back in the queue by then
NOT_STARTED = -1
COMMAND = ("-m", "engine", "worker", "--beside-server")


def end_for_sure() -> None:
    """For a worker that was told to stop: end in 25 seconds at the latest, whatever a library is still busy with."""
    timer = threading.Timer(END_SECONDS, os._exit, [0])
    timer.daemon = True
    timer.start()


class WorkerChild:
    """Keeps one such process running."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.process: asyncio.subprocess.Process | None = None

    async def run(self) -> None:
        """Start it, and start it anew when it ends, after pauses that grow; until this task is cancelled, which ends it."""
        pause = FIRST_PAUSE
        try:
            while True:
                started = time.monotonic()
                code = await self._once()
                if time.monotonic() - started > LASTING_SECONDS:
                    pause = FIRST_PAUSE
                logger.error("the worker ended with code %s; the next one starts in %.0f s", code, pause)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
        finally:
            await self._end()

    async def _once(self) -> int:
        # A session of its own: Ctrl-C in the server's terminal is for the server, which ends the worker in order.
        try:
            self.process = process = await asyncio.create_subprocess_exec(
                sys.executable, *COMMAND, stdin=asyncio.subprocess.PIPE, env=child_environment(), start_new_session=True
            )
        except OSError as error:  # no memory or no process free for the moment: it must not end the attempts
            logger.error("the worker could not be started: %s", error.strerror)  # noqa: TRY400 - the reason is all there is
            return NOT_STARTED
        assert process.stdin is not None
        with contextlib.suppress(ConnectionError):  # it has ended already; its code tells
            process.stdin.write(settings_text(self._settings).encode() + b"\n")
            await process.stdin.drain()
        return await process.wait()

    async def _end(self) -> None:
        process = self.process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            logger.warning("the worker did not end in %.0f s and was killed; its jobs go on with the next one", STOP_SECONDS)
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
