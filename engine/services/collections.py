"""Collections as people handle them; every call checks what the principal may do, in SQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from sqlalchemy import update

from engine import registry
from engine.database import collections, content, documents, holds, users
from engine.database.audit import record
from engine.database.blobs import Blobs
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.models import Collection, Grant, User
from engine.database.provider_models import SpaceRow
from engine.errors import AccessDenied, InputError, NotFound
from engine.services.configuration import Configured
from engine.services.indexes import Indexes
from engine.services.naming import clean_name
from engine.services.parts import Parts
from engine.services.space_names import short_name, space_name
from engine.services.spaces import Spaces
from engine.settings import Settings
from engine.types import Principal, Right, Role
from engine.views import CollectionInfo

NAME_CHARS = 200
SWEEP_SECONDS = 5.0


class Collections:
    """The collections of this installation."""

    def __init__(
        self,
        *,
        database: Database,
        blobs: Blobs,
        indexes: Indexes,
        spaces: Spaces,
        parts: Parts,
        configured: Configured,
        settings: Settings,
    ) -> None:
        self._database = database
        self._blobs = blobs
        self._indexes = indexes
        self._spaces = spaces
        self._parts = parts
        self._configured = configured
        self._settings = settings

    async def all(self, principal: Principal) -> list[CollectionInfo]:
        """Return the collections that the principal may read, by name."""
        async with self._database.read() as session:
            return await collections.infos(session, principal)

    async def create(self, principal: Principal, name: str, *, description: str, chunker: str) -> CollectionInfo:
        """Make a collection that the principal owns. Raises InputError, UnknownComponent, ConfigError, ProviderError.

        Its embedder is asked now what space it makes; that stays with the collection.
        """
        name = clean_name(name, "a collection", most=NAME_CHARS)
        collections.refuse_change(principal)
        chunker = chunker or self._settings.chunker
        registry.find(registry.CHUNKERS, "chunker", chunker)
        choices = (await self._configured.current(fresh=True)).choices
        embedder = await self._parts.embedder(choices.embedding)
        found = await asyncio.to_thread(embedder.discover)
        space = new_id() if await self._parts.keeps_itself(choices.store) else ""
        async with self._database.write() as session:
            if await collections.name_taken(session, name):
                raise InputError(f"there is already a collection {name!r}", hint="Choose another name.")
            local = choices.embedding.provider == "local"  # its name holds the checksum of its weights
            model_id = found.model_id if local else await space_name(session, found)
            row = Collection(
                name=name,
                description=description.strip()[:2000],
                chunker=chunker,
                chunk_tokens=self._settings.chunk_tokens,
                overlap_tokens=self._settings.overlap_tokens,
                embedder=choices.embedding.provider,
                embedding_model=choices.embedding.model,
                model_id=model_id,
                dimension=found.dimension,
                probe=found.probe,
                normalised=found.normalised,
                max_tokens=found.max_tokens,
                store=choices.store,
                space=space,
                created_by=principal.user_id,
            )
            session.add(row)
            await session.flush()
            if space:
                session.add(SpaceRow(id=space, collection_id=row.id, store=row.store, dimension=row.dimension))
            if principal.role is not Role.ADMIN:  # admins hold every right already, and the command line is no user
                if await session.get(User, principal.user_id) is None:
                    raise AccessDenied("collections belong to users, and this is none any more", hint="Sign in again.")
                session.add(Grant(collection_id=row.id, user_id=principal.user_id, right=Right.OWNER))
            await record(session, principal, "collection.create", row.id, name=name, chunker=chunker)
        if model_id != short_name(found.model_id):
            self._parts.distrust()
        return next(one for one in await self.all(principal) if one.id == row.id)

    async def id_of(self, principal: Principal, name: str, *, create: bool) -> str:
        """Return the id of the collection with this name, made if asked. Raises NotFound, InputError."""
        name = clean_name(name, "a collection", most=NAME_CHARS)
        async with self._database.read() as session:
            row = await collections.by_name(session, principal, name)
            known = [one.name for one in await collections.infos(session, principal)] if row is None else []
        if row is not None:
            return row.id
        if create:
            try:
                return (await self.create(principal, name, description="", chunker="")).id
            except InputError:  # another process may have made it just now; else the name is taken by one that is not ours
                async with self._database.read() as session:
                    made = await collections.by_name(session, principal, name)
                if made is None:
                    raise
                return made.id
        raise NotFound(
            f"there is no collection {name!r}",
            hint=f"known: {', '.join(known)}" if known else "make one by ingesting documents into it",
        )

    async def grant(self, principal: Principal, collection_id: str, user_name: str, right: Right | None) -> None:
        """Give a user a right on a collection, or take it away; the last owner may go, too, for admins own every collection.

        Raises NotFound, AccessDenied unless the principal owns it.
        """
        right = collections.known_right(right)
        async with self._database.write() as session:
            await collections.require(session, principal, collection_id, Right.OWNER)
            user = await users.by_name(session, user_name)
            if user is None:
                raise NotFound(f"there is no user {user_name!r}", hint="Add the user first.")
            held = await session.get(Grant, (collection_id, user.id))
            before = held.right if held else ""
            if held is not None and right is None:
                await session.delete(held)
            elif right is not None:
                await session.merge(Grant(collection_id=collection_id, user_id=user.id, right=right))
            await record(
                session, principal, "collection.grant", collection_id, user=user.name, before=before, after=right or ""
            )

    async def require(self, principal: Principal, collection_id: str, right: Right) -> None:
        """Raise NotFound or AccessDenied unless the principal has this right."""
        async with self._database.read() as session:
            await collections.require(session, principal, collection_id, right)

    async def waiting(self, collection_id: str) -> list[str]:
        """Return the ids of the versions of a collection whose processing is not finished. For the worker."""
        async with self._database.read() as session:
            return await documents.waiting(session, collection_id)

    async def delete(self, principal: Principal, collection_id: str) -> None:
        """Remove a collection with all of its documents, for good. Raises NotFound, AccessDenied."""
        async with self._database.write() as session:
            row = await collections.require(session, principal, collection_id, Right.OWNER)
            await holds.refuse_collection(session, collection_id, row.name)
            await collections.lock(session, collection_id)  # a file that is just coming in must not be forgotten
            blobs = await documents.blobs_of(session, collection_id)
            await record(session, principal, "collection.delete", row.id, name=row.name, files=len(blobs))
            keys = await content.vector_keys(session, collection_id)
            await session.execute(update(SpaceRow).where(SpaceRow.collection_id == collection_id).values(retired_at=now()))
            await session.delete(row)
            await session.flush()
            await content.sweep_vectors(session, keys)
        await self._indexes.drop(collection_id)
        for key in blobs:
            await asyncio.to_thread(self._blobs.delete, key)
        # A store that hangs must not hold up whoever deletes; the hourly sweep tries again.
        swept = asyncio.create_task(self._spaces.sweep(older_than=timedelta(0), collection_id=collection_id))
        await asyncio.wait([swept], timeout=SWEEP_SECONDS)
