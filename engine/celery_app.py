"""The Celery worker: `python -m engine worker --celery`. It runs the very function that the other workers run.

Its pool are threads of one process: models are loaded once for all slots, nothing that holds threads or an event loop is
forked, and files are parsed in processes of their own anyway. More processes or machines are started the same way.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from typing import Any

from engine.assembly import Assembly
from engine.errors import EngineError
from engine.settings import Settings
from engine.vendors.celery import TASK, celery_app
from engine.worker_child import end_for_sure

logger = logging.getLogger(__name__)


def work(settings: Settings) -> None:
    """Take messages until SIGTERM; then jobs and messages go back. Raises ConfigError, StoreError, MissingDependency."""
    from celery import signals  # noqa: PLC0415 - only workers need it
    from celery.exceptions import Reject  # noqa: PLC0415

    ingestion = settings.ingestion
    app = celery_app(
        ingestion.broker_url.get_secret_value(), prefix=settings.caching.prefix, lease_seconds=ingestion.stalled_seconds
    )
    engine = _Engine(settings)

    @app.task(name=TASK)  # type: ignore[untyped-decorator]
    def ingest(version_id: str) -> None:
        try:
            engine.run(version_id)
        except concurrent.futures.CancelledError:
            raise Reject("this worker stops", requeue=True) from None
        except EngineError as error:  # the database is away: whoever serves rings again
            logger.warning("version %s was left to the next worker: %s", version_id, error)

    def told(**_: Any) -> None:
        end_for_sure()
        engine.stop()

    def keep_ours(**_: Any) -> None:
        """Celery leaves logging alone when somebody listens here."""

    signals.worker_shutting_down.connect(told)
    signals.setup_logging.connect(keep_ours)
    engine.start()
    try:
        app.Worker(
            pool="threads", concurrency=settings.ingest_workers, without_gossip=True, without_mingle=True, quiet=True
        ).start()
    finally:
        engine.close()


class _Engine:
    """The one assembly of this process, in a loop of its own: tasks come in threads."""

    def __init__(self, settings: Settings) -> None:
        self._assembly = Assembly(settings)
        self._loop = asyncio.new_event_loop()
        self._stopped = asyncio.Event()
        self._opened: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, name="engine", daemon=True)

    def start(self) -> None:
        """Open everything. Raises EngineError."""
        self._thread.start()
        self._opened.result()

    def run(self, version_id: str) -> None:
        """Work on a version if nobody else does. Raises CancelledError when stopped meanwhile, StoreError."""
        asyncio.run_coroutine_threadsafe(self._assembly.worker.run_one(version_id), self._loop).result()

    def stop(self) -> None:
        """Interrupt what runs and give its jobs back; returns at once."""
        self._loop.call_soon_threadsafe(self._stopped.set)

    def close(self) -> None:
        """Wait until everything is closed."""
        self.stop()
        self._thread.join()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_until_complete(self._work())
        except BaseException as error:  # told to whoever waits for the start
            if self._opened.done():
                raise
            self._opened.set_exception(error)

    async def _work(self) -> None:
        async with self._assembly.working(polling=False):
            self._opened.set_result(None)
            await self._stopped.wait()
            await self._assembly.worker.stop()
