"""Measures the extractive answers on SQuAD 2.0: what is shown, what is refused, how fast.

    python benchmarks/answers.py                 every number of docs/answers.md on qa_500, and the latency
    python benchmarks/answers.py --fit           also fits both models anew on the questions outside qa_500, prints the
                                                 coefficients, and cross-validates them with whole articles held out
    python benchmarks/answers.py --cache FILE    keeps the vectors between runs

Each question is asked of its own collection: the passages of its article (the part of `source_doc` before "p"). The eight
passages come from an even mix of min-max scaled cosine and BM25, made here so that this file measures generation alone.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import re
import string
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from engine import registry
from engine.documents import Chunk
from engine.generation import answerability, evidence
from engine.generation.extractive import choose
from engine.generation.prompt import assemble
from engine.types import Hit
from engine.words import terms

DATA = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
PASSAGES = 8
FOLDS = 4
ARTICLES = re.compile(r"\b(?:a|an|the)\b")


class Cached:
    """An embedder that remembers every vector."""

    def __init__(self, inner, path):
        self.inner, self.path, self.vectors = inner, path, {}
        if path and path.exists():
            stored = np.load(path)
            self.vectors = dict(zip(json.loads(str(stored["texts"])), stored["vectors"], strict=True))

    def embed_documents(self, texts):
        missing = sorted({text for text in texts if text not in self.vectors}, key=len)
        if missing:
            self.vectors.update(zip(missing, self.inner.embed_documents(missing), strict=True))
        return np.stack([self.vectors[text] for text in texts])

    def embed_query(self, text):
        return self.embed_documents([text])[0]

    def save(self):
        if self.path:
            np.savez(self.path, texts=np.array(json.dumps(list(self.vectors))), vectors=np.stack(list(self.vectors.values())))


class Collection:
    """The passages of one article with a small hybrid search."""

    def __init__(self, rows, embedder):
        self.embedder = embedder
        self.chunks = [chunk_of(row) for row in rows]
        self.vectors = embedder.embed_documents([chunk.text for chunk in self.chunks])
        self.counts = [Counter(terms(f"{chunk.title} {chunk.text}")) for chunk in self.chunks]
        seen = Counter(term for counts in self.counts for term in counts)
        self.idf = {term: math.log(1 + (len(rows) - n + 0.5) / (n + 0.5)) for term, n in seen.items()}
        self.mean = sum(sum(counts.values()) for counts in self.counts) / len(rows)

    def search(self, question):
        dense = self.vectors @ self.embedder.embed_query(question)
        asked = set(terms(question)) & self.idf.keys()
        lexical = np.array([sum(self._weight(term, counts) for term in asked) for counts in self.counts])
        fused = (scaled(dense) + scaled(lexical)) / 2
        best = np.argsort(-fused, kind="stable")[:PASSAGES]
        return [Hit(chunk=self.chunks[i], score=float(fused[i])) for i in best]

    def _weight(self, term, counts):
        size = sum(counts.values()) / self.mean
        return self.idf[term] * counts[term] * 2.2 / (counts[term] + 1.2 * (0.25 + 0.75 * size))


def scaled(values):
    return (values - values.min()) / ((values.max() - values.min()) or 1)


def chunk_of(row):
    return Chunk(
        id=row["_id"], collection_id="squad", document_id=row["_id"][:3], document_name=row["title"], title=row["title"],
        version=1, version_id="1", ordinal=int(row["_id"][4:]), page=1, start=0, end=len(row["text"]), text=row["text"],
    )  # fmt: skip


def rows_of(path):
    return [json.loads(line) for line in (DATA / path).read_text(encoding="utf-8").splitlines()]


def normal(text):
    text = "".join(" " if c in string.punctuation + "–—’“”" else c for c in text.lower())
    return " " + " ".join(ARTICLES.sub(" ", text).split()) + " "


def holds(text, answers):
    """SQuAD's normalised containment: case, articles and punctuation do not count."""
    return any(normal(answer).strip() and normal(answer) in normal(text) for answer in answers)


def auc(answerable, unanswerable):
    """Probability that an answerable question scores higher (Mann-Whitney)."""
    scores = np.concatenate([answerable, unanswerable])
    order = scores.argsort(kind="stable")
    ranks = np.empty(len(scores))
    ranks[order] = np.arange(1, len(scores) + 1)
    for value in np.unique(scores):
        ranks[scores == value] = ranks[scores == value].mean()
    n, m = len(answerable), len(unanswerable)
    return (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)


