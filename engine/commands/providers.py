"""`provider list|add|test|remove`, `use`, `migrate-store`: providers and stores from the terminal."""

from __future__ import annotations

import getpass
import sys
from dataclasses import asdict
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from engine.commands.console import LOCAL, errors, out, print_json, run
from engine.commands.library import AsJson
from engine.errors import InputError
from engine.provider_views import Choice, TestResult
from engine.settings import secrets_in_environment
from engine.workbench import Workbench

KEY_VARIABLE = "WORKBENCH_PROVIDER_KEY"
provider = typer.Typer(help="Providers of models and stores.", no_args_is_help=True)
_Name = Annotated[str, typer.Argument(help="Name of the provider.")]


@provider.command("list")
def list_providers(as_json: AsJson = False) -> None:
    """Show what can be chosen, what it is used for, and the result of its last test."""

    async def work(workbench: Workbench) -> None:
        infos = await workbench.providers(LOCAL)
        if as_json:
            print_json([asdict(info) for info in infos])
            return
        for info in infos:
            out.print(f"{info.name:24} {info.state:9} {', '.join(info.roles):16} {info.label}", markup=False)
            for use in info.used_for:
                out.print(f"{'':24} {use}", markup=False)

    run(work)


@provider.command("add")
def add_provider(
    kind: Annotated[str, typer.Argument(help="What it is: openai, gemini, ollama, pgvector, qdrant ...")],
    name: Annotated[str, typer.Option(help="Its name here; the kind when left out.")] = "",
    url: Annotated[str, typer.Option(help="Its address, where it is not the vendor's own.")] = "",
    option: Annotated[list[str] | None, typer.Option(help="NAME=VALUE; may be given several times.")] = None,
) -> None:
    """Add a provider. Its key is asked for, or read from WORKBENCH_PROVIDER_KEY; it is never shown, and stored encrypted."""
    key = _key()

    async def work(workbench: Workbench) -> None:
        info = await workbench.add_provider(
            LOCAL, kind, name=name or kind, base_url=url, key=key, options=dict(_pair(one) for one in option or [])
        )
        out.print(f"added {info.name} ({info.label}); `use` or the providers page chooses it", markup=False)

    run(work)


@provider.command("test")
def try_provider(
    name: _Name, role: Annotated[str, typer.Option(help="chat, embedding, rerank or store.")] = "", model: str = ""
) -> None:
    """Call a provider for real, in each of its roles or in one."""

    async def work(workbench: Workbench) -> None:
        info = next((one for one in await workbench.providers(LOCAL) if one.name == name), None)
        roles = [role] if role else list(info.roles) if info else [""]
        results = [await workbench.test_provider(LOCAL, name, one, model) for one in roles]
        for result in results:
            _show(result)
        if not all(result.ok for result in results):
            raise typer.Exit(1)

    run(work)


@provider.command("remove")
def remove_provider(name: _Name) -> None:
    """Remove a provider with its key; refused while something uses it."""

    async def work(workbench: Workbench) -> None:
        await workbench.remove_provider(LOCAL, name)
        out.print(f"removed {name}", markup=False)

    run(work)


def use(
    chat: Annotated[list[str] | None, typer.Option(help="PROVIDER or PROVIDER:MODEL; several make the fallback chain.")] = None,
    embedding: Annotated[str, typer.Option(help="For new collections.")] = "",
    store: Annotated[str, typer.Option(help="For new collections.")] = "",
) -> None:
    """Choose which provider does which job; a running server follows within two seconds."""

    async def work(workbench: Workbench) -> None:
        now = await workbench.choices(LOCAL)
        after = await workbench.choose(
            LOCAL,
            expected_version=now.version,
            chain=tuple(_choice(one) for one in chat) if chat else None,
            embedding=_choice(embedding) if embedding else None,
            store=store or None,
        )
        out.print(f"answers: {', then '.join(str(link) for link in after.chain)}", markup=False)
        out.print(f"new collections: embedded by {after.embedding}, kept in {after.store}", markup=False)

    run(work)


def migrate_store(
    collection: Annotated[str, typer.Option("--collection", "-c", help="Name of the collection.")],
    to: Annotated[str, typer.Option(help="Name of the store to move to.")] = "",
    revert: Annotated[bool, typer.Option("--revert", help="Go back to the former store instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Move the vectors of a collection to another store: copied, compared, then switched. Nothing is embedded again."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        if revert:
            out.print(f"{collection} is in {await workbench.revert_store(LOCAL, collection_id)} again", markup=False)
            return
        if not to:
            raise InputError("say where to move the collection", hint="--to NAME, or --revert.")
        columns = (TextColumn("copying"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        total = next(one.chunks for one in await workbench.collections(LOCAL) if one.id == collection_id)
        with Progress(*columns, console=errors, transient=True) as progress:
            bar = progress.add_task("copying", total=total)
            report = await workbench.move_store(LOCAL, collection_id, to, note=lambda n: progress.advance(bar, n))
        if as_json:
            print_json(asdict(report))
            return
        same = "equal" if report.checksum == report.checksum_there else f"differs by at most {report.largest_difference:.1e}"
        out.print(f"{report.collection}: {report.before} -> {report.after} in {report.seconds:.1f} s", markup=False)
        out.print(f"  entries   {report.entries} in the database, {report.entries_there} in {report.after}", markup=False)
        out.print(f"  checksum  {same} ({report.checksum[:16]})", markup=False)
        out.print(f"  top 10    {report.overlap:.4f} of exact search, {report.queries} questions", markup=False)
        out.print("  `--revert` goes back; the former place is kept for seven days", markup=False)

    run(work)


def _key() -> str:
    # Not an option: every user of a machine sees the arguments of its processes.
    given = secrets_in_environment([KEY_VARIABLE]).get(KEY_VARIABLE, "")
    return given or (getpass.getpass("Key (Enter for none): ") if sys.stdin.isatty() else "")


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise InputError(f"{text!r} is no NAME=VALUE", hint="For example --option half=true")
    return name.strip(), value


def _choice(text: str) -> Choice:
    name, _, model = text.partition(":")
    return Choice(provider=name, model=model)


def _show(result: TestResult) -> None:
    state = "ok    " if result.ok else "FAILED"
    out.print(f"{state} {result.role} {result.model}: {result.detail} ({result.elapsed_ms:.0f} ms)", markup=False)
    if result.hint:
        out.print(f"       {result.hint}", markup=False)
