"""`backup`, `verify`, `restore`, `export`, `import`: everything in one file, and collections as files."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from engine.commands.console import LOCAL, complain, errors, out, run
from engine.commands.library import CollectionName
from engine.errors import ConfigError, EngineError, InputError, PasswordNeeded
from engine.keeping_views import BackupReport
from engine.services.backup_reading import check_backup
from engine.services.restore import restore as restore_from
from engine.settings import load_settings
from engine.workbench import Workbench

T = TypeVar("T")
PassphraseFile = Annotated[
    Path | None, typer.Option(help="File whose first line is the passphrase; else it is asked for.", dir_okay=False)
]
Source = Annotated[Path, typer.Argument(help="A file that `backup` made.", dir_okay=False)]


def backup(
    file: Annotated[Path, typer.Argument(help="Where to write; it must not exist yet.", dir_okay=False)],
    encrypt: Annotated[bool, typer.Option("--encrypt", help="Encrypt it with a passphrase.")] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Back up everything, also while the server works: rows, originals, the secret, checkpoints of the audit."""
    passphrase = _passphrase(passphrase_file, confirm=True) if encrypt or passphrase_file else ""
    if not passphrase:
        errors.print(
            "Warning: the file is not encrypted, and it holds the secret that opens stored passwords. Keep it like the data"
            " folder itself, or use --encrypt.",
            markup=False,
        )

    async def work(workbench: Workbench) -> None:
        report = await workbench.backup(LOCAL, file.absolute(), passphrase=passphrase)
        _show(report)
        if report.problems:
            raise typer.Exit(1)

    run(work)


def verify(file: Source, passphrase_file: PassphraseFile = None) -> None:
    """Compare every checksum and count of a backup, and verify its audit; exit code 1 when anything is wrong."""
    started = time.perf_counter()
    found = _asked(lambda passphrase: check_backup(file, Path(tempfile.gettempdir()), passphrase=passphrase), passphrase_file)
    _show(found.report(file, time.perf_counter() - started))
    if found.problems:
        raise typer.Exit(1)
    out.print("ok: every checksum and count agrees, and the audit verifies")


def restore(
    file: Source,
    force: Annotated[
        bool, typer.Option("--force", help="Replace what is there: files are moved aside, tables of a server removed.")
    ] = False,
    passphrase_file: PassphraseFile = None,
) -> None:
    """Restore a backup into an empty data folder and an empty database, those of the settings.

    After an interruption the same command begins again. Everybody signs in anew; files in work go back to the queue.
    """
    try:
        settings = load_settings()
    except EngineError as error:
        complain(error)
        raise typer.Exit(2) from None
    report = _asked(
        lambda passphrase: restore_from(settings, file, passphrase=passphrase, force=force, principal=LOCAL, reached=_told),
        passphrase_file,
    )
    _show(report)
    age = (datetime.now(UTC) - report.as_of).total_seconds()
    out.print(f"RTO {report.seconds:.1f} s (from the command to a place that can be served)", markup=False)
    out.print(f"RPO {_ago(age)} (what came after {report.as_of:%Y-%m-%d %H:%M:%S} UTC is not in it)", markup=False)


def export(
    collection: Annotated[str, typer.Argument(help="Name of the collection.")],
    file: Annotated[Path, typer.Argument(help="Where to write; it must not exist yet.", dir_okay=False)],
) -> None:
    """Write a collection to a file that another workbench imports: originals, passages, vectors. It is not encrypted."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        report = await workbench.export_collection(LOCAL, collection_id, file.absolute())
        out.print(f"{report.files} documents, {report.size_bytes / 1e6:.1f} MB in {report.seconds:.1f} s: {file}", markup=False)

    run(work)


def import_(
    file: Annotated[Path, typer.Argument(help="A file that `export` made.", dir_okay=False)],
    collection: CollectionName = "",
) -> None:
    """Make a collection of an exported file. Nothing in it is embedded again where the embedder is the same."""

    async def work(workbench: Workbench) -> None:
        made = await workbench.import_collection(LOCAL, file.absolute(), name=collection)
        await workbench.process(LOCAL, made.id)
        made = next(one for one in await workbench.collections(LOCAL) if one.id == made.id)
        out.print(f"{made.name}: {made.documents} documents, {made.chunks} chunks", markup=False)
        if made.failed:
            raise typer.Exit(1)

    run(work)


def _asked(work: Callable[[str], Awaitable[T]], passphrase_file: Path | None) -> T:
    """Do it, ask for the passphrase if it turns out that one is needed, and turn errors into one clear line."""
    passphrase = _passphrase(passphrase_file) if passphrase_file else ""
    try:
        try:
            return asyncio.run(_run(work(passphrase)))
        except PasswordNeeded:
            return asyncio.run(_run(work(_passphrase(None))))
    except EngineError as error:
        complain(error)
        raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from None
    except KeyboardInterrupt:
        errors.print("Interrupted. Run the same command again: it begins anew.")
        raise typer.Exit(1) from None


def _told(step: str) -> None:
    if not step.startswith("table "):
        errors.print(step, markup=False)


async def _run(work: Awaitable[T]) -> T:
    return await work


def _passphrase(file: Path | None, *, confirm: bool = False) -> str:
    if file is None:
        return str(typer.prompt("Passphrase", hide_input=True, confirmation_prompt=confirm, err=True))
    try:
        return file.read_text().splitlines()[0]
    except (OSError, IndexError, UnicodeDecodeError):
        complain(InputError(f"{file} holds no passphrase", hint="Its first line is the passphrase."))
        raise typer.Exit(2) from None


def _show(report: BackupReport) -> None:
    kind = "encrypted" if report.encrypted else "not encrypted"
    out.print(
        f"{report.name}: {report.rows:,} rows and {report.files:,} originals as of {report.as_of:%Y-%m-%d %H:%M:%S} UTC,"
        f" {report.size_bytes / 1e6:.1f} MB, {kind}; {report.seconds:.1f} s",
        markup=False,
    )
    for problem in report.problems:
        out.print(f"NOT OK  {problem}", markup=False)


def _ago(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 600 else f"{seconds / 3600:.1f} h"
