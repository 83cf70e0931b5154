"""`ask` and `search`."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from engine.commands.console import LOCAL, Mode, out, print_json, run
from engine.commands.library import AsJson, CollectionName
from engine.types import Answer, Hit
from engine.workbench import Workbench


def ask(
    question: Annotated[str, typer.Argument(help="A question, in your own words.")],
    collection: CollectionName = "default",
    fresh: Annotated[bool, typer.Option("--fresh", help="Answer anew, although a kept answer still holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Answer a question from a collection, with a citation for every sentence."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        answer = await workbench.ask(LOCAL, question, collections=[collection_id], fresh=fresh)
        if as_json:
            print_json(answer_json(answer))
        else:
            _show(answer, question)

    run(work)


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: CollectionName = "default",
    k: Annotated[int, typer.Option("-k", min=1, max=1000, help="How many passages.")] = 10,
    mode: Annotated[Mode | None, typer.Option(help="Which half; the setting when not given.")] = None,
    as_json: AsJson = False,
) -> None:
    """Find passages, best first, with the parts of their scores."""

    async def work(workbench: Workbench) -> None:
        collection_id = await workbench.collection_id(LOCAL, collection)
        hits = await workbench.search(LOCAL, query, collections=[collection_id], k=k, mode=mode or "")
        if as_json:
            print_json([hit_json(hit) for hit in hits])
            return
        for hit in hits:
            parts = ", ".join(f"{name} {value:.3f}" for name, value in hit.scores.items())
            out.print(f"{hit.score:.3f}  {hit.chunk.document_name}, page {hit.chunk.page}  ({parts})", markup=False)
            out.print(f"       {' '.join(hit.chunk.text.split())[:300]}", markup=False)
        if not hits:
            out.print("Nothing found.")

    run(work)


def answer_json(answer: Answer) -> dict[str, Any]:
    """Return the documented JSON form of an answer; `start`/`end` are offsets into the text of `page`."""
    names = ("n", "document", "version", "page", "start", "end", "text", "score")
    nearest = [hit_json(hit) for hit in answer.nearest]
    return {
        "answer": answer.text,
        "refused": answer.refused,
        "sentences": [
            {"text": one.text, "support": one.support.value, "citations": list(one.citations)} for one in answer.sentences
        ],
        "citations": [{name: getattr(one, name) for name in names} for one in answer.citations],
        "provider": answer.provider,
        "model": answer.model,
        "trace": {
            **answer.trace,
            "serving": asdict(answer.serving),
            "usage": asdict(answer.usage),
            **({"nearest": nearest} if nearest else {}),
        },
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    """Return the documented JSON form of a hit; a half that did not find it has the score null."""
    return {
        "document": hit.chunk.document_name,
        "page": hit.chunk.page,
        "start": hit.chunk.start,
        "end": hit.chunk.end,
        "text": hit.chunk.text,
        "score": hit.score,
        "scores": {name: hit.scores.get(name) for name in ("dense", "lexical", "fused")},
    }


def _show(answer: Answer, question: str) -> None:
    for outage in answer.serving.outages:
        out.print(f"({outage.provider} could not answer: {outage.reason})", style="dim", markup=False)
    for note in answer.serving.notes:
        out.print(f"({note})", style="dim", markup=False)
    if answer.serving.cached_at:
        out.print(
            f"(kept from {answer.serving.cached_at[:16]} UTC; nothing it rests on has changed since)", style="dim", markup=False
        )
    if answer.query and answer.query != question:
        out.print(f"(searched for: {answer.query})", style="dim", markup=False)
    out.print(answer.text, markup=False)
    out.print()
    for citation in answer.citations:
        where = f"[{citation.n}] {citation.document}, page {citation.page}"
        out.print(f"{where}: {' '.join(citation.text.split())[:200]}", markup=False)
    if answer.refused and answer.nearest:
        out.print("The nearest passages:")
        for hit in answer.nearest:
            out.print(
                f"- {hit.chunk.document_name}, page {hit.chunk.page}: {' '.join(hit.chunk.text.split())[:200]}", markup=False
            )
