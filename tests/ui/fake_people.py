"""People, sessions, audit and health of the workbench in memory."""

import secrets
from datetime import UTC, datetime

from engine.access_views import SignIn, UserInfo
from engine.errors import AccessDenied, InputError
from engine.types import Principal, Role
from engine.views import Check

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakePeople:
    """Users and sessions in dictionaries."""

    def person(self, name, role, password="correct horse battery"):
        info = UserInfo(id=f"u-{name}", name=name, role=role, created_at=START, last_seen_at=None, disabled=False)
        self.people[name], self.passwords[name] = info, password
        return info

    def session(self, name):
        token = secrets.token_urlsafe(32)
        self.tokens[token] = (name, f"s-{secrets.token_hex(4)}")
        return token

    async def setup_needed(self):
        return not self.people

    async def set_up(self, setup_token, name, password, *, ip, user_agent):
        if setup_token != self.setup_token:
            raise AccessDenied("the set-up token is wrong", hint="copy it again from the terminal of the server")
        if len(password) < 10:
            raise InputError("the password has fewer than 10 characters", hint="a few unrelated words are easy to remember")
        self.person(name, Role.ADMIN, password)
        return self.session(name)

    async def sign_in(self, name, password, *, ip, user_agent):
        if self.passwords.get(name) != password:
            raise AccessDenied("the user name or the password is wrong", hint="try again, or ask an admin for a new password")
        return SignIn(token=self.session(name), name=name)

    async def authenticate(self, token):
        name, session_id = self.tokens.get(token, ("", ""))
        person = self.people.get(name)
        return Principal(user_id=person.id, name=name, role=person.role, session_id=session_id) if person else None

    async def sign_out(self, token):
        self.tokens.pop(token, None)

    async def health(self, p):
        return [
            Check(name="Database", state="ok", detail="SQLite, write and read", elapsed_ms=1.4),
            Check(name="Embedder", state="degraded", detail="loads at the first use", effect="The first question takes longer.",
                  hint="Ask one question to load it."),
            Check(name="Disk", state="failed", detail="2 % free", effect="Uploads are refused.", hint="Free some space."),
        ]  # fmt: skip
