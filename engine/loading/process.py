"""Start a limited child process, hand it a job, read its records; survive whatever it does.

POSIX only: the limits are rlimits, and the kill takes the whole process group.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine import errors

if TYPE_CHECKING:
    from engine.sections import Limits

logger = logging.getLogger(__name__)

MAX_RECORD_BYTES = 32 << 20
_READ_BYTES = 1 << 16
_LOOK_UP_SECONDS = 0.2  # how soon a stop is noticed
_STDERR_BYTES = 4096
_ROOT = str(Path(__file__).resolve().parents[2])
# -I keeps the environment and the working folder out of the import path, so the path of the engine is given.
_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from engine.loading.child import main; main()"
# Signals that a limit of ours, or the kernel short of memory, sends; others are crashes of the parser.
_LIMIT_SIGNALS = {
    signal.SIGXCPU: "reading the file takes more than {limits.parse_seconds:g} seconds of processor time (limit parse_seconds)",
    signal.SIGKILL: "reading the file takes more resources than the system has",
}


def run(
    task: str,
    arguments: dict[str, Any],
    *,
    limits: Limits,
    stop: threading.Event | None = None,
    records: int = 1,
) -> Iterator[dict[str, Any]]:
    """Yield the records of the child that does `task`; closing the iterator early, or setting `stop`, kills it.

    With `records` > 1 the time in `limits` is for each of so many records, else for all.
    Raises FileTooLarge, BrokenFile and whatever error of our tree the child reports. Thread-safe.
    """
    child = subprocess.Popen(
        [sys.executable, "-I", "-B", "-c", _BOOT, _ROOT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={"LANG": "C.UTF-8"},
        cwd="/",
        start_new_session=True,
    )
    deadline = _Deadline(limits.parse_seconds)
    stderr = bytearray()
    try:
        _send(child, task, arguments, limits, cpu_seconds=limits.parse_seconds * records)
        for line in _lines(child, deadline, limits, stderr, stop or threading.Event()):
            record = _decode(line)
            if "error" in record:
                _raise(record["error"])
            yield record
            if records > 1:
                deadline.renew()
        code = child.wait(timeout=max(0.1, deadline.left))
        if code:
            _explain(code, stderr, limits)
    except subprocess.TimeoutExpired:
        raise _too_slow(limits) from None
    finally:
        _kill(child)


class _Deadline:
    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        self._end = time.monotonic() + self._seconds

    @property
    def left(self) -> float:
        return self._end - time.monotonic()


def _send(child: subprocess.Popen[bytes], task: str, arguments: dict[str, Any], limits: Limits, *, cpu_seconds: float) -> None:
    budget = {name: getattr(limits, name) for name in ("max_pages", "max_text_chars", "max_unpacked_mb")}
    job = {
        "task": task,
        "arguments": arguments,
        "budget": budget,
        "memory_mb": limits.parse_memory_mb,
        "cpu_seconds": max(1, round(cpu_seconds + 1)),
    }
    assert child.stdin is not None
    try:
        child.stdin.write(json.dumps(job).encode())
        child.stdin.close()
    except BrokenPipeError:
        logger.warning("the parser process ended before it got its job")  # its exit code tells the rest


def _lines(
    child: subprocess.Popen[bytes], deadline: _Deadline, limits: Limits, stderr: bytearray, stop: threading.Event
) -> Iterator[bytes]:
    """Yield complete lines of stdout until it ends; keep the last bytes of stderr in `stderr`."""
    assert child.stdout is not None
    assert child.stderr is not None
    buffer = bytearray()
    searched = 0
    with selectors.DefaultSelector() as selector:
        selector.register(child.stdout, selectors.EVENT_READ, "out")
        selector.register(child.stderr, selectors.EVENT_READ, "err")
        while selector.get_map():
            ready = selector.select(min(_LOOK_UP_SECONDS, max(0.0, deadline.left)))
            if stop.is_set():
                raise errors.BrokenFile("reading the file was interrupted")
            if deadline.left < 0:
                raise _too_slow(limits)
            for key, _ in ready:
                data = os.read(key.fd, _READ_BYTES)
                if not data:
                    selector.unregister(key.fileobj)
                elif key.data == "err":
                    stderr[:] = (stderr + data)[-_STDERR_BYTES:]
                else:
                    buffer += data
            while (end := buffer.find(b"\n", searched)) >= 0:
                yield bytes(buffer[:end])
                del buffer[: end + 1]
                searched = 0
            searched = len(buffer)
            if len(buffer) > MAX_RECORD_BYTES:
                raise errors.FileTooLarge("one page of the file is too large to be handed over")


def _decode(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line)
    except ValueError:
        record = None
    if not isinstance(record, dict):
        raise errors.BrokenFile("the file made its reader write nonsense")
    return record


def _raise(error: dict[str, str]) -> None:
    kind = getattr(errors, error.get("kind", ""), errors.BrokenFile)
    raise kind(error.get("message", ""), hint=error.get("hint", ""))


def _explain(code: int, stderr: bytearray, limits: Limits) -> None:
    lines = stderr.decode("utf-8", "replace").strip().splitlines()
    where = next((line.strip() for line in reversed(lines) if line.lstrip().startswith("File ")), "")
    kind = lines[-1].split(":")[0] if lines else ""
    # The message of the exception may quote the document, so only its type and place are logged.
    logger.warning("parser process ended with code %s: %s %s", code, kind, where)
    if -code in _LIMIT_SIGNALS:
        raise errors.FileTooLarge(_LIMIT_SIGNALS[signal.Signals(-code)].format(limits=limits))
    if kind == "MemoryError":
        raise errors.FileTooLarge(f"reading the file needs more than {limits.parse_memory_mb} MB (limit parse_memory_mb)")
    reason = f"signal {signal.Signals(-code).name}" if code < 0 else kind or f"exit code {code}"
    raise errors.BrokenFile(f"the file made its reader fail ({reason})")


def _too_slow(limits: Limits) -> errors.FileTooLarge:
    return errors.FileTooLarge(f"reading the file takes longer than {limits.parse_seconds:g} seconds (limit parse_seconds)")


def _kill(child: subprocess.Popen[bytes]) -> None:
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        logger.debug("the parser process had ended")
    child.wait()
    for pipe in (child.stdin, child.stdout, child.stderr):
        if pipe is not None and not pipe.closed:
            pipe.close()
