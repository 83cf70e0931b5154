"""Answers of the workbench in memory: cited and marked, refused, or failed, by words in the question."""

from dataclasses import replace
from datetime import timedelta

from engine.documents import Chunk
from engine.sentences import sentence_spans
from engine.types import Answer, Citation, Hit, Sentence, Serving, Support

TEXT = (
    "Revenue grew by 12 percent to 4.2 billion dollars. The increase came mainly from services. "
    "Operating margin fell to 18 percent because of higher freight costs. "
    "The board proposes a dividend of 1.10 dollars per share."
)


def finished(reply, question, stored):
    documents = [d for d in stored.values() if d.state == "live"]
    trace = {"steps": [{"name": "retrieve", "ms": 12.0, "passages": 24}, {"name": "generate", "ms": 31.5}],
             "passages": [{"n": 1, "chunk": "x", "document": "report.pdf", "page": 2, "dense": 0.61, "lexical": 7.4}],
             "dropped": [{"chunk": "y", "reason": "over the budget"}], "details": {"best": 0.7}}  # fmt: skip
    common = {"provider": "extractive", "model": "extractive", "query": question, "trace": trace}
    if "fail" in question:
        return replace(reply, state="failed", error="the provider stopped in the middle", hint="try again", step="")
    page = f"Annual report, page 2.\n\n{TEXT}"
    if "unknown" in question or not documents:
        nearest = tuple(
            Hit(chunk=Chunk(id=f"h{n}", collection_id="c", document_id=d.id, document_name=d.name, version=1, version_id="v", ordinal=n,
                            page=2, start=0, end=60, text=page[:60]), score=0.3, scores={"dense": 0.3, "lexical": 1.0, "fused": 0.3})
            for n, d in enumerate(documents[:3])
        )  # fmt: skip
        text = "The documents do not answer this."
        answer = Answer(text=text, refused=True, sentences=(), citations=(), nearest=nearest, **common)
        return replace(reply, state="done", step="", text=text, answer=answer)
    texts = [TEXT[start:end] for start, end in sentence_spans(TEXT)]
    marks = [Support.SUPPORTED, Support.SUPPORTED, Support.PARTLY, Support.UNSUPPORTED]
    sentences, citations = [], []
    for n, (text, support) in enumerate(zip(texts[:4], marks, strict=False), 1):
        cited = () if support is Support.UNSUPPORTED else (n,)
        sentences.append(Sentence(text=text, support=support, citations=cited))
        if cited:
            one, start = documents[n % len(documents)], page.index(text)
            citations.append(Citation(n=n, chunk_id="x", document_id=one.id, document=one.name, version=1, page=2, start=start,
                                      end=start + len(text), text=text, score=0.8 - n / 10, section=("Results", "Revenue")))  # fmt: skip
    text = " ".join(f"{s.text} {''.join(f'[{n}]' for n in s.citations)}" for s in sentences)
    answer = Answer(text=text, refused=False, sentences=tuple(sentences), citations=tuple(citations), **common)
    return replace(reply, state="done", step="", text=text, answer=answer)


def kept(message, *, minutes=3):
    """The message with its answer as one that was written `minutes` before the question."""
    at = (message.created_at - timedelta(minutes=minutes, seconds=5)).isoformat()
    return replace(message, answer=replace(message.answer, serving=Serving(seconds=0.02, cost_usd=0.0, cached_at=at)))
