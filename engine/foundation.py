"""What everything else stands on: the database, the originals, what admins chose, and the interchangeable parts."""

from __future__ import annotations

from functools import cached_property

from engine.database.blobs import Blobs
from engine.database.database import Database
from engine.protocols import Embedder
from engine.security.sealing import Sealer
from engine.services.access import Access
from engine.services.bearer import Bearer
from engine.services.configuration import Configured
from engine.services.denials import Denials
from engine.services.groups import Groups
from engine.services.keys import Keys
from engine.services.ledger import Ledger
from engine.services.parts import Parts
from engine.services.provider_tests import Tests
from engine.services.providers import Providers
from engine.services.quotas import Quotas
from engine.services.sharing import Sharing
from engine.services.spaces import Spaces
from engine.settings import Settings, load_secrets


class Foundation:
    """The lower half of `engine.assembly.Assembly`. Each part is a property, made when first asked for."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._secret = load_secrets(settings)["secret_key"].get_secret_value()
        self.sealer = Sealer(self._secret)

    def use_embedder(self, name: str, embedder: Embedder) -> None:
        """Put an embedder in place of a built-in one; for tests."""
        self.parts.use("embedding", name, embedder)

    @cached_property
    def database(self) -> Database:
        """The truth."""
        return Database(self.settings.url)

    @cached_property
    def blobs(self) -> Blobs:
        """The original files."""
        return Blobs(self.settings.data_dir / "blobs")

    @cached_property
    def configured(self) -> Configured:
        """What admins chose."""
        return Configured(database=self.database, settings=self.settings)

    @cached_property
    def parts(self) -> Parts:
        """The interchangeable parts."""
        return Parts(
            configured=self.configured,
            sealer=self.sealer,
            folder=self.settings.data_dir / "stores",
            threads=self.settings.threads,
        )

    @cached_property
    def ledger(self) -> Ledger:
        """What calls cost."""
        return Ledger(database=self.database, configured=self.configured)

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
            database=self.database, configured=self.configured, sealer=self.sealer, tests=self.tests, ledger=self.ledger
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
