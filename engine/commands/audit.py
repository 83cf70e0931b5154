"""`audit verify`, `audit export`, `audit retain`: the audit from the terminal."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from engine.audit_views import AuditQuery
from engine.commands.console import LOCAL, errors, out, print_json, run
from engine.commands.library import AsJson
from engine.errors import InputError
from engine.workbench import Workbench

audit = typer.Typer(help="The audit: check it, take it out, remove what is old.", no_args_is_help=True)


class Format(StrEnum):
    """How to write an export."""

    CSV = "csv"
    JSONL = "jsonl"


@audit.command("verify")
def verify_audit(as_json: AsJson = False) -> None:
    """Check every row, the head of the chain and the checkpoints; exit code 1 when anything is wrong."""

    async def work(workbench: Workbench) -> None:
        found = await workbench.audit_verify(LOCAL)
        if as_json:
            print_json(asdict(found))
        elif found.ok:
            out.print(f"ok: {found.rows} rows, the newest is {found.head}; {found.checkpoints} checkpoints agree", markup=False)
            if not found.checkpoints:
                out.print("    without a checkpoint nobody can tell whether the newest rows were cut off", markup=False)
        else:
            where = "" if found.first_bad is None else f"first bad row {found.first_bad}: "
            out.print(f"NOT OK  {where}{found.problem}", markup=False)
            out.print(f"        {found.rows} rows before that are whole; {found.checkpoints} checkpoints agree", markup=False)
        if not found.ok:
            raise typer.Exit(1)

    run(work)


@audit.command("export")
def export_audit(
    file: Annotated[Path, typer.Argument(help="Where to write; what is there is replaced.", dir_okay=False)],
    format: Annotated[Format, typer.Option(help="JSON lines can be checked again; CSV opens in a spreadsheet.")] = Format.CSV,
    since: Annotated[datetime | None, typer.Option(help="From this moment on, in UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Before this moment, in UTC.")] = None,
    actor: Annotated[str, typer.Option(help="Name or id of a user.")] = "",
    action: Annotated[str, typer.Option(help="document.delete, or a group of actions: document.")] = "",
    object_: Annotated[str, typer.Option("--object", help="An object, or a type of objects.")] = "",
    outcome: Annotated[str, typer.Option(help="success, failure or denied.")] = "",
    ip: Annotated[str, typer.Option(help="An address.")] = "",
    text: Annotated[str, typer.Option(help="Text in any column.")] = "",
) -> None:
    """Write matching rows to a file, oldest first."""
    query = AuditQuery(
        since=_utc(since), until=_utc(until), actor=actor, action=action, object=object_, outcome=outcome, ip=ip, text=text
    )

    async def work(workbench: Workbench) -> None:
        data = await workbench.audit_export(LOCAL, query=query, format=format.value)
        try:
            file.write_bytes(data)
        except OSError as error:
            raise InputError(f"{file} cannot be written: {error.strerror}", hint="Name another file.") from error
        errors.print(f"{len(data)} bytes written to {file}", markup=False)

    run(work)


@audit.command("retain")
def retain_audit(
    older_than: Annotated[int, typer.Option(min=0, help="Age in days; not less than audit.retention_days.")],
    apply: Annotated[bool, typer.Option("--apply", help="Really remove; else only say what would go.")] = False,
    as_json: AsJson = False,
) -> None:
    """Remove old rows in whole segments between checkpoints. Export them first: they are gone afterwards."""

    async def work(workbench: Workbench) -> None:
        done = await workbench.audit_retain(LOCAL, older_than_days=older_than, apply=apply)
        if as_json:
            print_json(asdict(done))
        elif not done.rows:
            out.print(f"nothing is older than {older_than} days up to a checkpoint", markup=False)
        else:
            verb = "removed" if done.applied else "would remove"
            out.print(
                f"{verb} rows {done.first_seq} to {done.last_seq}: {done.rows} rows in {done.segments} segments", markup=False
            )
            if not done.applied:
                out.print("`--apply` removes them; `audit export` keeps a copy", markup=False)

    run(work)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None
