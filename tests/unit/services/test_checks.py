"""Each health check over a real database, with clocks and numbers that the test sets."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from sqlalchemy import text, update

from engine.access_views import Scope
from engine.database.columns import now
from engine.database.models import Job
from engine.database.operations_models import Heartbeat
from engine.database.provider_models import CallRow, ProviderTest
from engine.errors import AddressDenied, StoreError
from engine.operations_views import BreakerInfo, BreakerState, Dependency
from engine.provider_views import Choice
from engine.security.certificates import certificate_end
from engine.security.egress import Egress
from engine.services.checks.answering import answering_check
from engine.services.checks.audit import audit_check
from engine.services.checks.certificates import Endpoint, certificates_check, endpoints
from engine.services.checks.disk import FULL_BYTES, LOW_BYTES, disk_check
from engine.services.checks.keys import keys_check
from engine.services.checks.providers import ProviderChecks
from engine.services.checks.sql import clock_check, database_check, redis_check
from engine.services.checks.stores import StoreChecks
from engine.services.checks.worker import worker_check
from engine.services.configuration import Configured
from engine.testing import ADMIN, HashedWords, offline_settings, offline_workbench
from engine.types import Principal, Role


@pytest.fixture
async def workbench(tmp_path):
    async with offline_workbench(tmp_path, embedder=HashedWords()) as made:
        yield made


async def look(check, *, asked=False):
    """The outcome, after the rule that whatever is wrong has an effect and a next step."""
    found = await check.run(asked)
    assert found.state == "ok" or (found.effect and found.hint), found
    return found


# --- database, Redis, clocks ---------------------------------------------------------------------------------------------


async def test_the_database_is_fine_slow_or_behind(workbench):
    assert (await look(database_check(workbench.database))).state == "ok"
    ticks = iter([0.0, 0.75])
    slow = await look(database_check(workbench.database, timer=lambda: next(ticks)))
    assert (slow.state, "750 ms" in slow.detail) == ("degraded", True)
    async with workbench.database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '0001'"))
    assert (await look(database_check(workbench.database))).state == "failed"


async def test_a_newer_schema_of_a_rolling_update_is_fine(workbench):
    async with workbench.database.write() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    assert (await look(database_check(workbench.database))).state == "ok"


async def test_redis_is_fine_without_one_and_degraded_while_it_is_away():
    async def away():
        raise StoreError("Redis is away")

    async def there():
        return 1.0

    assert "kept in this process" in (await look(redis_check(None))).detail
    assert (await look(redis_check(there))).state == "ok"
    found = await look(redis_check(away))
    assert (found.state, found.detail) == ("degraded", "Redis is away")


async def test_the_clock_is_compared_with_that_of_sql(workbench):
    for ahead, state in ((0, "ok"), (4, "ok"), (-6, "degraded"), (50, "degraded"), (70, "failed"), (-70, "failed")):
        found = await look(clock_check(workbench.database, None, wall=lambda ahead=ahead: now() + timedelta(seconds=ahead)))
        assert found.state == state, ahead
        assert not ahead or ("behind" if ahead < 0 else "ahead of") in found.detail


async def test_the_clock_is_compared_with_that_of_redis_and_its_absence_is_not_the_clocks_fault(workbench):
    async def late():
        return now().timestamp() - 30

    async def away():
        raise StoreError("Redis is away")

    assert (await look(clock_check(workbench.database, late))).state == "degraded"
    assert (await look(clock_check(workbench.database, away))).state == "ok"


# --- disk ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("free", "state"),
    [(LOW_BYTES, "ok"), (LOW_BYTES - 1, "degraded"), (FULL_BYTES, "degraded"), (FULL_BYTES - 1, "failed")],
)
async def test_the_disk_is_low_or_full(tmp_path, free, state):
    assert (await look(disk_check(tmp_path, free=lambda _: free))).state == state
    assert list(tmp_path.iterdir()) == []  # the byte that was written is gone


async def test_a_data_folder_that_cannot_be_written_fails_whatever_space_there_is(tmp_path):
    file = tmp_path / "file"
    file.write_text("no folder")
    found = await look(disk_check(file / "data"))
    assert found.state == "failed"
    assert "nothing can be written" in found.detail


# --- the queue -----------------------------------------------------------------------------------------------------------


def ago(seconds):
    return now() - timedelta(seconds=seconds)


QUEUE = [
    ({}, "ok"),
    ({"updated_at": 100}, "ok"),
    ({"updated_at": 130}, "failed"),
    ({"updated_at": 130, "lease_until": -60}, "ok"),  # it rests after an outage
    ({"state": "running", "lease_until": -60, "created_at": 500}, "ok"),
    ({"state": "running", "lease_until": -60, "created_at": 610}, "degraded"),
    ({"state": "running", "lease_until": 130}, "failed"),  # its worker died, and nobody took over
    ({"state": "done", "updated_at": 9999, "created_at": 9999}, "ok"),
]


async def test_files_that_nobody_works_on_are_a_failure_and_old_ones_a_warning(workbench):
    collection = await workbench.collection_id(ADMIN, "c", create=True)
    await workbench.upload(ADMIN, collection, "a.txt", b"Some words.")
    for values, state in QUEUE:
        usual = {"state": "queued", "lease_until": None, "updated_at": 0, "created_at": 0}
        row = {name: ago(value) if isinstance(value, int) else value for name, value in (usual | values).items()}
        async with workbench.database.write() as session:
            await session.execute(update(Job).values(**row))
        assert (await look(worker_check(workbench.database))).state == state, values


async def test_processes_that_are_alive_are_counted(workbench):
    async with workbench.database.write() as session:
        for name, seconds in (("a", 10), ("b", 80), ("c", 100)):
            session.add(Heartbeat(id=name, kind="server", at=ago(seconds)))
    assert "2 processes are alive" in (await look(worker_check(workbench.database))).detail


# --- keys, certificates, audit -------------------------------------------------------------------------------------------


async def test_keys_that_end_within_two_weeks_are_named_by_their_owners_and_never_shown(workbench):
    user = await workbench.create_user(ADMIN, "ada", "a long enough password", Role.ANALYST)
    ada = Principal(user_id=user.id, name="ada", role=Role.ANALYST, session_id="s")
    assert (await look(keys_check(workbench.database))).state == "ok"
    await workbench.create_api_key(ada, "long", [Scope.READ], days=15)
    assert (await look(keys_check(workbench.database))).state == "ok"
    made = await workbench.create_api_key(ada, "nightly", [Scope.READ], days=13)
    found = await look(keys_check(workbench.database))
    assert (found.state, "ada (in 12 days)" in found.detail) == ("degraded", True)
    assert made.info.id not in str(found)
    assert made.text not in str(found)
    await workbench.revoke_api_key(ada, made.info.id)
    assert (await look(keys_check(workbench.database))).state == "ok"


def certificate(folder: Path, *, days: float) -> tuple[Path, Path]:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(1)
        .not_valid_before(now() - timedelta(days=400)).not_valid_after(now() + timedelta(days=days)).sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    plain = serialization.NoEncryption()
    (folder / "key.pem").write_bytes(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
    return folder / "cert.pem", folder / "key.pem"


@contextmanager
def tls_server(folder: Path, *, days: float):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(folder, days=days))
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve():
            while True:
                try:
                    plain, _ = listening.accept()
                    context.wrap_socket(plain, server_side=True).close()
                except ssl.SSLError:
                    continue
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listening.getsockname()[1]
        listening.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(("days", "state"), [(15, "ok"), (13, "degraded"), (-2, "failed")])
async def test_a_certificate_is_read_by_a_real_handshake(tmp_path, days, state):
    with tls_server(tmp_path, days=days) as port:
        place = Endpoint(name="box", host="localhost", port=port, guard=Egress(("loopback",)))

        async def find():
            return [place]

        found = await look(certificates_check(find))
        assert found.state == state
        assert ("box" in found.detail) == (state != "ok")
        end = await asyncio.to_thread(certificate_end, "localhost", port, guard=place.guard)
        assert abs((end - now()).total_seconds() - days * 86_400) < 60


async def test_no_handshake_goes_where_the_rules_forbid_it(tmp_path):
    with tls_server(tmp_path, days=1) as port:
        guard = Egress(("public",))
        with pytest.raises(AddressDenied):
            certificate_end("127.0.0.1", port, guard=guard)

        async def find():
            return [Endpoint(name="box", host="127.0.0.1", port=port, guard=guard)]

        found = await look(certificates_check(find))
        assert (found.state, "could not be looked at: box" in found.detail) == ("ok", True)


async def test_only_servers_of_ones_own_with_tls_are_looked_at(workbench, tmp_path):
    for name, url in (("plain", "http://127.0.0.1:9/v1"), ("own", "https://localhost/v1"), ("vendor", "")):
        await workbench.add_provider(ADMIN, "openai", name=name, base_url=url, key="sk-0123456789abcdef")
    live = await Configured(database=workbench.database, settings=offline_settings(tmp_path)).current()
    rules = Egress(("loopback",))
    found = endpoints(live, "rediss://:pw@cache.example:6380/0", guard=lambda _: rules, rules=rules)
    assert [(one.name, one.host, one.port) for one in found] == [("own", "localhost", 443), ("redis", "cache.example", 6380)]


class Keeper:
    problem = ""


async def test_the_audit_fails_without_checkpoints_and_after_a_check_that_found_something(workbench, tmp_path):
    keeper = Keeper()
    check = audit_check(workbench.database, keeper)
    assert (await look(check)).detail == "not verified yet"
    await workbench.audit_verify(ADMIN)
    assert (await look(check)).detail.startswith("last verified at ")
    keeper.problem = "no space left"
    assert (await look(check)).state == "failed"
    keeper.problem = ""
    (tmp_path / "audit-checkpoints.jsonl").write_text("forged\n")
    assert not (await workbench.audit_verify(ADMIN)).ok
    assert (await look(check)).state == "failed"


# --- providers, stores, the chain ----------------------------------------------------------------------------------------


class Listing:
    """Stands in for the tests of providers: counts who lists models, and would fail on a paid call."""

    def __init__(self):
        self.listed = []

    async def models(self, name, role):
        self.listed.append((name, role))
        return ["m-1", "m-2"]


def breaker(state, operation="chat", provider="box", model="m-1", **more):
    dependency = Dependency(operation=operation, provider=provider, model=model)
    numbers = {"calls": 0, "failure_rate": None, "slow_rate": None, "permitted": 0, "not_permitted": 0, "in_use": 0, "limit": 1}
    return BreakerInfo(id="x", dependency=dependency, state=state, since=datetime(2026, 1, 1, tzinfo=UTC), **numbers, **more)


class Installation:
    """A provider "box" first in the chain, and what is known of it."""

    def __init__(self, workbench, folder):
        self.database, self.breakers, self.listing = workbench.database, [], Listing()
        self.configured = Configured(database=self.database, settings=offline_settings(folder))

    async def called(self, error, *, seconds=0.0, job="chat", provider="box"):
        async with self.database.write() as session:
            at = ago(seconds)
            session.add(
                CallRow(at=at, day=at.date().isoformat(), provider=provider, model="m-1", job=job, error=error, elapsed_ms=12.0)
            )

    async def tested(self, ok, *, seconds=0.0):
        async with self.database.write() as session:
            await session.merge(
                ProviderTest(provider="box", role="chat", ok=ok, detail="401: no", elapsed_ms=5.0, at=ago(seconds))
            )

    async def chain(self):
        return await look(answering_check(self.database, self.configured, lambda: self.breakers))

    async def provider(self, *, asked=False):
        checks = ProviderChecks(
            database=self.database, configured=self.configured, tests=self.listing, breakers=lambda: self.breakers
        )
        (check,) = await checks.all()
        assert check.name == "provider box"
        return await look(check, asked=asked), check


@pytest.fixture
async def site(workbench, tmp_path):
    await workbench.add_provider(ADMIN, "openai", name="box", base_url="http://127.0.0.1:9/v1", key="sk-0123456789abcdef")
    links = (Choice(provider="box", model="m-1"), Choice(provider="extractive"))
    await workbench.choose(ADMIN, expected_version=(await workbench.choices(ADMIN)).version, chain=links)
    return Installation(workbench, tmp_path)


async def test_a_provider_is_judged_by_its_newest_call_or_test(site):
    assert (await site.provider())[0].detail == "never called and never tested"
    await site.tested(False, seconds=60)
    assert ((await site.provider())[0].state, (await site.chain()).state) == ("failed", "degraded")
    await site.called("", seconds=50)
    assert ((await site.provider())[0].state, (await site.chain()).state) == ("ok", "ok")
    await site.called("ProviderTimeout", seconds=40)
    found = (await site.provider())[0]
    assert (found.state, "no answer in time" in found.detail) == ("failed", True)
    await site.called("stopped", seconds=30)  # somebody pressed Stop: that says nothing
    assert (await site.provider())[0].state == "failed"
    await site.tested(True, seconds=20)
    assert ((await site.provider())[0].state, (await site.chain()).state) == ("ok", "ok")


async def test_nothing_is_called_unless_somebody_asks_and_then_only_the_list_of_models(site):
    await site.provider()
    assert site.listing.listed == []
    found, _ = await site.provider(asked=True)
    assert site.listing.listed == [("box", "chat")]
    assert "2 models listed just now" in found.detail
    await site.called("RateLimited")
    assert (await site.provider())[0].state == "failed"
    assert (await site.provider(asked=True))[0].state == "degraded"  # it is there, though its last call failed


async def test_a_breaker_that_lets_nothing_through_is_told_with_its_wait(site):
    for state in (BreakerState.OPEN, BreakerState.TRIPPED, BreakerState.DRAINING):
        site.breakers[:] = [breaker(state, retry_after_seconds=17.0, last_error="503 from box")]
        found, check = await site.provider()
        expected = "failed" if state is BreakerState.OPEN else "degraded"  # what an operator took out is no failure
        assert (found.state, "for 17 s more" in found.detail, "503 from box" in found.detail) == (expected, True, True)
        assert check.dependency == "chat · box · m-1"
        assert (await site.chain()).state == "degraded"


async def test_other_breakers_do_not_touch_the_chain(site):
    fine = (BreakerState.CLOSED, BreakerState.HELD, BreakerState.HALF_OPEN)
    others = [breaker(BreakerState.OPEN, provider="else"), breaker(BreakerState.OPEN, operation="embedding")]
    site.breakers += [*(breaker(state) for state in fine), *others]
    assert (await site.chain()).state == "ok"


async def test_the_chain_fails_only_when_no_link_can_answer(site):
    await site.called("ProviderTimeout")
    found = await site.chain()
    assert (found.state, found.effect) == ("degraded", "The next link answers, and its answers say so.")
    await site.called("BadResponse", provider="extractive")
    assert (await site.chain()).state == "failed"
    await site.called("")
    assert (await site.chain()).effect == "There is less to fall back on."


async def test_every_store_has_a_check_with_its_dependency(site, workbench, tmp_path):
    await workbench.add_provider(ADMIN, "qdrant", name="vectors", base_url="http://127.0.0.1:9")
    await workbench.create_collection(ADMIN, "handbook")

    class Parts:
        async def keeps_itself(self, name):
            return name == "vectors"

        async def store(self, name, *, dimension, space):
            raise StoreError(f"{name} cannot be reached", hint="Start it.")

    checks = await StoreChecks(database=site.database, configured=site.configured, parts=Parts()).all()
    assert [(one.name, one.dependency, one.serving) for one in checks] == [
        ("store faiss", "store · faiss", True),
        ("store vectors", "store · vectors", False),
    ]
    assert "1 collection;" in (await look(checks[0])).detail
    with pytest.raises(StoreError):
        await checks[1].run(False)