def elsewhere(index, names, own):
    """The collection that a question is wrongly asked of: another article, spread evenly and the same in every run."""
    others = [name for name in names if name != own]
    return others[index % len(others)]


# --- fitting ---------------------------------------------------------------------------------------------------------


def lexical_and_cosine(question, hits, embedder):
    asked = evidence.read_question(question)
    found = evidence.statements(evidence.candidates(hits), hits)
    idf = evidence.rarity(found)
    unseen = math.log(1 + (len(found) + 0.5) / 0.5)
    cosines = embedder.embed_documents([one.text for one in found]) @ embedder.embed_query(question)
    features = np.array([evidence.lexical_features(asked, one, idf, unseen=unseen) for one in found])
    priors = np.array(answerability.priors(asked, found, hits))
    return asked, found, idf, unseen, np.c_[features, cosines], priors


def prepared(rows, collections, embedder):
    made = []
    for row in rows:
        hits = collections[row["source_doc"][:3]].search(row["question"])
        parts = lexical_and_cosine(row["question"], hits, embedder)
        gold = [hits[one.n - 1].chunk.id == row["source_doc"] and holds(one.text, row["answers"]) for one in parts[1]]
        made.append((row, parts, np.array(gold)))
    return made


def logistic(features, labels):
    """Coefficients on the raw features and the bias; scaled inside so that the penalty treats them alike."""
    from sklearn.linear_model import LogisticRegression

    centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-9
    model = LogisticRegression(C=0.3, max_iter=1000).fit((features - centre) / spread, labels)
    weights = model.coef_[0] / spread
    return weights, float(model.intercept_[0] - weights @ centre)


def fit_ranking(made):
    useful = [(parts[4], gold) for _, parts, gold in made if gold.any()]
    return logistic(np.concatenate([f for f, _ in useful]), np.concatenate([g for _, g in useful]))[0]


def answer_row(parts, weights):
    asked, found, idf, unseen, features, priors = parts
    kept = np.argsort(-(features[:, :-1] @ weights[:-1] + priors), kind="stable")[: answerability.MAX_EMBEDDED]
    best = min(kept, key=lambda i: (-(features[i] @ weights + priors[i]), found[i].n, found[i].position))
    cosines = features[:, -1]
    return evidence.answer_features(
        asked, found[best], idf, unseen=unseen, cosine=cosines[best], most_cosine=cosines[kept].max()
    )


def fit_answering(made, weights):
    features = np.array([answer_row(parts, weights) for _, parts, _ in made])
    return logistic(features, np.array([row["answerable"] for row, _, _ in made]))


def fit(made):
    articles = sorted({row["source_doc"][:3] for row, _, _ in made})
    for fold in range(FOLDS):
        held = set(articles[fold::FOLDS])
        inner = [one for one in made if one[0]["source_doc"][:3] not in held]
        outer = [one for one in made if one[0]["source_doc"][:3] in held]
        weights = fit_ranking(inner)
        answering, bias = fit_answering(inner, weights)
        scores = np.array([answering @ answer_row(parts, weights) + bias for _, parts, _ in outer])
        truth = np.array([row["answerable"] for row, _, _ in outer])
        first = [gold[np.argmax(parts[4] @ weights + parts[5])] for row, parts, gold in outer if row["answerable"]]
        separated = auc(scores[truth], scores[~truth])
        print(f"  held out {sorted(held)}: AUC {separated:.3f}, gold in the best sentence {np.mean(first):.3f}")
    weights = fit_ranking(made)
    answering, bias = fit_answering(made, weights)
    names = (*evidence.LEXICAL_FEATURES, "cosine")
    print("RANK_WEIGHTS =", {name: round(float(w), 2) for name, w in zip(names, weights, strict=True)})
    print("ANSWER_WEIGHTS =", {n: round(float(w), 2) for n, w in zip(evidence.ANSWER_FEATURES, answering, strict=True)})
    print("ANSWER_BIAS =", round(bias, 2))


# --- measuring -------------------------------------------------------------------------------------------------------


