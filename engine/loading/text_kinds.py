"""Which kind of text a text is: by its content where that is plain, by its name where kinds look the same."""

from __future__ import annotations

import json
import re
from pathlib import PurePath

from engine.errors import UnsupportedFile
from engine.loading.csv import sniff_delimiter
from engine.loading.encoding import guess_encoding

HTML, MARKDOWN, CSV, PLAIN = "text/html", "text/markdown", "text/csv", "text/plain"
SOURCE, JSON, JSON_LINES, XML, MAIL = (
    "text/x-source",
    "application/json",
    "application/x-ndjson",
    "application/xml",
    "message/rfc822",
)
SOURCE_SUFFIXES = frozenset({
    ".asm", ".bash", ".c", ".cc", ".cjs", ".clj", ".cob", ".cpp", ".cs", ".css", ".cxx", ".dart", ".erl", ".ex", ".exs", ".f90",
    ".go", ".graphql", ".groovy", ".h", ".hh", ".hpp", ".hs", ".hxx", ".java", ".jl", ".js", ".jsx", ".kt", ".kts", ".lisp",
    ".lua", ".m", ".mjs", ".ml", ".mm", ".mts", ".nim", ".pas", ".php", ".pl", ".pm", ".proto", ".ps1", ".py", ".pyi", ".pyx",
    ".r", ".rb", ".rs", ".scala", ".scss", ".sh", ".sql", ".svelte", ".swift", ".tf", ".ts", ".tsx", ".v", ".vb", ".vhd",
    ".vue", ".zig", ".zsh",
})  # fmt: skip
_BY_SUFFIX = {
    **dict.fromkeys((".md", ".markdown"), MARKDOWN),
    **dict.fromkeys((".csv", ".tsv", ".tab"), CSV),
    **dict.fromkeys((".txt", ".text", ".log", ".rst", ".org", ".wiki", ".adoc", ".tex"), PLAIN),
    **dict.fromkeys((".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".properties", ".env"), PLAIN),
    **dict.fromkeys((".eml", ".mht", ".mhtml"), MAIL),
    **dict.fromkeys((".ndjson", ".jsonl"), JSON_LINES),
    **dict.fromkeys((".json", ".geojson", ".ipynb", ".webmanifest"), JSON),
    **dict.fromkeys(SOURCE_SUFFIXES, SOURCE),
}
_SOURCE_NAMES = frozenset({"makefile", "dockerfile", "jenkinsfile", "rakefile", "gemfile"})
_HTML_START = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--(?:(?!-->).)*-->\s*)*<(!doctype\s+html|html[\s>])", re.IGNORECASE | re.DOTALL
)
_HTML_TAGS = re.compile(
    r"\s*<(head|body|title|meta|script|style|div|table|p|h[1-6]|pre|ul|article|section)\b[^<>]*>", re.IGNORECASE
)
_XML_START = re.compile(r"\s*(<\?xml[\s?]|<!DOCTYPE\s)")
_JSON_START = re.compile(r'\s*[\[{]\s*("|\{|\[|\]|\}|-?\d|true\b|false\b|null\b)')
_SHEBANG = re.compile(r"#!\s*/\S+")
_MAIL_START = re.compile(
    r"(?:(?:From|To|Subject|Date|MIME-Version|Received|Return-Path|Message-ID|Content-Type|X-[\w-]+):.*\n(?:[ \t].*\n)*){2}",
    re.I,
)
_MARKDOWN = re.compile(r"^(#{1,6} \S|```|[-*+] \S|\|.+\|\s*$|\[[^\]]+\]\(|> )", re.MULTILINE)
_MARKDOWN_SURE = re.compile(r"^(#{1,6} \S.*|```\w*)$", re.MULTILINE)


def text_type(sample: bytes, name: str) -> str:
    """Return the media type of a text by its first bytes and its file name. Raises UnsupportedFile."""
    text = sample.decode(guess_encoding(sample), "replace").lstrip("\ufeff")
    suffix = PurePath(name).suffix
    if _HTML_START.match(text[:10_000]) and suffix not in SOURCE_SUFFIXES:
        return HTML
    if suffix in _BY_SUFFIX:
        return _BY_SUFFIX[suffix]
    if suffix == ".mbox" or text.startswith("From "):
        if suffix == ".mbox" or _MAIL_START.match(text.partition("\n")[2]):
            raise UnsupportedFile("this is a whole mailbox (mbox)", hint="save its messages as .eml and upload those")
        return PLAIN
    if name in _SOURCE_NAMES or _SHEBANG.match(text):
        return SOURCE
    return _by_content(text, suffix)


def _by_content(text: str, suffix: str) -> str:
    if _HTML_TAGS.match(text) or suffix in {".html", ".htm", ".xhtml"}:
        return HTML
    if _XML_START.match(text[:2000]) or suffix in {".xml", ".xsd", ".xsl", ".rss", ".atom", ".svg", ".gpx", ".kml"}:
        return XML
    if _JSON_START.match(text[:2000]):
        return JSON_LINES if _is_json_lines(text) else JSON
    if _MAIL_START.match(text.lstrip()[:20_000]):
        return MAIL
    if _MARKDOWN_SURE.search(text) and len(_MARKDOWN.findall(text)) >= 2:
        return MARKDOWN
    return CSV if _is_table(text) else PLAIN


def _is_json_lines(text: str) -> bool:
    """Whether the first line is a value of its own and another one follows."""
    lines = [line for line in text.split("\n", 20) if line.strip()][:2]
    if len(lines) < 2 or lines[1].lstrip()[:1] not in {"{", "["}:
        return False
    try:
        json.loads(lines[0], parse_int=str)
    except (ValueError, RecursionError):
        return False
    return True


def _is_table(text: str) -> bool:
    delimiter, share = sniff_delimiter(text)
    lines = [line for line in text.splitlines() if line.strip()]
    # Prose has commas too: without a name that says so, only strictly regular records count.
    prose = 2 * len(re.findall(re.escape(delimiter) + r"\s", text)) > text.count(delimiter)
    return len(lines) >= 3 and share >= 0.95 and not prose and all(delimiter in line for line in lines[:20])
