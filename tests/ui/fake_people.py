"""People, sessions and keys of the workbench in memory."""

import base64
import json
import secrets
from dataclasses import replace
from datetime import UTC, datetime

from engine.access_views import IssuedToken, Scope, SignIn, Step, UserInfo
from engine.errors import AccessDenied, InputError
from engine.types import Principal, Role

START = datetime(2026, 1, 5, 9, 0, tzinfo=UTC)


class FakePeople:
    """Users, sessions and keys in dictionaries."""

    code = "123456"

    def start_people(self):
        self.people, self.passwords, self.tokens = {}, {}, {}
        self.tickets, self.bearers, self.revoked, self.denials, self.addresses = {}, {}, [], [], []

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
        self.addresses.append(ip)
        if self.passwords.get(name) != password:
            raise AccessDenied("the user name or the password is wrong", hint="try again, or ask an admin for a new password")
        return self._after(name)

    def _after(self, name, *, factor_done=False):
        person = self.people[name]
        step = (
            Step.SECOND_FACTOR
            if person.second_factor and not factor_done
            else Step.PASSWORD
            if person.must_change
            else Step.DONE
        )
        if step is Step.DONE:
            return SignIn(token=self.session(name), name=name)
        ticket = secrets.token_urlsafe(32)
        self.tickets[ticket] = (name, step)
        return SignIn(step=step, ticket=ticket, name=name)

    async def second_factor(self, ticket, code, *, ip, user_agent):
        name, step = self.tickets.get(ticket, ("", None))
        if step is not Step.SECOND_FACTOR:
            raise AccessDenied("this sign-in has ended", hint="start again with your password")
        if code != self.code:
            raise AccessDenied("the code is wrong", hint="type the newest one")
        del self.tickets[ticket]
        return self._after(name, factor_done=True)

    def invite(self, name):
        ticket = secrets.token_urlsafe(32)
        self.tickets[ticket] = (name, Step.PASSWORD)
        return ticket

    async def invited(self, ticket):
        name, step = self.tickets.get(ticket, ("", None))
        if step is not Step.PASSWORD:
            raise AccessDenied("this link was used or has expired", hint="ask an admin for a new one")
        return name

    async def choose_password(self, ticket, password, *, ip, user_agent):
        name = await self.invited(ticket)
        if len(password) < 10:
            raise InputError("the password has fewer than 10 characters", hint="a few unrelated words are easy to remember")
        del self.tickets[ticket]
        self.passwords[name] = password
        self.people[name] = replace(self.people[name], must_change=False)
        return self._after(name, factor_done=True)

    # --- keys and tokens

    def key(self, name, *scopes):
        text = f"wb_{len(self.bearers):08d}_{secrets.token_urlsafe(32)}"
        self.bearers[text] = (name, frozenset(scopes or Scope))
        return text

    async def authenticate_bearer(self, text, *, ip):
        self.addresses.append(ip)
        name, scopes = self.bearers.get(text, ("", frozenset()))
        person = self.people.get(name)
        session_id = f"key:{text[3:11]}"
        return person and Principal(user_id=person.id, name=name, role=person.role, session_id=session_id, scopes=scopes)

    async def issue_token(self, p, *, seconds=900):
        payload = base64.urlsafe_b64encode(json.dumps({"jti": secrets.token_hex(8)}).encode()).decode().rstrip("=")
        token = f"eyJhbGciOiJIUzI1NiJ9.{payload}.{secrets.token_urlsafe(32)}"
        self.bearers[token] = (p.name, p.scopes)
        return IssuedToken(token=token, expires_at=START)

    async def revoke_token(self, p, jti):
        self.revoked.append(jti)

    async def note_denied(self, p, what):
        self.denials.append((p.name, what))

    async def authenticate(self, token):
        name, session_id = self.tokens.get(token, ("", ""))
        person = self.people.get(name)
        return Principal(user_id=person.id, name=name, role=person.role, session_id=session_id) if person else None

    async def sign_out(self, token):
        self.tokens.pop(token, None)
