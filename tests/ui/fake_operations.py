"""Health, breakers, measurements and alerts of the workbench in memory: a busy day, a quiet one, and a first start."""

import csv
import io
import math
import zipfile
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.errors import AccessDenied, InputError, NotFound, ProviderUnavailable
from engine.operations_views import (
    AlertChannel,
    AlertInfo,
    AlertMetric,
    AlertRule,
    BreakerInfo,
    BreakerState,
    CacheInfo,
    Dependency,
    Incident,
    Ingestion,
    Measurements,
    Quality,
    Range,
    SlowFile,
    Spending,
    Timing,
    TimingPoint,
    TrafficPoint,
)  # fmt: skip
from engine.types import Role
from engine.views import Check

NASTY = "eve:red[x]<b>![i](https://evil.example/i.png) $x^2$"
STEPS = {Range.QUARTER: 60, Range.HOUR: 60, Range.DAY: 900, Range.WEEK: 3600, Range.MONTH: 21_600}
STAGES = {"rewrite": 90, "cache": 4, "embed": 35, "search": 60, "rerank": 140, "first_token": 620, "generate": 2400, "ground": 180,
          "total": 2900}  # fmt: skip
CHAT = Dependency(operation="chat", provider="openai", model="gpt-5-mini")
OTHER = Dependency(operation="chat", provider="ollama", model="llama3.2")
EMBEDDING = Dependency(operation="embedding", provider="local", model="all-MiniLM-L6-v2")
STORE = Dependency(operation="store", provider="qdrant")
EVIL = Dependency(operation="rerank", provider=NASTY, model="</script>")
COMMANDS = {
    "trip": BreakerState.TRIPPED,
    "drain": BreakerState.DRAINING,
    "hold": BreakerState.HELD,
    "reset": BreakerState.CLOSED,
}


def ago(**length):
    return datetime.now(UTC) - timedelta(**length)


def checks():
    at = {"checked_at": ago(seconds=12), "last_ok_at": ago(seconds=12)}
    return [
        Check(name="Database", state="ok", detail="SQLite, write and read", elapsed_ms=1.4, **at),
        Check(name="Embedder", state="degraded", detail="loads at the first use", effect="The first question takes longer.",
              hint="Ask one question to load it.", elapsed_ms=8, dependency=str(EMBEDDING), **at),
        Check(name="Disk", state="failed", detail="2 % free", effect="Uploads are refused.", hint="Free some space.",
              elapsed_ms=0.3, checked_at=ago(seconds=12), last_ok_at=ago(hours=3)),
        Check(name="Model openai", state="failed", detail="the provider does not answer (503)", elapsed_ms=5000,
              effect="Questions are answered by the next model of the order.", hint="Look at the vendor's status page.",
              checked_at=ago(seconds=12), last_ok_at=ago(minutes=22), dependency=str(CHAT)),
        Check(name="Store qdrant", state="ok", detail="3 collections, 48,210 passages", elapsed_ms=6, dependency=str(STORE), **at),
        Check(name=f"Reranker {NASTY}", state="ok", detail=NASTY, elapsed_ms=31, dependency=str(EVIL), **at),
        Check(name="Ingestion worker", state="ok", detail="2 slots, last heartbeat 4 s ago", elapsed_ms=2, **at),
        Check(name="Redis", state="off", detail="not set up; each process keeps its own cache", checked_at=ago(seconds=12)),
    ]  # fmt: skip


def breaker(n, dependency, state=BreakerState.CLOSED, **values):
    common = {"since": ago(hours=5), "calls": 20, "failure_rate": 0.0, "slow_rate": 0.0, "permitted": 4210, "not_permitted": 0,
              "in_use": 1, "limit": 16}  # fmt: skip
    return BreakerInfo(id=f"{n:016x}", dependency=dependency, state=state, **(common | values))


def board():
    return [
        breaker(1, EMBEDDING),
        breaker(2, CHAT, BreakerState.OPEN, since=ago(minutes=4), failure_rate=0.65, slow_rate=0.1, not_permitted=42, in_use=0,
                retry_after_seconds=47.3, last_error="ProviderUnavailable: 503 from the vendor"),
        breaker(3, OTHER, BreakerState.HALF_OPEN, since=ago(seconds=20), calls=2, failure_rate=None, slow_rate=None,
                not_permitted=7, last_error="ProviderTimeout: no answer in 60 s", shared=True),
        breaker(4, EVIL, BreakerState.TRIPPED, since=ago(hours=2), calls=0, failure_rate=None, slow_rate=None, not_permitted=180,
                in_use=0, forced_by=NASTY, reason=f"the vendor asked us to [stop](https://evil.example) {NASTY}", last_error=NASTY),
        breaker(5, STORE, BreakerState.HELD, forced_by="operator", reason="slow calls are expected", slow_rate=0.4),
    ]  # fmt: skip


