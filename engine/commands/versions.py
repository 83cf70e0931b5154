"""`versions` and `activate`: what a document was before, and going back to it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.table import Table

from engine.commands.console import LOCAL, out, print_json, run
from engine.commands.library import AsJson, CollectionName, find_document
from engine.workbench import Workbench

Document = Annotated[str, typer.Argument(help="Name or id of the document.")]


def versions(document: Document, collection: CollectionName = "default", as_json: AsJson = False) -> None:
    """List the versions of a document, newest first."""

    async def work(workbench: Workbench) -> None:
        info = await find_document(workbench, document, collection)
        found = await workbench.versions(LOCAL, info.id)
        if as_json:
            print_json([asdict(one) for one in found])
            return
        table = Table("version", "state", "answers", "can be activated", "pages", "chunks", "bytes", "uploaded", "SHA-256")
        for one in found:
            marks = ("yes" if one.active else "", "yes" if one.can_activate else "")
            uploaded = f"{one.created_at:%Y-%m-%d %H:%M}"
            cells = (one.number, one.state, *marks, one.pages, one.chunks, one.size_bytes, uploaded, one.sha256[:12])
            table.add_row(*(str(cell) for cell in cells))
        out.print(table)

    run(work)


def activate(
    document: Document,
    number: Annotated[int, typer.Argument(help="The version that is to answer questions, as `versions` lists it.")],
    collection: CollectionName = "default",
) -> None:
    """Let a former version of a document answer questions again."""

    async def work(workbench: Workbench) -> None:
        info = await find_document(workbench, document, collection)
        info = await workbench.activate_version(LOCAL, info.id, number)
        if info.state != "live":
            out.print(f"{info.name}: {info.reason} as version {info.version}", markup=False)
            await workbench.process(LOCAL, info.collection_id)
            info = await workbench.document(LOCAL, info.id)
        out.print(f"{info.name}: version {info.version} is {info.state}", markup=False)
        if info.state != "live":
            raise typer.Exit(1)

    run(work)
