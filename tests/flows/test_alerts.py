"""Alerts from a rule to a receiver: fired once by many processes, resolved once, sent until it has arrived."""

from __future__ import annotations

import asyncio
import json
import traceback
import zipfile
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from unittest.mock import patch

import pytest
from pydantic import SecretStr
from sqlalchemy import select

from engine.database.alerts import LEASE
from engine.database.audit_models import Audit
from engine.database.columns import now
from engine.database.database import Database
from engine.database.operations_models import AlertRow, Heartbeat
from engine.errors import AccessDenied, AddressDenied, ConfigError, InputError, NotFound, ProviderRejected
from engine.operations_views import AlertChannel, AlertMetric, AlertRule, Incident, Range, SlowFile, Spending
from engine.sections import Alerting
from engine.security.sealing import Sealer
from engine.services.alert_channels import AlertChannels
from engine.services.alert_watch import AlertWatch
from engine.services.alerts import Alerts
from engine.services.incidents import Incidents
from engine.services.support import Support
from engine.settings import load_settings
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.vendors.mail import send_mail
from tests.servers.databases import SERVERS, database
from tests.servers.receivers import mail_receiver, web_receiver

OSCAR = Principal(user_id="o" * 32, name="oscar", role=Role.OPERATOR, session_id="s")
ALICE = Principal(user_id="c" * 32, name="alice", role=Role.ANALYST, session_id="s")
RULE = AlertRule(name="Questions fail", metric="error_rate", threshold=5.0, cooldown_minutes=10.0)


class Quiet:
    """A meter that keeps the last gauges."""

    def __init__(self) -> None:
        self.gauges: dict[str, float] = {}

    def timed(self, *_: object, **__: object) -> None: ...
    def counted(self, *_: object, **__: object) -> None: ...
    def gauged(self, metric: str, _labels: object, value: float) -> None:
        self.gauges[metric] = value


@dataclass
class Here:
    """Alerts over one database, with a value and a clock of our own."""

    database: Database
    settings: Alerting = Alerting(webhooks=("loopback",))
    values: dict[str, float | None] = field(default_factory=dict)
    at: float = 1_000_000.0

    def __post_init__(self) -> None:
        self.channels = AlertChannels(database=self.database, sealer=Sealer("x" * 40), settings=self.settings)
        self.alerts = Alerts(database=self.database, metrics=self.metrics, value=self.value)
        self.watch = self.another()

    def another(self) -> AlertWatch:
        return AlertWatch(
            database=self.database, channels=self.channels, value=self.value, metrics=self.metrics, meter=Quiet(),
            every_seconds=1.0, clock=lambda: self.at,
        )  # fmt: skip

    async def metrics(self) -> list[AlertMetric]:
        return [AlertMetric(name="error_rate", label="Failed questions", unit="%")]

    async def value(self, metric: str, _label: str, _minutes: float) -> float | None:
        return self.values.get(metric)

    async def look(self, value: float | None, *, after: float = 0.0) -> None:
        self.values["error_rate"] = value
        self.at += after
        await self.watch.look()

    async def audited(self) -> list[str]:
        async with self.database.read() as session:
            return list(await session.scalars(select(Audit.action).where(Audit.action.like("alert.%")).order_by(Audit.seq)))


@pytest.fixture
async def here(tmp_path: Path) -> AsyncIterator[Here]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/x.db", audit_key=b"k" * 32)
    await database.migrate()
    here = Here(database)
    for rule in await here.alerts.rules(ADMIN):  # those that an installation begins with
        await here.alerts.delete_rule(ADMIN, rule.id)
    yield here
    await database.close()


async def test_an_alert_fires_once_resolves_once_and_is_in_audit_and_timeline(here: Here) -> None:
    with web_receiver() as hooks:
        channel = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        await here.alerts.save_rule(OSCAR, replace(RULE, channels=(channel.id,)))
        for value in (9.0, 9.0, 9.0, 1.0, 1.0):
            await here.look(value, after=15)
    assert [body["event"] for body in hooks.bodies] == ["fired", "resolved"]
    assert "Failed questions: 9 %" in hooks.bodies[0]["text"]
    (alert,) = await here.alerts.alerts(OSCAR)
    assert (alert.firing, alert.value, alert.deliveries) == (False, 9.0, {"pager (fired)": "sent", "pager (resolved)": "sent"})
    assert (await here.audited())[-2:] == ["alert.fire", "alert.resolve"]
    told = [one.title for one in await Incidents(here.database).incidents(OSCAR, Range.HOUR)]
    assert told[:2] == ["Alert resolved: Questions fail", "Alert fired: Questions fail"]