def measure(rows, collections, embedder):
    names = sorted(collections)
    right, own, other, sentences, found, first = [], [], [], [], [], []
    for index, row in enumerate(rows):
        article = row["source_doc"][:3]
        hits = collections[article].search(row["question"])
        judgement = answerability.judge(row["question"], hits, embedder=embedder)
        own.append(judgement.answerability)
        texts = [one.candidate.text for one in choose(judgement.ranked)]
        right.append(row["answerable"] and holds(" ".join(texts), row["answers"]))
        first.append(row["answerable"] and holds(judgement.ranked[0].candidate.text, row["answers"]))
        found.append(row["answerable"] and any(holds(hit.chunk.text, row["answers"]) for hit in hits))
        sentences.append(len(texts))
        foreign = collections[elsewhere(index, names, article)].search(row["question"])
        other.append(answerability.judge(row["question"], foreign, embedder=embedder).answerability)
    yes = np.array([row["answerable"] for row in rows])
    report(yes, *(np.array(values) for values in (own, other, right, first, found, sentences)))


def report(yes, own, other, right, first, found, sentences):
    print(f"questions {len(yes)}, answerable {yes.sum()}")
    print(f"answerable, a gold answer is in the eight passages      {found[yes].mean():.3f}")
    print(f"answerable, it is in the shown sentences, never refusing {right[yes].mean():.3f}")
    print(f"answerable, it is in the best sentence alone             {first[yes].mean():.3f}")
    print(f"sentences shown {sentences.mean():.2f} on average")
    print(f"AUC answerable against unanswerable (adversarial)        {auc(own[yes], own[~yes]):.3f}")
    print(f"AUC answerable against questions of another article      {auc(own[yes], other):.3f}")
    print("threshold | answerable: refused, shown gold | unanswerable refused | other article refused")
    for threshold in sorted({0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, answerability.THRESHOLD}):
        keeps = own >= threshold
        mark = "*" if threshold == answerability.THRESHOLD else " "
        print(
            f"{threshold:7.2f} {mark} | {1 - keeps[yes].mean():.3f}  {(right & keeps)[yes].mean():.3f} "
            f"| {1 - keeps[~yes].mean():.3f} | {(other < threshold).mean():.3f}"
        )


def latency(collections, embedder, rows):
    """Wall time of a whole stream for eight passages of about 200 tokens, nothing cached."""
    generator = registry.build(registry.GENERATORS, "extractive generator", "extractive", embedder=embedder)

    async def timed():
        times = []
        for row in rows:
            hits = collections[row["source_doc"][:3]].search(row["question"])
            prompt = assemble(row["question"], hits, history=(), count_tokens=generator.count_tokens, budget_tokens=8192)
            wall, cpu = time.perf_counter(), time.process_time()
            [delta async for delta in generator.stream(prompt)]
            times.append((time.perf_counter() - wall, time.process_time() - cpu))
        return times

    wall, cpu = np.array(asyncio.run(timed())[2:]).T * 1000
    tokens = np.mean([generator.count_tokens(chunk.text) for one in collections.values() for chunk in one.chunks])
    print(
        f"stream of one answer: wall p50 {np.median(wall):.0f} ms, p95 {np.percentile(wall, 95):.0f} ms, best {wall.min():.0f} ms"
    )
    print(f"                      CPU p50 {np.median(cpu):.0f} ms, best {cpu.min():.0f} ms; load {os.getloadavg()[0]:.1f}")
    print(f"  ({PASSAGES} passages of {tokens:.0f} tokens on average, {len(wall)} questions, {os.cpu_count()} cores)")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fit", action="store_true", help="fit the coefficients anew and print them")
    parser.add_argument("--cache", type=Path, help="an .npz file that keeps the vectors between runs")
    parser.add_argument("--threads", type=int, default=0, help="threads of the embedder; 0 = all cores")
    options = parser.parse_args()
    bare = registry.build(registry.EMBEDDERS, "embedder", "local", threads=options.threads)
    embedder = Cached(bare, options.cache)
    articles = {}
    for row in rows_of("beir/squad2_dev/corpus.jsonl"):
        articles.setdefault(row["_id"][:3], []).append(row)
    collections = {name: Collection(rows, embedder) for name, rows in articles.items()}
    test = rows_of("qa/squad2_dev/qa_500.jsonl")
    if options.fit:
        ids = {row["_id"] for row in test}
        fit(prepared([row for row in rows_of("qa/squad2_dev/qa.jsonl") if row["_id"] not in ids], collections, embedder))
    measure(test, collections, embedder)
    embedder.save()
    latency(collections, bare, test[:42])


if __name__ == "__main__":
    main()
