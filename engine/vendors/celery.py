"""Celery over Redis: messages that name a version to work on, and nothing else of it."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Sequence
from functools import cached_property
from typing import Any, cast

from engine.errors import ConfigError, MissingDependency, StoreError

TASK = "engine.ingest"
CONNECT_SECONDS = 5.0
VISIBLE_SECONDS = 3600  # at least; then a message that was taken and not acknowledged comes back


def celery_app(broker_url: str, *, prefix: str, lease_seconds: float) -> Any:
    """Return a Celery application; nothing is connected to. `prefix` begins every key in Redis.

    Messages are acknowledged when the work is done, one at a time is taken, and there is no result.
    Raises ConfigError, MissingDependency.
    """
    if not broker_url.startswith(("redis://", "rediss://")):
        raise ConfigError("ingestion.broker_url is not redis:// or rediss://", hint="Set WORKBENCH_INGESTION__BROKER_URL.")
    try:
        from celery import Celery  # noqa: PLC0415 - half a second that only those pay who use it
    except ImportError as error:
        raise MissingDependency("Celery is not installed", hint="pip install celery") from error
    app = Celery("engine", broker=broker_url, set_as_current=False)
    app.conf.update(
        task_default_queue="ingest",
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_ignore_result=True,
        task_store_errors_even_if_ignored=False,
        task_serializer="json",
        accept_content=["json"],
        worker_prefetch_multiplier=1,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        worker_send_task_events=False,
        worker_enable_remote_control=False,  # a message says which version waits, and commands nothing
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_connection_timeout=CONNECT_SECONDS,
        broker_use_ssl={"ssl_cert_reqs": ssl.CERT_REQUIRED} if broker_url.startswith("rediss://") else None,
        broker_transport_options={
            "global_keyprefix": f"{prefix}:celery:",
            "visibility_timeout": max(VISIBLE_SECONDS, 2 * int(lease_seconds)),
            "socket_connect_timeout": CONNECT_SECONDS,
            "socket_timeout": 2 * CONNECT_SECONDS,
            "max_retries": 1,
        },
    )
    return app


class CeleryBell:
    """The doorbell of Celery workers; see `engine.services.ringing.Doorbell`."""

    def __init__(self, broker_url: str, *, prefix: str, lease_seconds: float) -> None:
        self._broker_url = broker_url
        self._prefix = prefix
        self._lease_seconds = lease_seconds

    @cached_property
    def _app(self) -> Any:
        return celery_app(self._broker_url, prefix=self._prefix, lease_seconds=self._lease_seconds)

    async def ring(self, version_ids: Sequence[str]) -> None:
        """Send one message for each of these versions. Raises StoreError when the broker is away."""
        await asyncio.to_thread(self._reached, self._send, version_ids)

    async def waiting(self) -> int:
        """Return how many messages nobody has taken yet. Raises StoreError."""
        return cast("int", await asyncio.to_thread(self._reached, self._length))

    def _send(self, connection: Any, version_ids: Sequence[str]) -> None:
        with self._app.amqp.Producer(connection) as producer:
            for version_id in version_ids:
                self._app.send_task(TASK, args=[version_id], producer=producer, retry=False)

    def _length(self, connection: Any) -> int:
        return int(connection.default_channel.client.llen(self._app.conf.task_default_queue))

    def _reached(self, work: Any, *arguments: Any) -> Any:
        from kombu.exceptions import OperationalError  # noqa: PLC0415 - as Celery itself

        connection = self._app.connection_for_write()
        try:
            with connection:
                connection.ensure_connection(max_retries=1, timeout=CONNECT_SECONDS)
                return work(connection, *arguments)
        except (OperationalError, OSError, *connection.connection_errors, *connection.channel_errors) as error:
            raise StoreError(
                f"the broker of the workers cannot be reached ({type(error).__name__})",
                hint="Nothing is lost: documents wait, and workers are told when it is back.",
            ) from error
