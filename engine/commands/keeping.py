"""`reconcile`: what is kept, compared with the database."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from engine.commands.console import LOCAL, out, print_json, run
from engine.commands.library import AsJson
from engine.workbench import Workbench


def reconcile(
    check: Annotated[bool, typer.Option("--check", help="Only look; exit code 1 when anything differs.")] = False,
    deep: Annotated[bool, typer.Option("--deep", help="Every original and every vector, not samples.")] = False,
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only the collection of this name.")] = "",
    as_json: AsJson = False,
) -> None:
    """Compare indexes, originals and rows with the database and mend what differs. Nothing is embedded again."""

    async def work(workbench: Workbench) -> None:
        only = await workbench.collection_id(LOCAL, collection) if collection else None
        report = await workbench.reconcile(LOCAL, check=check, collection_id=only, deep=deep)
        if as_json:
            print_json({**asdict(report), "clean": report.clean})
        else:
            for one in report.differences:
                state = "mended" if one.mended else "differs"
                where = f"{one.collection}, {one.place}" if one.collection else one.place
                out.print(f"{state:8} {where}: {one.found} of {one.expected}, {one.missing} missing, {one.orphans} too many",
                          markup=False)  # fmt: skip
                if one.detail:
                    out.print(f"         {one.detail}", markup=False)
            verdict = "everything agrees" if not report.differences else "all mended" if report.clean else "NOT all agrees"
            out.print(
                f"{verdict}: {report.collections} collections, {report.entries} entries, {report.embedded} texts embedded,"
                f" {report.seconds:.1f} s",
                markup=False,
            )
        if not report.clean:
            raise typer.Exit(1)

    run(work)
