"""For tests about accounts: cheap hashes, a user who is signed in, and what the audit says."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from engine.access_views import Step, UserInfo
from engine.security.passwords import BcryptHasher
from engine.testing import ADMIN, offline_workbench
from engine.types import Principal, Role
from engine.workbench import Workbench

PASSWORD = "correct horse battery"
NEW = "another long password"
FROM = {"ip": "10.0.0.1", "user_agent": "test"}
ELSEWHERE = {"ip": "10.9.9.9", "user_agent": "test"}


def opened(folder: Path, **options: Any) -> AbstractAsyncContextManager[Workbench]:
    return offline_workbench(folder, hasher=BcryptHasher(4), **options)


async def person(workbench: Workbench, name: str, role: Role = Role.ANALYST) -> UserInfo:
    return await workbench.create_user(ADMIN, name, PASSWORD, role)


async def token_of(workbench: Workbench, name: str, password: str = PASSWORD, **origin: str) -> str:
    done = await workbench.sign_in(name, password, **{**FROM, **origin})
    assert done.step is Step.DONE
    assert done.name == name
    return done.token


async def signed_in(workbench: Workbench, name: str, password: str = PASSWORD, **origin: str) -> Principal:
    principal = await workbench.authenticate(await token_of(workbench, name, password, **origin))
    assert principal is not None
    return principal


async def user(workbench: Workbench, name: str) -> UserInfo:
    return next(one for one in await workbench.users(ADMIN) if one.name == name)


async def audited(workbench: Workbench, action: str) -> list[Any]:
    """Rows of this action, oldest first."""
    return [row for row in reversed(await workbench.audit(ADMIN, limit=1000)) if row.action == action]
