"""The facade that pages, API and command line call. Every read takes a `Principal`; permissions are checked below, in SQL.

Errors are EngineErrors, each with a hint for the reader. All methods belong to the event loop that built the workbench.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta
from pathlib import Path

from engine.chat import Chat
from engine.database.database import Database
from engine.documents import Chunk, Page, PageImage
from engine.ingestion_views import OnDuplicate
from engine.pipelines.ask import Ask
from engine.services.access import Access, AccessFacade
from engine.services.accounts import Accounts
from engine.services.choosing import Choosing
from engine.services.collections import Collections
from engine.services.keeping import Keeping, KeepingFacade
from engine.services.ledger import Ledger
from engine.services.library import Library
from engine.services.offers import Offers
from engine.services.operations import Operations, OperationsFacade
from engine.services.own_account import OwnAccount
from engine.services.people import People
from engine.services.prices import Prices
from engine.services.providers import Providers
from engine.services.quarantine import Quarantine
from engine.services.retriever import Retriever
from engine.services.store_moves import StoreMoves
from engine.services.trail import Trail
from engine.services.url_ingestion import UrlIngestion
from engine.types import Filter, Hit, Principal, Right
from engine.views import CollectionInfo, DocumentInfo, UploadVerdict
from engine.worker import Worker


class Workbench(AccessFacade, OperationsFacade, KeepingFacade):
    """One installation. Made by `engine.build_workbench`; safe to use from many requests at once."""

    def __init__(
        self,
        *,
        database: Database,
        accounts: Accounts,
        own_account: OwnAccount,
        people: People,
        collections: Collections,
        library: Library,
        urls: UrlIngestion,
        retriever: Retriever,
        ask: Ask,
        chat: Chat,
        quarantine: Quarantine,
        worker: Worker,
        providers: Providers,
        choosing: Choosing,
        offers: Offers,
        prices: Prices,
        ledger: Ledger,
        moves: StoreMoves,
        trail: Trail,
        access: Access,
        operations: Operations,
        keeping: Keeping,
    ) -> None:
        AccessFacade.__init__(self, access)
        OperationsFacade.__init__(self, operations)
        KeepingFacade.__init__(self, keeping)
        self.database = database
        self._accounts = accounts
        self._collections = collections
        self._library = library
        self._retriever = retriever
        self._ask = ask
        self._chat = chat
        self._worker = worker
        self._ledger = ledger
        self._trail = trail
        # Where a method would only hand its arguments on, the part's own method is the facade's.
        self.sign_in = accounts.sign_in
        self.sign_out = accounts.sign_out
        self.authenticate = accounts.authenticate
        self.set_up = accounts.set_up
        self.setup_needed = accounts.setup_needed
        self.second_factor = accounts.second_factor
        self.choose_password = accounts.choose_password
        self.invited = accounts.invited
        self.my_account = own_account.info
        self.change_password = own_account.change_password
        self.start_second_factor = own_account.start_second_factor
        self.confirm_second_factor = own_account.confirm_second_factor
        self.remove_second_factor = own_account.remove_second_factor
        self.sessions = own_account.sessions
        self.revoke_session = own_account.revoke_session
        self.sign_out_everywhere = own_account.sign_out_everywhere
        self.users = people.all
        self.create_user = people.create
        self.invite_user = people.invite
        self.reset_password = people.reset_password
        self.set_role = people.set_role
        self.disable_user = people.disable
        self.enable_user = people.enable
        self.delete_user = people.delete
        self.reset_second_factor = people.reset_second_factor
        self.unlock_user = people.unlock
        self.import_users = people.import_list
        self.conversations = chat.conversations
        self.create_conversation = chat.create
        self.rename_conversation = chat.rename
        self.delete_conversation = chat.delete
        self.set_scope = chat.set_scope
        self.messages = chat.messages
        self.message = chat.message
        self.ask = chat.ask
        self.send = chat.send
        self.stop = chat.stop
        self.citation_states = chat.citation_states
        self.upload_url = urls.upload_url
        self.quarantine = quarantine.passages
        self.release_passage = quarantine.release
        self.hold_passage = quarantine.hold
        self.provider_kinds = providers.kinds
        self.providers = providers.all
        self.add_provider = providers.add
        self.edit_provider = providers.edit
        self.remove_provider = providers.remove
        self.test_provider = providers.test
        self.provider_models = providers.models
        self.choices = choosing.choices
        self.choose = choosing.choose
        self.impact = choosing.impact
        self.simulate = choosing.simulate
        self.offers = offers.all
        self.accept_offer = offers.accept
        self.prices = prices.prices
        self.set_price = prices.set_price
        self.usage = prices.usage
        self.move_store = moves.move
        self.revert_store = moves.revert
        self.audit = trail.audit
        self.audit_facets = trail.facets
        self.audit_verify = trail.verify
        self.audit_export = trail.export
        self.audit_sources = trail.sources
        self.audit_retain = trail.retain
        self.audit_views = trail.views
        self.save_audit_view = trail.save_view
        self.delete_audit_view = trail.delete_view

    @property
    def setup_token(self) -> str:
        """The one-time token for making the first admin; empty once there is a user."""
        return self._accounts.setup_token

    # --- collections and documents -----------------------------------------------------------------------------------

    async def collections(self, principal: Principal) -> list[CollectionInfo]:
        """Return the collections that the principal may read, by name."""
        return await self._collections.all(principal)

    async def collection_id(self, principal: Principal, name: str, *, create: bool = False) -> str:
        """Return the id of the collection with this name, made if asked. Raises NotFound, InputError."""
        return await self._collections.id_of(principal, name, create=create)

    async def create_collection(
        self, principal: Principal, name: str, *, description: str = "", chunker: str = ""
    ) -> CollectionInfo:
        """Make a collection that the principal owns. Raises InputError, UnknownComponent."""
        return await self._collections.create(principal, name, description=description, chunker=chunker)

    async def delete_collection(self, principal: Principal, collection_id: str) -> None:
        """Remove a collection with all of its documents, for good. Raises NotFound, AccessDenied."""
        await self._collections.delete(principal, collection_id)

    async def upload(
        self,
        principal: Principal,
        collection_id: str,
        name: str,
        data: bytes | Path,
        *,
        password: str | None = None,
        on_duplicate: OnDuplicate = OnDuplicate.ASK,
    ) -> tuple[DocumentInfo, UploadVerdict]:
        """Store a file safely and queue it; processing goes on in the background. Raises InputError, AccessDenied."""
        return await self._library.upload(principal, collection_id, name, data, password=password, on_duplicate=on_duplicate)

    async def waiting(self, principal: Principal, collection_id: str) -> int:
        """Return how many files of a collection are on their way to being answered from. Raises NotFound."""
        await self._collections.require(principal, collection_id, Right.READ)
        return len(await self._collections.waiting(collection_id))

    async def grant(self, principal: Principal, collection_id: str, user_name: str, right: Right | None) -> None:
        """Let a user read, write or own a collection; None takes it away. Raises NotFound, AccessDenied."""
        await self._collections.grant(principal, collection_id, user_name, right)

    async def process(self, principal: Principal, collection_id: str, *, done: Callable[[str], None] = lambda _: None) -> None:
        """Work on what waits in a collection, in this task, until nothing waits; `done(version id)` after each file."""
        await self._collections.require(principal, collection_id, Right.WRITE)
        await self._worker.run(await self._collections.waiting(collection_id), done=done)

    async def documents(self, principal: Principal, collection_id: str | None = None) -> list[DocumentInfo]:
        """Return the documents of one collection, or of all readable ones, newest change first."""
        return await self._library.documents(principal, collection_id)

    async def document(self, principal: Principal, document_id: str) -> DocumentInfo:
        """Return one document. Raises NotFound."""
        return await self._library.document(principal, document_id)

    async def page(self, principal: Principal, document_id: str, number: int, *, version: int | None = None) -> Page:
        """Return one page as parsed. Raises NotFound."""
        return await self._library.page(principal, document_id, number, version)

    async def chunks(self, principal: Principal, document_id: str) -> list[Chunk]:
        """Return the chunks of the live (else newest) version, in reading order. Raises NotFound."""
        return await self._library.chunks(principal, document_id)

    async def page_image(
        self,
        principal: Principal,
        document_id: str,
        number: int,
        *,
        version: int | None = None,
        highlight: Sequence[tuple[int, int]] = (),
        width: int = 1000,
    ) -> PageImage | None:
        """Return the picture of a page with passages marked; None for a type without pictures. Raises NotFound."""
        return await self._library.page_image(principal, document_id, number, version=version, highlight=highlight, width=width)

    async def original(self, principal: Principal, document_id: str, version: int | None = None) -> bytes:
        """Return the file as uploaded: that version, or else the present one. Raises NotFound."""
        return await self._library.original(principal, document_id, version)

    async def delete_document(self, principal: Principal, document_id: str) -> None:
        """Take a document out of every answer at once; `restore_document` undoes it for a day."""
        await self._library.delete(principal, document_id)

    async def restore_document(self, principal: Principal, document_id: str) -> None:
        """Undo a deletion. Raises NotFound once it is purged."""
        await self._library.restore(principal, document_id)

    async def purge(self, *, older_than_seconds: float) -> int:
        """Remove for good what was deleted longer ago than that; return how many documents. For the engine itself."""
        return await self._library.purge(older_than=timedelta(seconds=older_than_seconds))

    async def reprocess(self, principal: Principal, document_id: str, *, password: str | None = None) -> DocumentInfo:
        """Process the newest upload again, beside what is live. Raises InputError while it is being processed."""
        return await self._library.reprocess(principal, document_id, password=password)

    # --- questions ---------------------------------------------------------------------------------------------------

    async def search(
        self,
        principal: Principal,
        query: str,
        *,
        collections: Sequence[str],
        k: int = 10,
        where: Filter = (),
        mode: str = "",
    ) -> list[Hit]:
        """Return up to `k` hits, best first. `mode` is "dense", "lexical" or "hybrid" (empty: the setting)."""
        found = await self._retriever.search(principal, query, collection_ids=collections, k=k, where=where, mode=mode)
        await self._ledger.note("" if principal.preview else principal.user_id, found.calls)  # not the bill of who is looked at
        return found.hits
