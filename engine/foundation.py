"""What everything else stands on: the database, people, the originals, what admins chose, and the interchangeable parts."""

from __future__ import annotations

from functools import cached_property

from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.groundwork import Groundwork
from engine.protocols import Embedder
from engine.security.egress import Egress
from engine.security.passwords import Hasher, Passwords
from engine.services.access import Access
from engine.services.accounts import Accounts
from engine.services.answer_cache import AnswerCache
from engine.services.audit_keeper import AuditKeeper
from engine.services.bearer import Bearer
from engine.services.codes import Codes
from engine.services.configuration import Configured
from engine.services.denials import Denials
from engine.services.groups import Groups
from engine.services.guesses import Guesses
from engine.services.keys import Keys
from engine.services.ledger import Ledger
from engine.services.outgoing import Outgoing
from engine.services.own_account import OwnAccount
from engine.services.parts import Parts
from engine.services.people import People
from engine.services.provider_tests import Tests
from engine.services.providers import Providers
from engine.services.query_vectors import QueryVectors
from engine.services.quotas import Quotas
from engine.services.sharing import Sharing
from engine.services.spaces import Spaces
from engine.services.trail import Trail
from engine.settings import Settings


class Foundation(Groundwork):
    """The lower half of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings, *, hasher: Hasher | None = None) -> None:
        super().__init__(settings)
        egress = settings.egress
        # Here, so that an entry that means nothing is told at the start.
        self.url_rules = Egress(egress.urls, ports=egress.url_ports)
        self.provider_rules = Egress(egress.providers)
        self._passwords = Passwords(hasher)

    def use_embedder(self, name: str, embedder: Embedder) -> None:
        """Put an embedder in place of a built-in one; for tests."""
        self.parts.use("embedding", name, embedder)

    @cached_property
    def database(self) -> Database:
        """The truth."""
        return Database(self.settings.url, audit_key=self.audit_key)

    @cached_property
    def keeper(self) -> AuditKeeper:
        """Checkpoints of the audit."""
        return AuditKeeper(database=self.database, key=self.audit_key, settings=self.settings)

    @cached_property
    def trail(self) -> Trail:
        """The audit."""
        return Trail(database=self.database, key=self.audit_key, settings=self.settings)

    @cached_property
    def blobs(self) -> Blobs:
        """The original files."""
        return Blobs(self.settings.data_dir / "blobs")

    @cached_property
    def configured(self) -> Configured:
        """What admins chose."""
        return Configured(database=self.database, settings=self.settings)

    @cached_property
    def outgoing(self) -> Outgoing:
        """Where providers may be."""
        return Outgoing(database=self.database, rules=self.provider_rules)

    @cached_property
    def parts(self) -> Parts:
        """The interchangeable parts."""
        return Parts(
            configured=self.configured,
            sealer=self.sealer,
            outgoing=self.outgoing,
            folder=self.settings.data_dir / "stores",
            threads=self.settings.threads,
            protection=self.protection,
        )

    @cached_property
    def ledger(self) -> Ledger:
        """What calls cost."""
        return Ledger(database=self.database, configured=self.configured, meter=self.meter)

    @cached_property
    def spaces(self) -> Spaces:
        """Collections in stores that keep them themselves."""
        return Spaces(database=self.database, parts=self.parts)

    @cached_property
    def tests(self) -> Tests:
        """Trying providers for real."""
        return Tests(database=self.database, configured=self.configured, parts=self.parts, ledger=self.ledger)

    @cached_property
    def providers(self) -> Providers:
        """The providers that admins added."""
        return Providers(
            database=self.database,
            configured=self.configured,
            sealer=self.sealer,
            tests=self.tests,
            ledger=self.ledger,
            outgoing=self.outgoing,
        )

    @cached_property
    def codes(self) -> Codes:
        """One-time codes of second factors."""
        return Codes(self.sealer)

    @cached_property
    def guesses(self) -> Guesses:
        """Checking passwords, and the lock."""
        return Guesses(database=self.database, passwords=self._passwords, rules=self.settings.accounts)

    @cached_property
    def accounts(self) -> Accounts:
        """Signing in and out."""
        return Accounts(
            database=self.database,
            guesses=self.guesses,
            passwords=self._passwords,
            codes=self.codes,
            limits=self.settings.sessions,
            rules=self.settings.accounts,
            meter=self.meter,
        )

    @cached_property
    def own_account(self) -> OwnAccount:
        """What users do with their own account."""
        return OwnAccount(
            database=self.database,
            guesses=self.guesses,
            passwords=self._passwords,
            codes=self.codes,
            limits=self.settings.sessions,
            rules=self.settings.accounts,
        )

    @cached_property
    def people(self) -> People:
        """What admins do with users."""
        return People(
            database=self.database,
            passwords=self._passwords,
            codes=self.codes,
            limits=self.settings.sessions,
            rules=self.settings.accounts,
        )

    @cached_property
    def quotas(self) -> Quotas:
        """The limits on uploads."""
        return Quotas(self.database, self.settings.uploads)

    @cached_property
    def access(self) -> Access:
        """Groups, sharing, keys and tokens."""
        return Access(
            groups=Groups(self.database),
            sharing=Sharing(self.database),
            keys=Keys(self.database),
            bearer=Bearer(self.database, self.settings.sessions, self._secret),
            denials=Denials(self.database),
        )

    @cached_property
    def answers(self) -> AnswerCache:
        """Answers that may be given again."""
        return AnswerCache(
            cache=self.cache,
            database=self.database,
            configured=self.configured,
            settings=self.settings,
            secret=self.naming_key,
            meter=self.meter,
        )

    @cached_property
    def query_vectors(self) -> QueryVectors:
        """Vectors of questions."""
        hours = self.settings.caching.embedding_hours
        return QueryVectors(cache=self.cache, hours=hours, secret=self.naming_key, meter=self.meter)
