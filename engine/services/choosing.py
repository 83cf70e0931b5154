"""Choosing which part does which job while people work: checked, told whom it touches, audited, in force at once."""

from __future__ import annotations

from collections.abc import Collection as Set
from dataclasses import asdict, replace
from typing import TypeAlias

from sqlalchemy import func, select

from engine import registry
from engine.database.audit import record
from engine.database.database import Database
from engine.database.models import Collection, User
from engine.errors import InputError
from engine.provider_views import KEEP, Choice, Choices, Keep, Simulated
from engine.services.accounts import require_role
from engine.services.configuration import Configured, Live, kind_of
from engine.types import Principal, Role

MAX_LINKS = 8
MODEL_CHARS = 120
ROLE_OF = {"chat": "chat", "rewrite": "chat", "embedding": "embedding", "rerank": "rerank", "store": "store"}
Value: TypeAlias = Choice | tuple[Choice, ...] | None


class Choosing:
    """The choices of this installation. Every call needs an admin."""

    def __init__(self, *, database: Database, configured: Configured) -> None:
        self._database = database
        self._configured = configured

    async def choices(self, principal: Principal) -> Choices:
        """Return what is in force now."""
        require_role(principal, Role.ADMIN)
        return (await self._configured.current(fresh=True)).choices

    async def choose(
        self,
        principal: Principal,
        *,
        expected_version: int,
        chain: tuple[Choice, ...] | None = None,
        embedding: Choice | None = None,
        store: str | None = None,
        rewrite: Choice | Keep | None = KEEP,
        rerank: Choice | Keep | None = KEEP,
    ) -> Choices:
        """Change what is given; the next question of everybody follows. Return what is in force then.

        Raises InputError: for a provider that cannot do the job, and when somebody else changed the choices since
        `expected_version`.
        """
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        before = live.choices
        if before.version != expected_version:
            raise InputError(
                "somebody else changed the providers meanwhile", hint="Look at what they are now, then change them again."
            )
        after = before
        if chain is not None:
            after = replace(after, chain=checked_chain(live, chain))
        if embedding is not None:
            after = replace(after, embedding=checked(live, "embedding", embedding))
        if store is not None:
            after = replace(after, store=checked(live, "store", Choice(provider=store)).provider)
        if not isinstance(rewrite, Keep):
            after = replace(after, rewrite=checked(live, "rewrite", rewrite) if rewrite else None)
        if not isinstance(rerank, Keep):
            after = replace(after, rerank=checked(live, "rerank", rerank) if rerank else None)
        changed = [
            name
            for name in ("chain", "embedding", "store", "rewrite", "rerank")
            if getattr(before, name) != getattr(after, name)
        ]
        if not changed:
            return before
        async with self._database.write() as session:
            await self._configured.bump(session, before, by=principal.name, value=after)
            await record(
                session,
                principal,
                "providers.choose",
                ", ".join(changed),
                before={name: asdict(before)[name] for name in changed},
                after={name: asdict(after)[name] for name in changed},
            )
        return (await self._configured.current(fresh=True)).choices

    async def impact(self, principal: Principal, job: str, value: Value) -> tuple[str, ...]:
        """Return sentences about whom a change touches, before it is made. `job` as in ROLE_OF. Raises InputError."""
        require_role(principal, Role.ADMIN)
        if job not in ROLE_OF:
            raise InputError(f"unknown job {job!r}", hint=f"known: {', '.join(ROLE_OF)}")
        live = await self._configured.current(fresh=True)
        async with self._database.read() as session:
            users = await session.scalar(select(func.count()).select_from(User).where(User.disabled_at.is_(None))) or 0
            known = await session.scalar(select(func.count()).select_from(Collection)) or 0
        everybody = f"the next question of all {users} users" if users != 1 else "the next question of the one user"
        if isinstance(value, tuple):
            return _chain_impact(live, checked_chain(live, value), everybody)
        if value is None:
            return (f"From {everybody} on, no model is used for this.",)
        choice = checked(live, job, value)
        if job == "embedding":
            return _embedding_impact(live, choice, known)
        if job == "store":
            stay = f"The {known} existing ones stay where they are" if known != 1 else "The existing one stays where it is"
            return (
                f"New collections keep their vectors in {choice.provider}.",
                *([f"{stay}; `python -m engine migrate-store` moves a collection."] if known else []),
            )
        return (f"From {everybody} on, {choice} is used.", *_leaves(live, [choice], "Questions and passages"))

    async def simulate(self, principal: Principal, chain: tuple[Choice, ...], out: Set[str]) -> list[Simulated]:
        """Return what each link of a chain would do if the providers `out` were down."""
        require_role(principal, Role.ADMIN)
        live = await self._configured.current(fresh=True)
        answered = False
        steps: list[Simulated] = []
        for link in checked_chain(live, chain):
            state = "not reached" if answered else "out" if link.provider in out else "answers"
            answered = answered or state == "answers"
            steps.append(Simulated(choice=link, state=state))
        return steps


