"""Throughput of `LocalEmbedder.embed_documents` against the bare encoder, and the latency of one query.

    python benchmarks/embedding.py --texts 128 --repeats 5 --threads 1

Bare encoder: the transformers model itself, mean pooling and normalisation, on batches that were tokenised and sorted
beforehand. Ours starts from strings in their own order; only texts that the model reads whole are taken. The two, and
sentence-transformers' `encode`, take turns, so that other load on the machine meets all of them alike.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import numpy as np
import torch

from engine.embedding.local import CLS, SEP, LocalEmbedder, batches


def passages(count: int) -> list[str]:
    """Return texts of up to 1,000 characters from scifact."""
    root = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
    with (root / "beir" / "scifact" / "corpus.jsonl").open(encoding="utf-8") as lines:
        return [json.loads(line)["text"][:1000] for line, _ in zip(lines, range(count), strict=False)]


def tensors(embedder: LocalEmbedder, texts: list[str]) -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Return padded (ids, mask) batches, sorted by length."""
    rows = [[CLS, *ids[: embedder.max_tokens], SEP] for ids in embedder.tokens.ids(texts)]
    made = []
    for batch in batches([len(row) for row in rows]):
        width = max(len(rows[i]) for i in batch)
        ids = torch.tensor([rows[i] + [0] * (width - len(rows[i])) for i in batch])
        mask = torch.tensor([[1] * len(rows[i]) + [0] * (width - len(rows[i])) for i in batch])
        made.append((ids, mask))
    return made


@torch.inference_mode()
def bare(bert, prepared) -> None:
    """Encode prepared batches with nothing around the model."""
    for ids, mask in prepared:
        hidden = bert(input_ids=ids, attention_mask=mask).last_hidden_state
        weights = mask.unsqueeze(-1).to(hidden.dtype)
        torch.nn.functional.normalize((hidden * weights).sum(1) / weights.sum(1), dim=1)


def seconds(work) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=128)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=0)
    parser.add_argument("--queries", type=int, default=50)
    options = parser.parse_args()

    embedder = LocalEmbedder(threads=options.threads)
    load = seconds(lambda: embedder.embed_query("warm up"))
    model = embedder._loaded()  # the same weights in the same process: only what surrounds them differs
    whole = [text for text in passages(2 * options.texts) if embedder.tokens.count(text) <= embedder.max_tokens]
    texts = whole[: options.texts]
    prepared = tensors(embedder, texts)
    contenders = {
        "bare encoder": lambda: bare(model[0].auto_model, prepared),
        "embed_documents": lambda: embedder.embed_documents(texts),
        "sentence-transformers encode": lambda: model.encode(texts, show_progress_bar=False),
    }
    taken = {name: [] for name in contenders}
    for _ in range(options.repeats):
        for name, work in contenders.items():
            taken[name].append(seconds(work))

    base = statistics.median(taken["bare encoder"])
    print(f"{len(texts)} texts, {options.repeats} interleaved repeats, threads {torch.get_num_threads()}, load {load:.1f} s")
    for name, times in taken.items():
        middle = statistics.median(times)
        paired = statistics.median(b / t for b, t in zip(taken["bare encoder"], times, strict=True))
        print(f"{name:30} {len(texts) / middle:7.1f} texts/s   {base / middle:.3f} of bare (median of pairs {paired:.3f})")
    questions = [f"What was the operating margin of segment {n} in fiscal 2019?" for n in range(options.queries)]
    latencies = [seconds(lambda question=question: embedder.embed_query(question)) * 1000 for question in questions]
    print(f"embed_query p50 {np.percentile(latencies, 50):.1f} ms, p95 {np.percentile(latencies, 95):.1f} ms")
    worst = np.abs(embedder.embed_documents(texts) - model.encode(texts, normalize_embeddings=True)).max()
    print(f"largest difference to sentence-transformers' vectors: {worst:.1e}")


if __name__ == "__main__":
    main()