async def test_many_processes_fire_it_once_and_another_takes_over(here: Here) -> None:
    await here.alerts.save_rule(ADMIN, RULE)
    others = [here.another() for _ in range(3)]
    here.values["error_rate"] = 9.0
    for one in (here.watch, *others, here.watch):
        await one.look()
    assert len(await here.alerts.alerts(ADMIN)) == 1
    async with here.database.write() as session:  # the process that looked is gone for a while
        (await session.get_one(Heartbeat, LEASE)).at = now() - timedelta(minutes=5)
    here.values["error_rate"] = 1.0
    await others[1].look()
    assert [alert.firing for alert in await here.alerts.alerts(ADMIN)] == [False]


async def test_nobody_waits_for_a_look_that_was_made_in_the_future(here: Here) -> None:
    await here.alerts.save_rule(ADMIN, RULE)
    await here.look(1.0)
    async with here.database.write() as session:  # the clock is set back, and the process that looked is gone
        (await session.get_one(Heartbeat, LEASE)).at = now() + timedelta(hours=1)
    here.watch = here.another()
    await here.look(9.0)
    assert len(await here.alerts.alerts(ADMIN)) == 1


async def test_a_channel_that_breaks_in_an_unknown_way_holds_up_no_other(here: Here) -> None:
    with web_receiver() as hooks:
        broken = await here.channels.save(ADMIN, AlertChannel(name="broken", kind="mail", target="a@b.example"))
        pager = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        await here.alerts.save_rule(ADMIN, replace(RULE, channels=(broken.id, pager.id)))
        with patch("engine.services.alert_channels.send_mail", side_effect=RuntimeError("nobody knows")):
            await here.look(9.0)
    assert [body["event"] for body in hooks.bodies] == ["fired"]


async def test_the_end_of_a_long_alert_is_told_too(here: Here) -> None:
    with web_receiver() as hooks:
        channel = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        await here.alerts.save_rule(ADMIN, replace(RULE, channels=(channel.id,)))
        await here.look(9.0)
        async with here.database.write() as session:
            (await session.scalars(select(AlertRow))).one().started_at = now() - timedelta(hours=5)
        await here.look(1.0)
    assert [body["event"] for body in hooks.bodies] == ["fired", "resolved"]


async def test_what_did_not_arrive_is_sent_again_and_given_up_in_the_end(here: Here) -> None:
    with web_receiver() as hooks:
        hooks.status = 503
        channel = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        await here.alerts.save_rule(ADMIN, replace(RULE, channels=(channel.id,)))
        await here.look(9.0)
        assert (await here.alerts.alerts(ADMIN))[0].deliveries == {"pager (fired)": "the receiver answered 503"}
        hooks.status = 200
        await here.look(9.0)
        assert (await here.alerts.alerts(ADMIN))[0].deliveries == {"pager (fired)": "sent"}
        hooks.status = 500
        for _ in range(9):
            await here.look(1.0)
    assert [body["event"] for body in hooks.bodies] == ["fired", "fired", *["resolved"] * 4]


async def test_a_silenced_rule_shows_and_sends_nothing(here: Here) -> None:
    with web_receiver() as hooks:
        channel = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        rule = await here.alerts.save_rule(ADMIN, replace(RULE, channels=(channel.id,)))
        await here.alerts.silence(OSCAR, rule.id, 60)
        await here.look(9.0)
        assert [alert.firing for alert in await here.alerts.alerts(ADMIN)] == [True]
        assert hooks.bodies == []
        await here.alerts.silence(OSCAR, rule.id, 0)
        await here.look(9.0)
        assert [body["event"] for body in hooks.bodies] == ["fired"]


async def test_a_mail_arrives(here: Here) -> None:
    with mail_receiver() as mails:
        here.settings = Alerting(smtp_url=SecretStr(mails.url), mail_from="workbench@example.com")
        here.__post_init__()
        target = "ops@example.com, night@example.org"
        channel = await here.channels.save(ADMIN, AlertChannel(name="mail", kind="mail", target=target))
        assert channel.shown == "o…@example.com, n…@example.org"
        assert channel.target == ""
        assert await here.channels.test(OSCAR, channel.id) == "sent"
    ((to, text),) = mails.got
    assert to == ["ops@example.com", "night@example.org"]
    assert "Subject: [RAG Workbench] Test" in text
    assert "by oscar" in text