def checked_chain(live: Live, chain: tuple[Choice, ...]) -> tuple[Choice, ...]:
    """Return a chain whose links exist, once each. Raises InputError."""
    links = tuple(checked(live, "chat", link) for link in chain)
    if not 1 <= len(links) <= MAX_LINKS:
        raise InputError(f"a chain has 1 to {MAX_LINKS} links", hint="Add a provider that answers, such as extractive.")
    if len(set(links)) < len(links):
        raise InputError("the chain names the same model twice", hint="Remove one of them: it would fail the same way.")
    return links


def checked(live: Live, job: str, choice: Choice) -> Choice:
    """Return a choice whose provider exists and can do the job, with a model where it needs one. Raises InputError."""
    if not isinstance(choice, Choice) or not isinstance(choice.provider, str) or not isinstance(choice.model, str):
        raise InputError("a choice names a provider and a model", hint="Choose from the list.")
    table = registry.ROLES[ROLE_OF[job]]
    spec = table.get(kind_of(live, choice.provider))
    if spec is None or (choice.provider not in live.providers and not spec.built_in):
        raise InputError(
            f"there is no provider {choice.provider!r} for this", hint="Add it first, under Providers, or choose another one."
        )
    model = " ".join(choice.model.split())
    if len(model) > MODEL_CHARS or not model.isprintable():
        raise InputError("this is no name of a model", hint="Choose one from the list, or copy its name again.")
    if not spec.model:
        model = ""
    return Choice(provider=choice.provider, model=model or spec.model)


def _chain_impact(live: Live, chain: tuple[Choice, ...], everybody: str) -> tuple[str, ...]:
    rest = ", then ".join(str(link) for link in chain[1:])
    told = f"From {everybody} on, {chain[0]} answers{f'; if it fails, {rest}' if rest else ''}."
    offline = any(not _remote(live, link) for link in chain)
    alone = () if offline else ("No link works without a network: if all of them are down, nobody gets an answer.",)
    return told, *_leaves(live, chain, "Questions and the passages found for them"), *alone


def _embedding_impact(live: Live, choice: Choice, known: int) -> tuple[str, ...]:
    keep = f"The {known} existing ones keep the model they were made with" if known != 1 else "The existing one keeps its model"
    return (
        f"New collections are embedded by {choice}.",
        *([f"{keep}: nothing of the live indexes is touched, and no document is embedded again."] if known else []),
        *_leaves(live, [choice], "The text of documents put into new collections, and questions asked of them"),
    )


def _leaves(live: Live, choices: Set[Choice], what: str) -> tuple[str, ...]:
    names = [
        f"{one.provider} ({live.providers[one.provider].base_url or 'the vendor’s own address'})"
        for one in choices
        if _remote(live, one)
    ]
    return (f"{what} are sent to {', '.join(dict.fromkeys(names))}.",) if names else ()


def _remote(live: Live, choice: Choice) -> bool:
    return choice.provider in live.providers
