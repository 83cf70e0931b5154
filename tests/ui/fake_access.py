"""Users, groups, sessions, keys and sharing of the workbench in memory, as the facade offers them. `did` keeps what was changed."""

import itertools
import secrets
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from engine.access_views import (
    GrantInfo,
    GroupInfo,
    ImportedUser,
    Invitation,
    KeyInfo,
    NewKey,
    Reach,
    Scope,
    SecondFactor,
    SessionInfo,
)  # fmt: skip
from engine.documents import Chunk
from engine.errors import AccessDenied, InputError, NotFound
from engine.types import Hit, Principal, Right, Role

SINCE = datetime(2026, 2, 2, 8, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
NASTY = "eve:red[x]<b>![i](https://evil.example/i.png)"
NASTY_BROWSER = "<script>alert(1)</script> ![x](https://evil.example/x.png)"
CODE = "123456"


class FakeAccess:
    """Dictionaries by id; names of people stay the keys of `people`, as in FakePeople."""

    def start_access(self):
        self.did = []
        self.numbers = itertools.count(1)
        self.stored_groups, self.stored_keys, self.stored_grants, self.agents = {}, {}, {}, {}

    def _user(self, user_id):
        for person in self.people.values():
            if person.id == user_id:
                return person
        raise NotFound("there is no such user")

    def _info(self, person):
        groups = tuple(one.name for one in self.stored_groups.values() if person.id in dict(one.members))
        sessions = sum(name == person.name for name, _ in self.tokens.values())
        keys = sum(one.user_id == person.id and one.state == "active" for one in self.stored_keys.values())
        return replace(person, groups=groups, sessions=sessions, keys=keys)

    def _change(self, user_id, **values):
        person = self._user(user_id)
        self.people[person.name] = replace(person, **values)

    def _spare_last_admin(self, user_id):
        able = [one.id for one in self.people.values() if one.role is Role.ADMIN and not one.disabled and not one.invited]
        if able == [user_id]:
            raise InputError("the last admin stays", hint="make somebody else an admin first")

    def _only_admins(self, p):
        if p.role is not Role.ADMIN or p.preview:
            raise AccessDenied("only admins may do this")

    def _end(self, name, *, keep=""):
        for token, (owner, session_id) in list(self.tokens.items()):
            if owner == name and session_id != keep:
                del self.tokens[token]

    def _link(self, person):
        path = f"/invite?token={secrets.token_urlsafe(24)}"
        return Invitation(user=self._info(person), path=path, expires_at=SINCE + timedelta(days=3))

    # --- people

    async def users(self, p):
        self._only_admins(p)
        return sorted((self._info(one) for one in self.people.values()), key=lambda one: one.name)

    async def create_user(self, p, name, password, role, *, must_change=False):
        self._only_admins(p)
        if name in self.people:
            raise InputError(f"a user named {name!r} exists", hint="choose another name")
        if len(password) < 10:
            raise InputError("the password has fewer than 10 characters", hint="a few unrelated words are easy to remember")
        self.person(name, role, password)
        self._change(f"u-{name}", must_change=must_change)
        self.did.append(("create_user", name, role, must_change))
        return self.people[name]

    async def invite_user(self, p, name, role, *, groups=()):
        self._only_admins(p)
        if not name or name in self.people:
            raise InputError(f"a user named {name!r} exists", hint="choose another name")
        self.person(name, role, secrets.token_hex())
        self._change(f"u-{name}", invited=True)
        for group_id in groups:
            one = self.stored_groups[group_id]
            self.stored_groups[group_id] = replace(one, members=(*one.members, (f"u-{name}", name)))
        self.did.append(("invite_user", name, role, tuple(groups)))
        return self._link(self.people[name])

    async def reset_password(self, p, user_id):
        self._only_admins(p)
        person = self._user(user_id)
        self.passwords[person.name] = secrets.token_hex()
        self._end(person.name)
        self.did.append(("reset_password", user_id))
        return self._link(person)

    async def set_role(self, p, user_id, role):
        self._only_admins(p)
        if role is not Role.ADMIN:
            self._spare_last_admin(user_id)
        self._change(user_id, role=role)
        self.did.append(("set_role", user_id, role))

    async def disable_user(self, p, user_id):
        self._only_admins(p)
        self._spare_last_admin(user_id)
        self._change(user_id, disabled=True)
        self._end(self._user(user_id).name)
        self.did.append(("disable_user", user_id))

    async def enable_user(self, p, user_id):
        self._only_admins(p)
        self._change(user_id, disabled=False)
        self.did.append(("enable_user", user_id))

    async def delete_user(self, p, user_id):
        self._only_admins(p)
        self._spare_last_admin(user_id)
        name = self._user(user_id).name
        self._end(name)
        del self.people[name]
        self.did.append(("delete_user", user_id))

    async def reset_second_factor(self, p, user_id):
        self._only_admins(p)
        self._change(user_id, second_factor=False)
        self.did.append(("reset_second_factor", user_id))

    async def unlock_user(self, p, user_id):
        self._only_admins(p)
        self._change(user_id, locked_until=None)
        self.did.append(("unlock_user", user_id))

    async def import_users(self, p, text, *, apply):
        self._only_admins(p)
        if not text.lower().startswith("name,role"):
            raise InputError("the first line is not name,role,groups", hint="begin with that line")
        self.did.append(("import_users", apply))
        return [await self._imported(p, n, line, apply) for n, line in enumerate(text.splitlines()[1:], 2)]

    async def _imported(self, p, number, line, apply):
        name, role, *_ = [*line.split(","), "", ""]
        common = {"line": number, "name": name, "role": role}
        if name in self.people:
            return ImportedUser(outcome="exists", reason="there is a user with this name", **common)
        if role not in list(Role):
            return ImportedUser(outcome="refused", reason=f"{role!r} is no role", **common)
        path = (await self.invite_user(p, name, Role(role))).path if apply else ""
        return ImportedUser(outcome="new", path=path, **common)

    # --- own account

    async def my_account(self, p):
        return self._info(self._user(p.user_id))

    async def change_password(self, p, old, new):
        if self.passwords[p.name] != old:
            raise AccessDenied("the present password is wrong", hint="try again")
        if len(new) < 10:
            raise InputError("the password has fewer than 10 characters", hint="a few unrelated words are easy to remember")
        self.passwords[p.name] = new
        self._end(p.name, keep=p.session_id)
        self.did.append(("change_password", p.user_id))

    async def start_second_factor(self, p):
        secret = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
        return SecondFactor(
            secret=secret, uri=f"otpauth://totp/RAG%20Workbench:{p.name}?secret={secret}&issuer=RAG%20Workbench"
        )

    async def confirm_second_factor(self, p, code):
        if code != CODE:
            raise InputError("the code is wrong", hint="codes change every 30 seconds: enter the present one")
        self._change(p.user_id, second_factor=True)
        self.did.append(("confirm_second_factor", code))

    async def remove_second_factor(self, p, password):
        if self.passwords[p.name] != password:
            raise AccessDenied("the password is wrong", hint="try again")
        self._change(p.user_id, second_factor=False)
        self.did.append(("remove_second_factor", p.user_id))

    async def _all_sessions(self, current):
        return [
            SessionInfo(
                id=session_id, user_id=self.people[name].id, user=name, created_at=SINCE, last_seen_at=SINCE + timedelta(hours=5),
                expires_at=SINCE + timedelta(days=7), ip="192.0.2.7", user_agent=self.agents.get(session_id, FIREFOX),
                current=session_id == current,
            )
            for name, session_id in self.tokens.values()
        ]  # fmt: skip

    async def sessions(self, p, user_id=None):
        if user_id not in (None, p.user_id):
            self._only_admins(p)
        wanted = user_id or p.user_id
        return [one for one in await self._all_sessions(p.session_id) if wanted in ("*", one.user_id)]

    async def revoke_session(self, p, session_id):
        for token, (_, known) in list(self.tokens.items()):
            if known == session_id:
                del self.tokens[token]
        self.did.append(("revoke_session", session_id))

    async def sign_out_everywhere(self, p):
        ended = sum(name == p.name for name, _ in self.tokens.values())
        self._end(p.name)
        self.did.append(("sign_out_everywhere", p.user_id))
        return ended

    # --- groups and sharing

    async def groups(self, p):
        if p.role is Role.ADMIN:
            return sorted(self.stored_groups.values(), key=lambda one: one.name)
        mine = [one for one in self.stored_groups.values() if p.user_id in dict(one.members)]
        return [replace(one, members=(), collections=()) for one in mine]

    async def create_group(self, p, name):
        self._only_admins(p)
        if not name or any(one.name == name for one in self.stored_groups.values()):
            raise InputError(f"a group named {name!r} exists", hint="choose another name")
        info = GroupInfo(id=f"g-{next(self.numbers)}", name=name, created_at=SINCE, members=(), collections=())
        self.stored_groups[info.id] = info
        self.did.append(("create_group", name))
        return info

    async def rename_group(self, p, group_id, name):
        self._only_admins(p)
        self.stored_groups[group_id] = replace(self.stored_groups[group_id], name=name)
        self.did.append(("rename_group", group_id, name))

    async def delete_group(self, p, group_id):
        self._only_admins(p)
        del self.stored_groups[group_id]
        self.did.append(("delete_group", group_id))

    async def set_members(self, p, group_id, user_ids):
        self._only_admins(p)
        members = tuple((user_id, self._user(user_id).name) for user_id in user_ids)
        self.stored_groups[group_id] = replace(self.stored_groups[group_id], members=members)
        self.did.append(("set_members", group_id, tuple(user_ids)))

    async def grants(self, p, collection_id):
        found = self.stored_grants.setdefault(collection_id, {("user", "analyst"): Right.OWNER})
        ids = {one.name: one.id for one in [*self.people.values(), *self.stored_groups.values()]}
        return [GrantInfo(kind=kind, id=ids.get(name, name), name=name, right=right) for (kind, name), right in found.items()]

    async def grant(self, p, collection_id, user_name, right):
        await self._grant(p, collection_id, "user", user_name, right)

    async def grant_group(self, p, collection_id, group_name, right):
        await self._grant(p, collection_id, "group", group_name, right)

    async def _grant(self, p, collection_id, kind, name, right):
        await self.grants(p, collection_id)
        if right is None:
            self.stored_grants[collection_id].pop((kind, name))
        else:
            self.stored_grants[collection_id][kind, name] = right
        self.did.append(("grant", kind, name, right))

    async def shareable(self, p, collection_id):
        return sorted(one.name for one in self.people.values() if not one.disabled), sorted(
            one.name for one in self.stored_groups.values()
        )

    async def reach(self, p, user_id):
        self._only_admins(p)
        role = self._user(user_id).role
        via = ("role admin",) if role is Role.ADMIN else ("granted", "group Research")
        return [
            Reach(collection_id=one.id, collection=one.name, right=Right.READ, via=via, documents=3)
            for one in self.stored_collections.values()
        ]

    async def view_as(self, p, user_id):
        self._only_admins(p)
        person = self._user(user_id)
        if person.disabled:
            raise InputError(f"{person.name!r} is disabled and sees nothing", hint="look at what is granted instead")
        self.did.append(("view_as", user_id))
        return Principal(user_id=person.id, name=person.name, role=person.role, session_id=p.session_id, preview=True)

    async def search(self, p, query, *, collections, k=10, where=(), mode=""):
        self.did.append(("search", p.name, p.preview, query, tuple(collections)))
        return [
            Hit(
                chunk=Chunk(id=f"h-{n}", collection_id=collections[0], document_id="d-1", document_name="report.pdf", version=1,
                            version_id="v", ordinal=n, page=n, start=0, end=20, text=f"Revenue rose by {n} percent. *x*", section=()),
                score=1 / n,
            )
            for n in (1, 2)
        ] if query != "nothing" else []  # fmt: skip

    async def note_denied(self, p, what):
        self.did.append(("note_denied", p.name, what))

    # --- keys

    async def api_keys(self, p, user_id=None):
        if user_id not in (None, p.user_id):
            self._only_admins(p)
        wanted = user_id or p.user_id
        return [one for one in self.stored_keys.values() if wanted in ("*", one.user_id)]

    async def create_api_key(self, p, name, scopes, *, days=90):
        if not name or not scopes:
            raise InputError("a key needs a name and at least one scope", hint="choose what the key may do")
        made = KeyInfo(
            id=f"k-{next(self.numbers)}", user_id=p.user_id, user=p.name, name=name, scopes=tuple(scopes), state="active",
            created_at=SINCE, expires_at=SINCE + timedelta(days=days) if days else None, last_used_at=None,
        )  # fmt: skip
        self.stored_keys[made.id] = made
        self.did.append(("create_api_key", name, tuple(scopes), days))
        return NewKey(info=made, text=f"wb_{secrets.token_urlsafe(24)}")

    async def revoke_api_key(self, p, key_id):
        self.stored_keys[key_id] = replace(self.stored_keys[key_id], state="revoked")
        self.did.append(("revoke_api_key", key_id))


async def fill_access(workbench, admin):
    """Add people in every state, two groups, open sessions and keys."""
    invited = (await workbench.invite_user(admin, "ben.ode", Role.ANALYST)).user.id
    for name in ("carla", "dmitri", NASTY):
        workbench.person(name, Role.ANALYST)
    workbench._change("u-carla", second_factor=True, locked_until=datetime.now(UTC) + timedelta(minutes=15), last_seen_at=SINCE)
    workbench._change("u-dmitri", disabled=True)
    for name, members in (
        ("Research", ["u-analyst", "u-carla", invited]),
        ("[Legal](https://evil.example) *team*", [f"u-{NASTY}"]),
    ):
        group = await workbench.create_group(admin, name)
        await workbench.set_members(admin, group.id, members)
    first = next(iter(workbench.stored_groups.values()))
    workbench.stored_groups[first.id] = replace(first, collections=(("Filings", Right.READ),))
    workbench.session("carla")
    workbench.session(NASTY)
    workbench.agents[workbench.tokens[list(workbench.tokens)[-1]][1]] = NASTY_BROWSER
    await workbench.create_api_key(admin, "Nightly upload", [Scope.READ, Scope.WRITE])
    analyst = Principal(user_id="u-analyst", name="analyst", role=Role.ANALYST)
    await workbench.create_api_key(analyst, "Notebook", [Scope.ASK], days=None)
    await workbench.create_api_key(Principal(user_id=f"u-{NASTY}", name=NASTY, role=Role.ANALYST), NASTY, [Scope.READ])
    workbench.did.clear()
