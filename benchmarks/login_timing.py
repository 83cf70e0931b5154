"""Does the time of a refused sign-in tell whether a user exists? Medians through the facade, one address a try.

python -m benchmarks.login_timing [--tries 50]
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from sqlalchemy import update

from engine.database.models import User
from engine.errors import AccessDenied
from engine.testing import ADMIN, offline_workbench
from engine.types import Role

PASSWORD = "a long enough password"  # noqa: S105
DJANGO = "pbkdf2_sha256$600000$saltsalt$" + "A" * 43 + "="


async def seconds(workbench, name: str, place: str) -> float:
    began = time.perf_counter()
    try:
        await workbench.sign_in(name, "not the password", ip=place, user_agent="benchmark")
    except AccessDenied as error:
        if "too many" not in str(error):
            return time.perf_counter() - began
    raise AssertionError("a wrong password was taken, or the account is locked")


async def compare(workbench, label: str, known: str, tries: int) -> None:
    times: dict[str, list[float]] = {known: [], "nobody": []}
    for n in range(tries):  # in turns, and each first every other time: what else the machine does hits both
        for name in sorted(times, reverse=bool(n % 2)):
            times[name].append(await seconds(workbench, name, f"10.0.{n}.{len(name)}"))
    medians = {name: statistics.median(found) for name, found in times.items()}
    print(
        f"{label:34} {1000 * medians[known]:7.1f} ms   unknown user {1000 * medians['nobody']:7.1f} ms   "
        f"ratio {medians[known] / medians['nobody']:.3f}"
    )


async def main(tries: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with offline_workbench(Path(folder), accounts={"lock_after": 10 * tries + 10}) as workbench:
            await workbench.create_user(ADMIN, "known", PASSWORD, Role.ANALYST)
            off = await workbench.create_user(ADMIN, "disabled", PASSWORD, Role.ANALYST)
            await workbench.disable_user(ADMIN, off.id)
            await workbench.invite_user(ADMIN, "invited", Role.ANALYST)
            for name in ("known", "disabled", "invited"):
                await compare(workbench, f"{name} user", name, tries)
            old = await workbench.create_user(ADMIN, "old", PASSWORD, Role.ANALYST)
            async with workbench.database.write() as session:
                await session.execute(update(User).where(User.id == old.id).values(password_hash=DJANGO))
            await compare(workbench, "user with PBKDF2, 600,000 times", "old", tries)
            await compare(workbench, "user with bcrypt beside that one", "known", tries)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tries", type=int, default=50)
    asyncio.run(main(parser.parse_args().tries))
