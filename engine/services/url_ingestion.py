"""Adding a document by its web address: fetched here, then received like any upload."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any
from urllib.parse import urlsplit

from engine.database import collections
from engine.database.audit import record
from engine.database.database import Database
from engine.errors import AddressDenied, InputError
from engine.sections import EgressLimits
from engine.security.egress import Egress, target
from engine.security.fetch import Fetched, fetch
from engine.services.library import Library, clean_file_name
from engine.types import Principal, Right
from engine.views import DocumentInfo, UploadVerdict

AT_ONCE = 4  # what is fetched is held in memory


class UrlIngestion:
    """Documents by address. `network` is for tests; see `engine.security.fetch`."""

    def __init__(
        self, *, database: Database, library: Library, rules: Egress, limits: EgressLimits, network: Any = None
    ) -> None:
        self._database = database
        self._library = library
        self._rules = rules
        self._limits = limits
        self._network = network
        self._turn = asyncio.Semaphore(AT_ONCE)

    async def upload_url(self, principal: Principal, collection_id: str, url: str) -> tuple[DocumentInfo, UploadVerdict]:
        """Fetch a file and queue it; the same address again gives a new version, or a duplicate.

        The audit log gets hosts and the SHA-256, never a path or a query, which may be a secret. Raises InputError,
        AccessDenied (AddressDenied for what may not be fetched), NotFound.
        """
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, Right.WRITE)
        try:
            target(url)
        except InputError:
            await self._refused(principal, collection_id, "")
            raise
        try:
            async with self._turn:
                found = await self._fetch(url)
        except AddressDenied as error:
            if error.by_rule:
                await self._refused(principal, collection_id, error.host)
            raise
        info, verdict = await self._library.upload(
            principal, collection_id, clean_file_name(found.file_name), found.content, password=None
        )
        async with self._database.write() as session:
            await record(
                session,
                principal,
                "document.fetch",
                info.id,
                host=_host(found.url),
                final_host=_host(found.final_url),
                sha256=hashlib.sha256(found.content).hexdigest(),
                verdict=verdict.value,
            )
        return info, verdict

    async def _fetch(self, url: str) -> Fetched:
        return await fetch(
            url,
            rules=self._rules,
            max_bytes=self._limits.url_max_mb << 20,
            seconds=self._limits.url_seconds,
            network=self._network,
        )

    async def _refused(self, principal: Principal, collection_id: str, host: str) -> None:
        async with self._database.write() as session:
            await record(session, principal, "egress.refused", collection_id, outcome="denied", host=host, purpose="url")


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""
