"""`ingest`, `documents`, `text`, `delete`: files in, out, and looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column, Table

from engine.commands.console import LOCAL, complain, errors, out, print_json, run
from engine.errors import EngineError, InputError, NotFound
from engine.ingestion_views import FileReceipt, OnDuplicate
from engine.views import DocumentInfo, UploadVerdict
from engine.workbench import Workbench

CollectionName = Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")]
NOTES = {UploadVerdict.DUPLICATE: " (already there as {})", UploadVerdict.SKIPPED: " (left as it is)"}
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def ingest(
    paths: Annotated[
        list[Path], typer.Argument(exists=True, help="Files, or folders that are read with all their subfolders.")
    ],
    collection: CollectionName = "default",
    password: Annotated[str, typer.Option(help="For encrypted files.")] = "",
    on_duplicate: Annotated[
        OnDuplicate, typer.Option(help="About a name or bytes that are there already: see docs/versions.md.")
    ] = OnDuplicate.ASK,
    as_json: AsJson = False,
) -> None:
    """Add documents to a collection; it is made if there is none of that name. Files that are there already cost nothing.

    Every file of a zip archive becomes a document.
    """

    async def work(workbench: Workbench) -> None:
        files = named_files(paths)
        collection_id = await workbench.collection_id(LOCAL, collection, create=True)
        receipts: list[FileReceipt] = []
        for name, path in files:
            receipts += await _taken(workbench, collection_id, name, path, password=password or None, on_duplicate=on_duplicate)
        for one in receipts:
            if one.verdict is None:
                complain(InputError(f"{one.name}: {one.problem}", hint=one.hint))
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors, transient=True) as progress:
            bar = progress.add_task("processing", total=await workbench.waiting(LOCAL, collection_id))
            await workbench.process(LOCAL, collection_id, done=lambda _: progress.advance(bar))
        infos = {info.id: info for info in await workbench.documents(LOCAL, collection_id)}
        rows = [(one.name, infos[one.document_id], one.verdict) for one in receipts if one.verdict and one.document_id in infos]
        if as_json:
            print_json([{"file": name, **_row(info), "verdict": verdict.value} for name, info, verdict in rows])
        else:
            _show_ingested(rows)
        if len(rows) < len(receipts) or any(info.state != "live" for _, info, _ in rows):
            raise typer.Exit(1)

    run(work)


async def _taken(
    workbench: Workbench, collection_id: str, name: str, path: Path, *, password: str | None, on_duplicate: OnDuplicate
) -> list[FileReceipt]:
    """Hand one file over, or every file of an archive, and return what became of each."""
    try:
        if await workbench.is_archive(path):
            return await workbench.upload_archive(LOCAL, collection_id, name, path, on_duplicate=on_duplicate)
        info, verdict = await workbench.upload(LOCAL, collection_id, name, path, password=password, on_duplicate=on_duplicate)
    except EngineError as error:
        return [FileReceipt(name=name, problem=str(error), hint=error.hint)]
    except OSError as error:
        return [FileReceipt(name=name, problem=str(error))]
    return [FileReceipt(name=name, document_id=info.id, verdict=verdict)]


def fetch(
    url: Annotated[str, typer.Argument(help="Web address of a file, http:// or https://.")],
    collection: CollectionName = "default",
    as_json: AsJson = False,
) -> None:
    """Add the document at a web address to a collection; which addresses may be reached is in the setting `egress`."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection, create=True)
        info, verdict = await workbench.upload_url(LOCAL, collection_id, url)
        await workbench.process(LOCAL, collection_id)
        info = await workbench.document(LOCAL, info.id)
        if as_json:
            print_json({**_row(info), "verdict": verdict.value})
        else:
            _show_ingested([(info.name, info, verdict)])
        if info.state != "live":
            raise typer.Exit(1)

    run(work)


def named_files(paths: list[Path]) -> list[tuple[str, Path]]:
    """Return (name as stored, path) of each file, folders in order and without hidden files.

    Inside a folder the name is the path below it; where two files of one call would then share a name, the folder's own
    name goes in front, for the second must not replace the first. Raises InputError when even that is not enough.
    """
    files = [(file.relative_to(root).as_posix(), root, file) for root in paths if root.is_dir() for file in _below(root)]
    files += [(path.name, path.parent, path) for path in paths if not path.is_dir()]
    count = Counter(name for name, _, _ in files)
    named = [(name if count[name] == 1 else f"{root.resolve().name}/{name}", file) for name, root, file in files]
    twice = [name for name, times in Counter(name for name, _ in named).items() if times > 1]
    if twice:
        raise InputError(f"several files would be stored as {twice[0]!r}", hint="Ingest their folders one by one.")
    return named


def _below(folder: Path) -> Iterator[Path]:
    for file in sorted(folder.rglob("*")):
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts):
            yield file


def _show_ingested(rows: list[tuple[str, DocumentInfo, UploadVerdict]]) -> None:
    for name, info, verdict in sorted(rows, key=lambda row: row[0]):
        if info.state == "live":
            again = NOTES.get(verdict, "").format(info.name)
            out.print(f"{name}: {info.pages} pages, {info.chunks} chunks{again}", markup=False)
        else:
            out.print(f"{name}: {info.state}: {info.reason} {info.hint}", markup=False)
        for warning in info.warnings:
            out.print(f"  warning: {warning}", markup=False)
    live = sum(info.state == "live" for _, info, _ in rows)
    out.print(f"{live} of {len(rows)} files can be asked about.")


def documents(collection: CollectionName = "default", as_json: AsJson = False) -> None:
    """List the documents of a collection."""

    async def work(workbench: Workbench) -> None:
        infos = await workbench.documents(LOCAL, await workbench.collection_id(LOCAL, collection))
        if as_json:
            print_json([_row(info) for info in infos])
            return
        table = Table("document", "state", "pages", "text", "chunks", "version", Column("id", no_wrap=True, min_width=32))
        for info in infos:
            coverage = f"{info.text_coverage:.0%}"
            cells = (info.name, info.state, info.pages, coverage, info.chunks, info.version, info.id)
            table.add_row(*(str(cell) for cell in cells))
        out.print(table)

    run(work)


def text(
    document: Annotated[str, typer.Argument(help="Name or id of the document.")],
    collection: CollectionName = "default",
    page: Annotated[int, typer.Option(help="Page number, from 1.")] = 1,
) -> None:
    """Print the text of a page exactly as offsets count in it."""

    async def work(workbench: Workbench) -> None:
        info = await find_document(workbench, document, collection)
        typer.echo((await workbench.page(LOCAL, info.id, page)).text, nl=False)

    run(work)


def delete(
    document: Annotated[str, typer.Argument(help="Name or id of the document.")],
    collection: CollectionName = "default",
) -> None:
    """Take a document out of every answer at once; it is removed for good a day later."""

    async def work(workbench: Workbench) -> None:
        info = await find_document(workbench, document, collection)
        await workbench.delete_document(LOCAL, info.id)
        out.print(f"deleted {info.name}", markup=False)

    run(work)


async def find_document(workbench: Workbench, wanted: str, collection: str) -> DocumentInfo:
    """Return the document with this id, or with this name in the collection. Raises NotFound."""
    for info in await workbench.documents(LOCAL):
        if info.id == wanted or (info.name == wanted and info.collection == collection):
            return info
    raise NotFound(
        f"there is no document {wanted!r} in {collection!r}", hint="`documents` lists names and ids; -c names a collection."
    )


def _row(info: DocumentInfo) -> dict[str, object]:
    return {**asdict(info), "text_coverage": round(info.text_coverage, 4)}
