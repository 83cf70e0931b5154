"""`reembed`, `generations`, `revert-generation`: change how a collection is cut, embedded and stored, from the terminal."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engine.commands.console import LOCAL, errors, out, print_json, run
from engine.commands.library import AsJson
from engine.keeping_views import GenerationChange, GenerationInfo, GenerationPlan, GenerationState
from engine.workbench import Workbench

_Collection = Annotated[str, typer.Argument(help="Name of the collection.")]


def reembed(
    collection: _Collection,
    embedder: Annotated[str, typer.Option(help="PROVIDER or PROVIDER:MODEL.")] = "",
    chunker: Annotated[str, typer.Option(help="How documents are cut.")] = "",
    chunk_tokens: Annotated[int, typer.Option(help="Tokens of a passage; 0 = as it is.")] = 0,
    overlap_tokens: Annotated[int, typer.Option(help="Tokens that passages share; -1 = as it is.")] = -1,
    store: Annotated[str, typer.Option(help="Where its vectors are kept.")] = "",
    plan: Annotated[bool, typer.Option("--plan", help="Only tell what it would take.")] = False,
    no_switch: Annotated[bool, typer.Option("--no-switch", help="Build and measure it, but answer as before.")] = False,
    as_json: AsJson = False,
) -> None:
    """Change embedder, chunker or store of a collection: built beside the present one, measured, then switched.

    Run it again with the same words after an interruption: what was done is kept.
    """
    provider, _, model = embedder.partition(":")
    change = GenerationChange(
        embedder=provider,
        embedding_model=model,
        chunker=chunker,
        chunk_tokens=chunk_tokens,
        overlap_tokens=None if overlap_tokens < 0 else overlap_tokens,
        store=store,
    )

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        begun = [one for one in await workbench.generations(LOCAL, collection_id) if one.state is GenerationState.BUILDING]
        if plan or not begun:
            told = await workbench.plan_generation(LOCAL, collection_id, change)
            if plan and as_json:
                print_json(asdict(told))
                return
            if not as_json:
                _show_plan(told)
            if plan:
                return
            begun = [await workbench.start_generation(LOCAL, collection_id, change, switch=not no_switch)]
        columns = (TextColumn("building"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        with Progress(*columns, console=errors, transient=True) as progress:
            bar = progress.add_task("building", total=begun[0].documents_total)

            def note(info: GenerationInfo) -> None:
                progress.update(bar, completed=info.documents_done, total=info.documents_total)

            done = await workbench.build_generation(LOCAL, begun[0].id, note=note)
        _show([done], as_json)
        if done.state in (GenerationState.FAILED, GenerationState.CANCELLED):
            raise typer.Exit(1)

    run(work)


def generations(collection: _Collection, as_json: AsJson = False) -> None:
    """Show how a collection was cut and embedded before, is now, and will be."""

    async def work(workbench: Workbench) -> None:
        _show(await workbench.generations(LOCAL, await workbench.collection_id(LOCAL, collection)), as_json)

    run(work)


def revert_generation(collection: _Collection, as_json: AsJson = False) -> None:
    """Go back to the former embedder, chunker and store of a collection, within seven days."""

    async def work(workbench: Workbench) -> None:
        info = await workbench.revert_generation(LOCAL, await workbench.collection_id(LOCAL, collection))
        _show([await workbench.build_generation(LOCAL, info.id)], as_json)

    run(work)


def _show_plan(plan: GenerationPlan) -> None:
    cost = "unknown" if plan.cost_usd is None else f"{plan.cost_usd:.4f} USD"
    seconds = "unknown" if plan.seconds is None else f"about {plan.seconds:.0f} s"
    out.print(f"{plan.documents} documents, {plan.pages} pages, {plan.chunks_before} passages now", markup=False)
    out.print(f"  passages  about {plan.chunks_after}", markup=False)
    out.print(f"  to embed  about {plan.tokens} tokens; cost {cost}; time {seconds}", markup=False)
    for warning in plan.warnings:
        out.print(f"  note      {warning}", markup=False)


def _show(infos: list[GenerationInfo], as_json: bool) -> None:
    if as_json:
        print_json([asdict(info) for info in infos])
        return
    for info in infos:
        recall = "" if info.recall is None else f", finds {info.recall:.0%} over {info.questions} questions"
        model = f"{info.embedder}:{info.embedding_model}" if info.embedding_model else info.embedder
        what = f"{model}, {info.chunker} {info.chunk_tokens}/{info.overlap_tokens}, {info.store}"
        out.print(f"{info.number:3} {info.state.value:9} {what}; {info.chunks} passages{recall}", markup=False)
        if info.reason:
            out.print(f"{'':13} {info.reason}. {info.hint}", markup=False)
        if info.revertible_until:
            out.print(f"{'':13} can be gone back to until {info.revertible_until:%Y-%m-%d %H:%M} UTC", markup=False)
