"""The command line from a process that has imported it already: each command is a fork with arguments, environment and files of its own.

A fresh interpreter takes 2 to 3 s to import the engine, and the tests of the command line start a hundred of them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


class ForkedCommands:
    """Runs commands one after the other until it is closed."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", "tests.servers.forked"]
        env = {name: value for name, value in os.environ.items() if not name.startswith("WORKBENCH_")}
        self._process = subprocess.Popen(command, cwd=ROOT, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, arguments: list[str], *, env: dict[str, str], stdin: str = "") -> subprocess.CompletedProcess[str]:
        """Return what `python -m engine` with these arguments, this environment and this input ends with."""
        with tempfile.TemporaryDirectory() as folder:
            files = {name: f"{folder}/{name}" for name in ("stdin", "stdout", "stderr")}
            Path(files["stdin"]).write_text(stdin)
            assert self._process.stdin is not None
            assert self._process.stdout is not None
            self._process.stdin.write(json.dumps({"arguments": arguments, "env": env, "files": files}) + "\n")
            self._process.stdin.flush()
            code = int(self._process.stdout.readline())
            out, error = (Path(files[name]).read_text() for name in ("stdout", "stderr"))
        return subprocess.CompletedProcess(arguments, code, out, error)

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=30)


def _command(app: Any, order: dict[str, Any]) -> int:
    """In the fork: be the process that was ordered. Returns its exit code."""
    for number, (name, flags) in enumerate((("stdin", os.O_RDONLY), ("stdout", os.O_WRONLY), ("stderr", os.O_WRONLY))):
        os.dup2(os.open(order["files"][name], flags | os.O_CREAT, 0o600), number)
    os.environ.clear()
    os.environ.update(order["env"])
    sys.argv = ["engine", *order["arguments"]]
    try:
        app(prog_name="python -m engine")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter would: a traceback, and 1
        sys.excepthook(*sys.exc_info())
        return 1
    return 0


def main() -> None:
    """Fork for each line of standard input, and write the exit code."""
    from engine.__main__ import app  # noqa: PLC0415 - what takes so long

    while line := os.read(0, 1 << 20):  # one order at a time; no buffer that a fork would share
        if not (child := os.fork()):
            code = 1
            try:
                code = _command(app, json.loads(line))
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        os.write(1, f"{os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