async def test_a_mail_server_elsewhere_without_encryption_gets_nothing() -> None:
    with mail_receiver() as mails, patch("engine.vendors.mail._is_here", return_value=False):
        with pytest.raises(ProviderRejected):
            send_mail(mails.url, "a@example.com", ["b@example.com"], "x", "y")
        assert mails.got == []


async def test_without_a_mail_server_a_test_says_what_to_set(here: Here) -> None:
    channel = await here.channels.save(ADMIN, AlertChannel(name="mail", kind="mail", target="ops@example.com"))
    assert await here.channels.test(ADMIN, channel.id) == "mails cannot be sent: no server or no sender is set"


async def test_a_target_is_sealed_never_shown_and_judged_at_every_connection(here: Here) -> None:
    with web_receiver() as hooks:
        channel = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        here.settings = Alerting()  # public addresses only, from now on
        here.__post_init__()
        told = await here.channels.test(ADMIN, channel.id)
        with pytest.raises(AddressDenied):
            await here.channels.save(ADMIN, AlertChannel(name="other", kind="webhook", target=hooks.url))
    assert told.startswith("the address cannot be reached from here")
    assert hooks.bodies == []
    raw = Path(str(here.database.url.database)).read_bytes()
    assert b"secret-path-canary" not in raw
    assert "canary" not in str(await here.channels.all(ADMIN))


@pytest.mark.parametrize("target", ["", "ftp://x/", "http://u:p@example.com/", "javascript:alert(1)", "http://127.1/"])
async def test_a_webhook_that_is_no_web_address_is_refused(here: Here, target: str) -> None:
    with pytest.raises(InputError):
        await here.channels.save(ADMIN, AlertChannel(name="x", kind="webhook", target=target))


@pytest.mark.parametrize("target", ["", "nobody", "a@b\nBcc: c@d", "a@b, ,@"])
async def test_a_mail_address_that_is_none_is_refused(here: Here, target: str) -> None:
    with pytest.raises(InputError):
        await here.channels.save(ADMIN, AlertChannel(name="x", kind="mail", target=target))


@pytest.mark.parametrize(
    "change",
    [{"name": ""}, {"name": "a\x07"}, {"metric": "nothing"}, {"threshold": float("nan")}, {"for_minutes": -1.0},
     {"cooldown_minutes": 1e9}, {"label": "x" * 301}, {"channels": ("nobody",)}],
)  # fmt: skip
async def test_a_bad_rule_is_refused_and_nothing_is_kept(here: Here, change: dict[str, object]) -> None:
    with pytest.raises(InputError):
        await here.alerts.save_rule(ADMIN, replace(RULE, **change))
    assert await here.alerts.rules(ADMIN) == []


async def test_a_removed_rule_ends_its_alert_and_a_removed_channel_leaves_its_rules(here: Here) -> None:
    channel = await here.channels.save(ADMIN, AlertChannel(name="mail", kind="mail", target="ops@example.com"))
    rule = await here.alerts.save_rule(ADMIN, replace(RULE, channels=(channel.id,)))
    await here.look(9.0)
    await here.channels.delete(ADMIN, channel.id)
    assert (await here.alerts.rules(ADMIN))[0].channels == ()
    await here.alerts.delete_rule(ADMIN, rule.id)
    assert [alert.firing for alert in await here.alerts.alerts(ADMIN)] == [False]
    for gone in (here.alerts.delete_rule(ADMIN, rule.id), here.channels.delete(ADMIN, channel.id)):
        with pytest.raises(NotFound):
            await gone


async def test_acknowledging_says_who_and_once(here: Here) -> None:
    await here.alerts.save_rule(ADMIN, RULE)
    await here.look(9.0)
    (alert,) = await here.alerts.alerts(ADMIN)
    await here.alerts.acknowledge(OSCAR, alert.id)
    await here.alerts.acknowledge(ADMIN, alert.id)
    assert (await here.alerts.alerts(ADMIN))[0].acknowledged_by == "oscar"


