"""Query times and recall of the local indexes: exact against graph, and word search.

python -m benchmarks.search --sizes 5000 50000
python -m benchmarks.search --corpus DATA/beir/scifact
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path

import numpy as np

from engine.evaluation.beir import BeirCollection
from engine.evaluation.metrics import percentile
from engine.retrieval.lexical import TantivyIndex
from engine.stores.faiss import FaissStore
from engine.stores.memory import MemoryStore
from engine.types import Condition, Entry

DIMENSION = 384
QUERIES = 200


def unit(matrix: np.ndarray) -> np.ndarray:
    return (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)


def vectors(rows: int, *, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return rows and queries (cosine about 0.6 to some row); `clusters` 0 = without any structure."""
    random = np.random.default_rng(1)
    noise = random.standard_normal((rows, DIMENSION)).astype(np.float32)
    if clusters:
        centres = random.standard_normal((clusters, DIMENSION)).astype(np.float32)
        noise += centres[random.integers(0, clusters, rows)]
    found = unit(noise)
    queries = 0.6 * found[random.integers(0, rows, QUERIES)] + 0.8 * unit(random.standard_normal((QUERIES, DIMENSION)))
    return found, unit(queries)


def timed(search, queries) -> tuple[list, str]:
    seconds, found = [], []
    for query in queries:
        began = time.perf_counter()
        found.append({match.id for match in search(query)})
        seconds.append(time.perf_counter() - began)
    return found, f"p50 {1000 * percentile(seconds, 50):6.2f} ms  p95 {1000 * percentile(seconds, 95):6.2f} ms"


def dense(size: int, clusters: int) -> None:
    matrix, queries = vectors(size, clusters=clusters)
    entries = [Entry(id=f"{i:07d}", metadata={"tenth": i % 10}) for i in range(size)]
    print(f"{size} vectors, {'clustered' if clusters else 'random'}")
    where = (Condition(field="tenth", op="lte", value=2),)
    exact: dict[tuple, list] = {}
    for label, store in (
        ("memory", MemoryStore(dimension=DIMENSION)),
        ("flat", FaissStore(dimension=DIMENSION, graph_from=size + 1)),
        ("graph", FaissStore(dimension=DIMENSION, graph_from=size)),
    ):
        began = time.perf_counter()
        store.upsert(entries, matrix)
        if building := getattr(store, "_building", None):
            building.join()
        built = time.perf_counter() - began
        for name, condition in (("all", ()), ("30 %", where)):
            if label == "memory" and condition:
                continue
            found, times = timed(lambda query, s=store, c=condition: s.search(query, k=10, where=c), queries)
            expected = exact.setdefault(condition, found)
            recall = statistics.fmean(len(a & b) / 10 for a, b in zip(expected, found, strict=True))
            width = getattr(store, "_width", 0)
            print(f"  {label:7}{name:5} {times}  recall@10 {recall:.3f}  build {built:5.1f} s  width {width}", flush=True)


def lexical(folder: Path) -> None:
    collection = BeirCollection(path=folder)
    passages = list(collection.corpus())
    index = TantivyIndex(path=None)
    began = time.perf_counter()
    index.upsert([Entry(id=one.id) for one in passages], [f"{one.title}\n{one.text}" for one in passages])
    print(f"words of {len(passages)} documents of {collection.name}: built in {time.perf_counter() - began:.1f} s")
    for k in (10, 100, 200):
        _, times = timed(lambda query, k=k: index.search(query, k=k), list(collection.queries().values())[:300])
        print(f"  k={k:<4} {times}")
    index.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="*", default=[])
    parser.add_argument("--clusters", type=int, nargs="*", default=[500, 0])
    parser.add_argument("--corpus", type=Path, help="a BEIR folder, for word search")
    options = parser.parse_args()
    for size in options.sizes:
        for clusters in options.clusters:
            dense(size, clusters)
    if options.corpus:
        lexical(options.corpus)


if __name__ == "__main__":
    main()
