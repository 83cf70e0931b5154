"""Where alerts go: webhooks and mail addresses that operators enter. A target is kept sealed and never shown again."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from engine.database import alerts
from engine.database.audit import record
from engine.database.columns import new_id, now
from engine.database.database import Database
from engine.database.operations_models import AlertChannelRow
from engine.errors import AddressDenied, EngineError, InputError, NotFound
from engine.operations_views import AlertChannel
from engine.sections import Alerting
from engine.security.egress import Egress, target
from engine.security.post import post_json
from engine.security.sealing import Sealer
from engine.services.accounts import require_operator
from engine.services.naming import clean_name
from engine.types import Principal
from engine.vendors.mail import addresses, send_mail

logger = logging.getLogger(__name__)

SECONDS = 10.0
NAME_CHARS = 100
KINDS = ("webhook", "mail")
MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is sent: `event` is "fired", "resolved" or "test"; `text` says it in one line, `facts` for programs."""

    event: str
    title: str
    text: str
    facts: dict[str, str | float | None]


class AlertChannels:
    """Channels, and sending by them."""

    def __init__(self, *, database: Database, sealer: Sealer, settings: Alerting) -> None:
        self._database = database
        self._sealer = sealer
        self._settings = settings
        self._rules = Egress(settings.webhooks)

    async def all(self, principal: Principal) -> list[AlertChannel]:
        """Return all channels, without their targets. Raises AccessDenied."""
        require_operator(principal)
        async with self._database.read() as session:
            return await alerts.channels(session)

    async def save(self, principal: Principal, channel: AlertChannel) -> AlertChannel:
        """Make a channel (no id), or change one: an empty target keeps the former. Raises InputError, NotFound, AccessDenied.

        A new address is refused when the server may not connect to it now; every later connection is judged anew.
        """
        require_operator(principal)
        name = clean_name(channel.name, "a channel", most=NAME_CHARS)
        if channel.kind not in KINDS:
            raise InputError("a channel is a webhook or a mail", hint="Choose one of them.")
        shown = self._shown(channel) if channel.target or not channel.id else ""
        if shown and channel.kind == "webhook":
            await self._judge(principal, channel.target)
        async with self._database.write() as session:
            row = await session.get(AlertChannelRow, channel.id) if channel.id else AlertChannelRow(id=new_id(), last_result="")
            if row is None:
                raise NotFound("there is no such channel", hint="It was removed meanwhile.")
            if not channel.id and len(await alerts.channels(session)) >= MOST:
                raise InputError(f"there are {MOST} channels already", hint="Remove one first.")
            if channel.id and row.kind != channel.kind:
                raise InputError("a channel keeps its kind", hint="Make a new one.")
            row.name, row.kind = name, channel.kind
            if shown:
                row.sealed_target, row.shown = self._sealer.seal(channel.target.strip()), shown
            session.add(row)
            what = "change" if channel.id else "make"
            await record(session, principal, "alert.channel", name, what=what, kind=row.kind, shown=row.shown)
        return alerts.channel_of(row)

    async def delete(self, principal: Principal, channel_id: str) -> None:
        """Remove a channel, also from all rules. Raises NotFound, AccessDenied."""
        require_operator(principal)
        async with self._database.write() as session:
            row = await session.get(AlertChannelRow, channel_id)
            if row is None:
                raise NotFound("there is no such channel", hint="It was removed meanwhile.")
            await alerts.without_channel(session, channel_id)
            await session.delete(row)
            await record(session, principal, "alert.channel", row.name, what="remove", kind=row.kind)

    async def test(self, principal: Principal, channel_id: str) -> str:
        """Send a test and return what came of it in words; a failure is a result. Raises NotFound, AccessDenied."""
        require_operator(principal)
        async with self._database.read() as session:
            row = await session.get(AlertChannelRow, channel_id)
        if row is None:
            raise NotFound("there is no such channel", hint="It was removed meanwhile.")
        notice = Notice(
            event="test", title="Test", text=f"This is a test of the channel “{row.name}” by {principal.name}.", facts={}
        )
        told = await self.send(channel_id, notice)
        async with self._database.write() as session:
            outcome = "success" if told == "sent" else "failure"
            await record(session, principal, "alert.channel", row.name, outcome=outcome, what="test", kind=row.kind)
        return told

    async def send(self, channel_id: str, notice: Notice) -> str:
        """Send and return "sent", or why not in words; also noted with the channel. Raises StoreError."""
        async with self._database.read() as session:
            row = await session.get(AlertChannelRow, channel_id)
        if row is None:
            return "the channel was removed"
        try:
            await self._send(row, notice)
            told = "sent"
        except AddressDenied:
            told = "the address cannot be reached from here (setting alerting.webhooks)"
        except EngineError as error:
            told = str(error)
        except Exception:  # one receiver that fails in a new way must not keep the others from hearing of an alert
            logger.exception("a %s could not be sent", row.kind)
            told = "something unexpected went wrong; the log of the server says what"
        async with self._database.write() as session:
            again = await session.get(AlertChannelRow, channel_id)
            if again is not None:
                again.last_result, again.last_at = told[:300], now()
        return told

    async def _send(self, row: AlertChannelRow, notice: Notice) -> None:
        goal = self._sealer.open(row.sealed_target)
        if row.kind == "webhook":
            body = {"event": notice.event, "title": notice.title, "text": f"{notice.title}: {notice.text}", **notice.facts}
            await post_json(goal, json.dumps(body).encode(), rules=self._rules, seconds=SECONDS)
            return
        await asyncio.to_thread(
            send_mail,
            self._settings.smtp_url.get_secret_value(),
            self._settings.mail_from,
            addresses(goal),
            f"[RAG Workbench] {notice.title}",
            notice.text,
            seconds=SECONDS,
        )

    def _shown(self, channel: AlertChannel) -> str:
        """Return a part of the target that is no secret. Raises InputError."""
        if channel.kind == "webhook":
            target(channel.target)
            return (urlsplit(channel.target.strip()).hostname or "")[:200]
        try:
            found = addresses(channel.target)
        except ValueError:
            raise InputError(
                "this is no list of mail addresses", hint="For example ops@example.com, separated by commas."
            ) from None
        return ", ".join(f"{one[0]}…@{one.rpartition('@')[2]}" for one in found)[:200]

    async def _judge(self, principal: Principal, url: str) -> None:
        hop = target(url)
        try:
            await asyncio.to_thread(self._rules.addresses, hop.host, hop.port)
        except AddressDenied as error:
            if not error.by_rule:
                return  # not there now; a test will tell
            async with self._database.write() as session:
                await record(
                    session, principal, "egress.refused", "webhook", outcome="denied", host=hop.host, purpose="webhook"
                )
            raise AddressDenied(
                "the address of this webhook is none that this server may connect to",
                hint="Which ones it may is in the setting `alerting.webhooks`.",
                host=hop.host,
            ) from None
