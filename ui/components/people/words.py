"""How people, times and browsers are put into words. What is returned for Markdown is escaped; the rest is plain text."""

from __future__ import annotations

from datetime import UTC, datetime

from engine.access_views import UserInfo
from engine.types import Role
from ui.components.colors import Color
from ui.components.safe_text import escape, short

ROLES = {
    Role.ANALYST: "asks, and keeps documents",
    Role.OPERATOR: "also sees health",
    Role.ADMIN: "also users, providers and audit",
}
# The first that fits: browsers name those that they descend from as well.
_BROWSERS = (("Edg", "Edge"), ("OPR/", "Opera"), ("Firefox/", "Firefox"), ("Chrom", "Chrome"), ("Safari/", "Safari"))
_SYSTEMS = (("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"))
_PROGRAMS = (("curl/", "curl"), ("python", "a Python program"))


def moment(at: datetime) -> str:
    """Return a time for people."""
    return f"{at:%d %b %Y %H:%M} UTC"


def ago(at: datetime | None, *, now: datetime | None = None) -> str:
    """Return how long ago something was, the date when it is longer than a month, "never" for None."""
    if at is None:
        return "never"
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    for name, length, limit in (("minute", 60, 3600), ("hour", 3600, 86400), ("day", 86400, 31 * 86400)):
        if seconds < limit:
            count = int(seconds // length)
            return f"{count} {name}{'s' * (count != 1)} ago" if count > 0 else "just now"
    return f"{at:%d %b %Y}"


def browser(user_agent: str) -> str:
    """Return browser and system in words; the beginning of what a program says of itself when it is unknown."""
    name = next((word for sign, word in _BROWSERS if sign in user_agent), "")
    if not name:
        program = next((word for sign, word in _PROGRAMS if sign in user_agent.lower()), "")
        return program or short(user_agent, 40) or "unknown browser"
    system = next((word for sign, word in _SYSTEMS if sign in user_agent), "Linux" if "Linux" in user_agent else "")
    return f"{name} on {system}" if system else name


def state_of(one: UserInfo, *, now: datetime | None = None) -> tuple[str, Color, str]:
    """Return the state of a user as a word, a colour and an icon."""
    if one.disabled:
        return "disabled", "gray", ":material/block:"
    if one.locked_until and one.locked_until > (now or datetime.now(UTC)):
        return f"locked until {one.locked_until:%H:%M} UTC", "orange", ":material/lock_clock:"
    if one.invited:
        return "invited", "blue", ":material/mail:"
    return "active", "green", ":material/check_circle:"


def facts(one: UserInfo) -> str:
    """Return second factor, groups, sessions and last seen in one line of Markdown."""
    parts = ["second factor on" if one.second_factor else "no second factor"]
    if one.groups:
        parts.append("in " + ", ".join(escape(short(name, 40)) for name in one.groups))
    if one.sessions:
        parts.append(f"{one.sessions} session{'s' * (one.sessions != 1)}")
    if one.keys:
        parts.append(f"{one.keys} API key{'s' * (one.keys != 1)}")
    parts += ["must change the password"] * one.must_change
    return " · ".join([*parts, f"last seen {ago(one.last_seen_at)}" if one.last_seen_at else "never seen"])


def bold(name: str) -> str:
    """Return a name as bold Markdown."""
    return f"**{escape(short(name, 60))}**"