@pytest.mark.parametrize("url", ["smtp://bob:canary/word@localhost:25", "smtp://localhost:99999", "smtp://[canary:25"])
def test_a_mail_server_that_cannot_be_read_is_a_wrong_setting_and_repeats_no_password(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        send_mail(url, "a@example.com", ["b@example.com"], "x", "y")
    assert "canary" not in "".join(traceback.format_exception(caught.value)).replace(url, "")


@pytest.mark.parametrize("sender", ["ops@example.com\nBcc: x@example.com", "a@b\r\nX: y"])
def test_a_sender_brings_no_further_header(sender: str) -> None:
    with pytest.raises(ConfigError):
        send_mail("smtp://localhost:1", sender, ["b@example.com"], "x", "y")


async def test_a_receiver_that_fails_in_an_unknown_way_keeps_no_other_from_hearing(here: Here) -> None:
    with web_receiver() as hooks, patch("engine.services.alert_channels.send_mail", side_effect=RuntimeError("canary")):
        mail = await here.channels.save(ADMIN, AlertChannel(name="a mail", kind="mail", target="ops@example.com"))
        hook = await here.channels.save(ADMIN, AlertChannel(name="pager", kind="webhook", target=hooks.url))
        await here.alerts.save_rule(OSCAR, replace(RULE, channels=(mail.id, hook.id)))
        await here.look(9.0)
        assert "unexpected" in await here.channels.test(ADMIN, mail.id)
    assert [body["event"] for body in hooks.bodies] == ["fired"]


async def test_analysts_see_nothing_of_it(here: Here) -> None:
    for call in (here.alerts.rules, here.alerts.alerts, here.channels.all, here.alerts.metrics):
        with pytest.raises(AccessDenied):
            await call(ALICE)
    with pytest.raises(AccessDenied):
        await here.alerts.save_rule(ALICE, RULE)


async def test_a_support_bundle_holds_neither_secrets_nor_names_of_people_and_files(here: Here, tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path, database_url="postgresql+asyncpg://u:canary-1@localhost/x?password=canary-5", secret_key="canary-2" * 6,
        caching={"redis_url": "redis://:canary-3@localhost/0"}, alerting={"smtp_url": "smtp://u:canary-4@localhost"},
        monitoring={"otlp_endpoint": "https://u:canary-6@collector.example:4318"},
    )  # fmt: skip

    async def broken(_: Principal) -> None:
        raise NotFound("away")

    async def talking(_: Principal) -> list[object]:
        spent = Spending(
            today=1, month=2, forecast=3, unknown_calls=0, by_model=(("box", 2.0),), by_user=(("canary bob", 2.0),)
        )
        file = SlowFile(document_id="d1", document="canary salaries.pdf", state="live", seconds=4.5)
        told = Incident(
            at=now(), kind="change", state="note", title="x", detail="redis://:canary-7@cache/0 is away", by="canary"
        )
        return [spent, file, told]

    async def text(_: Principal) -> bytes:
        return b"# metrics"

    support = Support(
        database=here.database,
        settings=settings,
        parts={"alerts.json": here.alerts.alerts, "a.json": broken, "b.json": talking, "m.txt": text},
    )
    archive = zipfile.ZipFile(BytesIO(await support.bundle(OSCAR)))
    assert set(archive.namelist()) == {"about.json", "alerts.json", "a.json", "b.json", "m.txt"}
    everything = "".join(archive.read(name).decode() for name in archive.namelist())
    assert "canary" not in everything
    assert json.loads(archive.read("a.json")) == {"failed": "away"}
    assert [*json.loads(archive.read("b.json"))[0]["by_model"][0]] == ["box", 2.0]
    assert json.loads(archive.read("about.json"))["settings"]["limits"]["question_chars"] == 4000
    with pytest.raises(AccessDenied):
        await support.bundle(ALICE)


@pytest.mark.parametrize("server", SERVERS)
async def test_alerts_fire_and_resolve_on_a_server(server: str) -> None:
    with database(server) as (url, _):
        here = Here(Database(url, audit_key=b"k" * 32))
        await here.database.migrate()
        await here.alerts.save_rule(ADMIN, RULE)
        for value in (9.0, 9.0, 1.0, 9.0):
            await here.look(value, after=15)
        told = [(alert.rule, alert.firing) for alert in await here.alerts.alerts(ADMIN)]
        await here.database.close()
    assert told == [("Questions fail", False)]


async def test_a_server_removes_alerts_that_ended_long_ago_and_no_other(tmp_path: Path) -> None:
    def alert(name: str, days: int | None) -> AlertRow:
        ended = None if days is None else now() - timedelta(days=days)
        open_key = None if ended else name
        return AlertRow(
            id=name,
            rule_id=name,
            rule=name,
            open_key=open_key,
            value=1.0,
            started_at=now() - timedelta(days=999),
            resolved_at=ended,
        )

    async with offline_workbench(tmp_path) as workbench, workbench.database.write() as session:
        session.add_all([alert("old", 401), alert("young", 399), alert("open", None)])
    async with asyncio.timeout(20), offline_workbench(tmp_path, serve=True) as workbench:
        while len(left := await workbench.alerts(ADMIN)) == 3:
            await asyncio.sleep(0.05)
    assert {one.id for one in left} >= {"young"}
    assert "old" not in {one.id for one in left}