def timing(label, mean, *, count=120, errors=0):
    return Timing(
        label=label, count=count, errors=errors, mean_ms=mean, p50_ms=mean * 0.9, p95_ms=mean * 2.1, p99_ms=mean * 3.4
    )


def busy(range_, empty=False):
    step = STEPS[range_]
    start = int(ago(seconds=range_.seconds).timestamp()) // step * step
    times = [datetime.fromtimestamp(start + n * step, UTC) for n in range(range_.seconds // step)]
    if empty:
        return Measurements(range=range_, since=times[0], step_seconds=step, empty=True)
    wave = [1 + 0.4 * math.sin(n / 4) + 0.15 * math.sin(n * 1.7) for n in range(len(times))]
    dependencies = {str(CHAT): 2600, str(OTHER): 5200, str(EMBEDDING): 34, str(STORE): 22, str(EVIL): 130}
    points = [
        TimingPoint(at=at, timing=timing(label, mean * factor, count=max(1, step // 20)))
        for label, mean in {**STAGES, **dependencies}.items()
        for at, factor in zip(times, wave, strict=True)
    ]
    traffic = [
        TrafficPoint(at=at, questions=round(step / 20 * factor), failed=round(step / 900 * (n % 7 == 3)) + (n % 9 == 4),
                     refused=round(step / 400 * factor), fallback=round(step / 60 * (n > len(times) * 0.7)),
                     cached=round(step / 70 * factor), documents_done=(n * 7) % 5, documents_failed=int(n % 11 == 5))
        for n, (at, factor) in enumerate(zip(times, wave, strict=True))
    ]  # fmt: skip
    return Measurements(
        range=range_, since=times[0], step_seconds=step, empty=False, stages=tuple(timing(*one) for one in STAGES.items()),
        stage_points=tuple(points), traffic=tuple(traffic),
        dependencies=tuple(timing(label, mean, errors=9 * (label == str(CHAT))) for label, mean in dependencies.items()),
        caches=(
            CacheInfo(name="answers", where="redis", hits=412, misses=1090, rate=412 / 1502),
            CacheInfo(name="embeddings", where="memory", hits=3011, misses=402, rate=3011 / 3413),
            CacheInfo(name="sessions", where="memory", hits=0, misses=0, rate=None),
        ),
        errors=(("ProviderUnavailable", 42), ("ProviderTimeout", 7), ("LimitExceeded", 2)),
        ingestion=Ingestion(
            waiting=14, running=2, oldest_seconds=754,
            slowest=(SlowFile(document_id="d-0002", document="scan.pdf", state="live", seconds=312.4),
                     SlowFile(document_id="d-0001", document="report.pdf", state="embedded", seconds=94.0),
                     SlowFile(document_id="d-0009", document=f"{NASTY}.pdf", state="failed", seconds=61.2)),
            stalled=(SlowFile(document_id="d-0003", document="broken.pdf", state="stored", seconds=4210.0),
                     SlowFile(document_id="d-gone", document=f"{NASTY}.docx", state="parsed", seconds=9000.0)),
        ),
        spending=Spending(today=3.4172, month=88.12, forecast=102.6, unknown_calls=31,
                          by_model=(("openai · gpt-5-mini", 71.02), ("gemini · gemini-2.5-flash", 14.4), (NASTY, 2.7)),
                          by_user=(("analyst", 52.0), ("carla", 30.1), (NASTY, 6.02))),
        quality=Quality(answers=1502, unsupported_rate=0.034, refusal_rate=0.081),
    )  # fmt: skip


METRICS = [
    AlertMetric(name="error_rate", label="Failed questions", unit="%"),
    AlertMetric(name="p95_total", label="Time to the whole answer, p95", unit="ms"),
    AlertMetric(name="dependency_p95", label="Calls of a model or store, p95", unit="ms", labels=(str(CHAT), str(EVIL))),
    AlertMetric(name="queue_oldest", label="Age of the oldest waiting document", unit="s"),
    AlertMetric(name="cost_today", label="Cost today", unit="US$"),
    AlertMetric(name="open_breakers", label="Breakers that are not closed", unit=""),
]


def rules():
    return [
        AlertRule(id="r-1", name="Too many failures", metric="error_rate", threshold=5, for_minutes=5, channels=("c-1",),
                  changed_by="admin", value=7.2),
        AlertRule(id="r-2", name="Slow model", metric="dependency_p95", label=str(CHAT), threshold=8000, for_minutes=10,
                  changed_by="operator", value=5460.0, silenced_until=datetime.now(UTC) + timedelta(minutes=42)),
        AlertRule(id="r-3", name=NASTY, metric="cost_today", threshold=20, enabled=False, changed_by=NASTY),
    ]  # fmt: skip


def channels():
    return [
        AlertChannel(id="c-1", name="On call", kind="webhook", shown="https://hooks.example.com/…", last_result="sent",
                     last_at=ago(minutes=9)),
        AlertChannel(id="c-2", name=NASTY, kind="mail", shown="o…@example.com", last_result=f"refused: {NASTY}", last_at=ago(days=1)),
    ]  # fmt: skip


def alerts():
    return [
        AlertInfo(id="a-1", rule_id="r-1", rule="Too many failures", firing=True, value=7.2, started_at=ago(minutes=9),
                  detail="7.2 % of the questions failed in the last 5 minutes (threshold 5 %)", deliveries={"On call": "sent"}),
        AlertInfo(id="a-2", rule_id="r-3", rule=NASTY, firing=True, value=21.4, detail=f"cost {NASTY}", started_at=ago(hours=2),
                  acknowledged_at=ago(hours=1), acknowledged_by=NASTY, deliveries={NASTY: f"refused: {NASTY}"}),
        AlertInfo(id="a-3", rule_id="r-2", rule="Slow model", firing=False, value=9100, detail="p95 was 9,100 ms",
                  started_at=ago(days=1, hours=2), resolved_at=ago(days=1)),
    ]  # fmt: skip


def incidents():
    return [
        Incident(at=ago(minutes=4), kind="breaker", state="bad", title=f"{CHAT} opened", detail="13 of 20 calls failed"),
        Incident(at=ago(minutes=9), kind="alert", state="bad", title="Too many failures", detail="7.2 %, threshold 5 %"),
        Incident(at=ago(minutes=31), kind="change", state="note", title="provider.edit openai", detail="timeout 60 to 30", by="admin"),
        Incident(at=ago(hours=2), kind="breaker", state="bad", title=f"{EVIL} tripped", detail=NASTY, by=NASTY),
        Incident(at=ago(hours=6), kind="server", state="note", title="web-1 started", detail="version 0.9.0"),
        Incident(at=ago(hours=7), kind="alert", state="good", title="Slow model ended", detail="after 42 minutes"),
    ]  # fmt: skip


class FakeOperations:
    """`scene` is "busy", "quiet" or "empty"; `did` (of FakeAccess) keeps what was commanded."""

    def start_operations(self):
        self.preferences = {}
        self.show("busy")

    def show(self, scene):
        bad = scene == "busy"
        self.scene = scene
        self.stored_checks = checks() if bad else [replace(one, state="ok", effect="", hint="") for one in checks()[:3]]
        calm = {"calls": 0, "failure_rate": None, "slow_rate": None, "permitted": 0} if scene == "empty" else {}
        self.board = board() if bad else [] if scene == "empty" else [breaker(1, EMBEDDING, **calm), breaker(2, CHAT)]
        self.rules, self.channels = (rules(), channels()) if bad else ([], [])
        self.stored_alerts = alerts() if bad else []
        self.stored_incidents = incidents() if bad else [] if scene == "empty" else incidents()[4:5]

    def _desk(self, p):
        if p.role not in (Role.OPERATOR, Role.ADMIN) or p.preview:
            raise AccessDenied("your role may not do this", hint="ask an admin")

    async def health(self, p, *, fresh=False):
        self._desk(p)
        if fresh:
            self.did.append(("health", "fresh"))
            self.stored_checks = [replace(one, checked_at=datetime.now(UTC)) for one in self.stored_checks]
        return list(self.stored_checks)

    async def breakers(self, p):
        self._desk(p)
        return list(self.board)

    async def command_breaker(self, p, breaker_id, command, *, reason=""):
        self._desk(p)
        if command != "reset" and not reason.strip():
            raise InputError("a reason is needed", hint="others read it on the board")
        self.did.append(("command_breaker", breaker_id, command, reason))
        self.board = [
            replace(one, state=COMMANDS[command], since=datetime.now(UTC), reason=reason, forced_by=p.name * (command != "reset"))
            if one.id == breaker_id else one
            for one in self.board
        ]  # fmt: skip

    async def measurements(self, p, range_):
        self._desk(p)
        self.asked_range = range_
        return busy(range_, empty=self.scene == "empty")

    async def measurements_csv(self, p, range_):
        found = await self.measurements(p, range_)
        file = io.StringIO()
        csv.writer(file).writerows([("at", "questions"), *((one.at, one.questions) for one in found.traffic)])
        self.did.append(("measurements_csv", range_))
        return file.getvalue()

    async def alert_metrics(self, p):
        self._desk(p)
        return METRICS

    async def alert_rules(self, p):
        self._desk(p)
        return list(self.rules)

    async def save_alert_rule(self, p, rule):
        self._desk(p)
        if not rule.name.strip():
            raise InputError("a rule needs a name", hint="say what it watches")
        self.did.append(("save_alert_rule", rule))
        saved = replace(rule, id=rule.id or f"r-{len(self.did)}n", changed_by=p.name)
        self.rules = [one for one in self.rules if one.id != saved.id] + [saved]
        return saved

    async def delete_alert_rule(self, p, rule_id):
        self._desk(p)
        self.did.append(("delete_alert_rule", rule_id))
        self.rules = [one for one in self.rules if one.id != rule_id]

    async def silence_alert_rule(self, p, rule_id, minutes):
        self._desk(p)
        self.did.append(("silence_alert_rule", rule_id, minutes))
        until = datetime.now(UTC) + timedelta(minutes=minutes) if minutes else None
        self.rules = [replace(one, silenced_until=until) if one.id == rule_id else one for one in self.rules]

    async def alerts(self, p, *, limit=100):
        self._desk(p)
        return self.stored_alerts[:limit]

    async def acknowledge_alert(self, p, alert_id):
        self._desk(p)
        self.did.append(("acknowledge_alert", alert_id))
        self.stored_alerts = [
            replace(one, acknowledged_at=datetime.now(UTC), acknowledged_by=p.name) if one.id == alert_id else one
            for one in self.stored_alerts
        ]

    async def alert_channels(self, p):
        self._desk(p)
        return list(self.channels)

    async def save_alert_channel(self, p, channel):
        self._desk(p)
        if channel.kind == "webhook" and channel.target and not channel.target.startswith("https://"):
            raise InputError("this is not an address of a webhook", hint="it begins with https://")
        self.did.append(("save_alert_channel", channel, channel.target))
        saved = replace(channel, id=channel.id or f"c-{len(self.did)}n", target="", shown=channel.shown or "https://…")
        self.channels = [one for one in self.channels if one.id != saved.id] + [saved]
        return saved

    async def delete_alert_channel(self, p, channel_id):
        self._desk(p)
        self.did.append(("delete_alert_channel", channel_id))
        self.channels = [one for one in self.channels if one.id != channel_id]

    async def test_alert_channel(self, p, channel_id):
        self._desk(p)
        self.did.append(("test_alert_channel", channel_id))
        if channel_id == "c-2":
            raise ProviderUnavailable(f"the mail server refused: {NASTY}", hint="look at the setting alerting.smtp_url")
        if all(one.id != channel_id for one in self.channels):
            raise NotFound("there is no such channel")
        return "sent; the receiver answered 200 in 84 ms"

    async def incidents(self, p, range_):
        self._desk(p)
        return [one for one in self.stored_incidents if one.at > ago(seconds=range_.seconds)]

    async def support_bundle(self, p):
        self._desk(p)
        self.did.append(("support_bundle",))
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            archive.writestr("health.json", "[]")
        return file.getvalue()

    async def clear_cache(self, p):
        if p.role is not Role.ADMIN:
            raise AccessDenied("only admins may do this")
        self.did.append(("clear_cache",))
        return 412

    async def preference(self, p, name):
        return self.preferences.get((p.user_id, name), "")

    async def set_preference(self, p, name, value):
        self.preferences[p.user_id, name] = value
