"""A second process of the same installation, driven by a test: `await other("search", ADMIN, ...)` calls its facade."""

from __future__ import annotations

import asyncio
import multiprocessing
import sys
import types
from multiprocessing.connection import Connection
from typing import Any

from engine import errors

_CONTEXT = multiprocessing.get_context("spawn")


def _serve(pipe: Connection, settings: dict[str, Any]) -> None:
    from engine.assembly import Assembly  # noqa: PLC0415 - in the child
    from engine.testing import HashedWords, offline_settings

    async def whole() -> None:
        assembly = Assembly(offline_settings(settings.pop("folder"), **settings))
        assembly.use_embedder("local", HashedWords())
        async with assembly.opened(serve=False) as workbench:
            pipe.send((True, None))
            while call := await asyncio.to_thread(pipe.recv):
                method, arguments, named = call
                try:
                    pipe.send((True, await getattr(workbench, method)(*arguments, **named)))
                except errors.EngineError as error:
                    pipe.send((False, (type(error).__name__, str(error))))

    asyncio.run(whole())


class Replica:
    """The other process; `settings` are those of `offline_settings`, with its `folder`."""

    def __init__(self, **settings: Any) -> None:
        self._pipe, theirs = _CONTEXT.Pipe()
        self._process = _CONTEXT.Process(target=_serve, args=(theirs, settings), daemon=True)
        # The child would run the main script of its parent first, and after a test of a page that is the page.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = types.ModuleType("__main__")
        try:
            self._process.start()
        finally:
            sys.modules["__main__"] = main

    async def started(self) -> None:
        """Wait until it serves."""
        await asyncio.wait_for(asyncio.to_thread(self._pipe.recv), 120)

    async def __call__(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of its facade. Raises what that raised, by name and words."""
        self._pipe.send((method, arguments, named))
        good, value = await asyncio.wait_for(asyncio.to_thread(self._pipe.recv), 60)
        if good:
            return value
        raise getattr(errors, value[0]).__new__(getattr(errors, value[0]), value[1])

    def end(self) -> None:
        """Let it close in order."""
        self._pipe.send(None)
        self._process.join(30)
        self._process.kill()
