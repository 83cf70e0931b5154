"""`sync`, `retention`, `hold`: keeping a collection in step with a folder, and what is kept for how long."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from engine.commands.console import LOCAL, complain, errors, out, print_json, run
from engine.commands.library import AsJson, CollectionName
from engine.errors import EngineError
from engine.ingestion_views import SyncReport
from engine.keeping_views import RetentionEffect, RetentionKind, RetentionRule
from engine.workbench import Workbench

retention = typer.Typer(help="Rules for what is removed when it is old.", no_args_is_help=True)
hold = typer.Typer(help="Legal holds: what is kept whatever happens.", no_args_is_help=True)


def sync(
    folder: Annotated[Path, typer.Argument(help="Folder; read with all its subfolders, without hidden files and links.")],
    collection: CollectionName = "default",
    delete: Annotated[bool, typer.Option("--delete", help="Also delete documents whose file is gone, without asking.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Go on looking until interrupted.")] = False,
    every: Annotated[float, typer.Option(min=1, help="Seconds between two looks of --watch.")] = 10.0,
    as_json: AsJson = False,
) -> None:
    """Take in what is new or changed in a folder. Documents whose file is gone are deleted after a yes, or with --delete."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection, create=True)
        while True:
            try:
                report = await _round(workbench, collection_id, folder, delete=delete, ask=not watch and not as_json)
            except EngineError as error:
                if not watch:
                    raise
                complain(error)  # a volume that is away for a moment comes back
            else:
                if as_json:
                    print_json(asdict(report))
                elif report.changed or not watch:
                    _show(report)
            if not watch:
                break
            await asyncio.sleep(every)
        if any(one.problem for one in report.receipts):
            raise typer.Exit(1)

    run(work)


async def _round(workbench: Workbench, collection_id: str, folder: Path, *, delete: bool, ask: bool) -> SyncReport:
    report = await workbench.sync_folder(
        LOCAL, collection_id, folder, delete=delete, note=lambda name: errors.print(name, markup=False)
    )
    await workbench.process(LOCAL, collection_id)
    if report.gone and ask and not delete:
        for one in report.gone:
            out.print(f"gone from the folder: {one.name}", markup=False)
        if typer.confirm(f"Delete these {len(report.gone)} documents from the collection? (can be undone for a day)"):
            agreed = frozenset(one.name for one in report.gone)
            again = await workbench.sync_folder(LOCAL, collection_id, folder, delete=agreed)
            return SyncReport(
                receipts=(*report.receipts, *again.receipts), unchanged=report.unchanged, gone=again.gone, deleted=True
            )
    return report


def _show(report: SyncReport) -> None:
    for one in report.receipts:
        told = f"{one.problem} {one.hint}" if one.verdict is None else one.verdict.value
        out.print(f"{one.name}: {told}", markup=False)
    for name in report.waiting:
        out.print(f"{name}: changed a moment ago, so it is looked at next time", markup=False)
    for one in report.gone:
        told = one.problem or ("deleted" if report.deleted else "gone from the folder; the document stays")
        out.print(f"{one.name}: {told}", markup=False)
    refused = sum(one.verdict is None for one in report.receipts)
    out.print(
        f"{len(report.receipts) - refused} taken in, {report.unchanged} unchanged, {refused} refused, {len(report.gone)} gone"
    )


@retention.command("list")
def list_rules(as_json: AsJson = False) -> None:
    """Show every rule and what it would remove now. Nothing is removed."""

    async def work(workbench: Workbench) -> None:
        _effects(await workbench.retention_effects(LOCAL), as_json=as_json)

    run(work)


@retention.command("add")
def add_rule(
    kind: Annotated[RetentionKind, typer.Argument(help="What is removed.")],
    days: Annotated[int, typer.Argument(min=1, help="When it is older than this.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Only in this one; for files and versions.")] = "",
    disabled: Annotated[bool, typer.Option("--disabled", help="Only for trying: it removes nothing by itself.")] = False,
) -> None:
    """Make a rule; while the server runs it is applied every hour."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection) if collection else ""
        rule = RetentionRule(id="", kind=kind, days=days, collection_id=collection_id, enabled=not disabled)
        made = await workbench.save_retention_rule(LOCAL, rule)
        _effects(await workbench.retention_effects(LOCAL, made.id), as_json=False)

    run(work)


@retention.command("remove")
def remove_rule(rule: Annotated[str, typer.Argument(help="Id of the rule.")]) -> None:
    """Remove a rule."""

    async def work(workbench: Workbench) -> None:
        await workbench.delete_retention_rule(LOCAL, rule)

    run(work)


@retention.command("apply")
def apply_rules(rule: Annotated[str, typer.Argument(help="Id of one rule.")] = "", as_json: AsJson = False) -> None:
    """Remove now what the enabled rules, or this one, name; what a legal hold keeps stays."""

    async def work(workbench: Workbench) -> None:
        _effects(await workbench.apply_retention(LOCAL, rule), as_json=as_json)

    run(work)


def _effects(effects: list[RetentionEffect], *, as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in effects])
        return
    table = Table("rule", "kind", "days", "collection", "enabled", "old", "held", "oldest")
    for one in effects:
        rule = one.rule
        oldest = f"{one.oldest:%Y-%m-%d}" if one.oldest else ""
        on = "yes" if rule.enabled else "no"
        table.add_row(
            rule.id, rule.kind.value, str(rule.days), rule.collection or "all", on, str(one.count), str(one.held), oldest
        )
    out.print(table)


@hold.command("list")
def list_holds(as_json: AsJson = False) -> None:
    """Show every hold, those in force first."""

    async def work(workbench: Workbench) -> None:
        found = await workbench.legal_holds(LOCAL)
        if as_json:
            print_json([asdict(one) for one in found])
            return
        table = Table("hold", "kind", "of", "reason", "since", "released")
        for one in found:
            ended = f"{one.released_at:%Y-%m-%d}" if one.released_at else ""
            table.add_row(one.id, one.kind, one.name, one.reason, f"{one.set_at:%Y-%m-%d}", ended)
        out.print(table)

    run(work)


@hold.command("set")
def set_hold(
    kind: Annotated[str, typer.Argument(help="collection, document or user.")],
    object_id: Annotated[str, typer.Argument(help="Its id; for a collection its name.")],
    reason: Annotated[str, typer.Option(help="Why; a case number, for instance.")],
) -> None:
    """Keep a collection, a document, or a user with their chats, whatever happens."""

    async def work(workbench: Workbench) -> None:
        which = await workbench.collection_id(LOCAL, object_id) if kind == "collection" else object_id
        out.print((await workbench.set_legal_hold(LOCAL, kind, which, reason)).id)

    run(work)


@hold.command("release")
def release_hold(hold_id: Annotated[str, typer.Argument(metavar="HOLD", help="Id of the hold.")]) -> None:
    """End a hold."""

    async def work(workbench: Workbench) -> None:
        await workbench.release_legal_hold(LOCAL, hold_id)

    run(work)
