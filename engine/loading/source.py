"""Program code -> its text letter by letter; definitions are headings, what they hold is code, so chunks follow functions."""

from __future__ import annotations

import re
from pathlib import Path

from engine.documents import Document
from engine.loading.encoding import read_text
from engine.loading.flow import MAX_TITLE_CHARS, Flow

MEDIA_TYPE = "text/x-source"
INDENT = 4
# One pattern for the common languages: what opens a named unit at the start of a line. It is allowed to miss some.
_DEFINITION = re.compile(
    r"""(?P<indent>[ \t]*)(?P<unit>
      (?:(?:export|default|public|private|protected|internal|static|abstract|final|sealed|open|override|async|pub(?:\([^)]*\))?
        |unsafe|extern|inline|virtual|partial|data|case|suspend|local)\s+)*
      (?:(?:class|interface|struct|enum|trait|impl|protocol|module|namespace|record|object|def|defp|fn|fun|func|function|sub
        |proc|defmodule|service|message|type)\s+(?:\([^)\n]{0,80}\)\s*)?[\w$.~]{1,120}(?:::[\w~]{1,80}){0,5}
      |(?i:CREATE\s+(?:OR\s+REPLACE\s+)?(?:TABLE|VIEW|FUNCTION|PROCEDURE|TRIGGER|INDEX)\s+[^\s(]{1,120})
      |(?:const|let|var)\s+[\w$]{1,120}(?=\s*=\s*(?:async\s*)?(?:function\b|\([^()\n]{0,200}\)\s*=>))
      |resource\s+"[^"\n]{1,80}"\s+"[^"\n]{1,80}"))
    (?=\s*(?:[({:=<\[;|]|(?i:extends|implements|where|for|do|is|as|begin|on|struct|interface)\b|$))""",
    re.VERBOSE,
)
# C, C++, Java and C#: a type, a name, parameters, and a brace on this line or the next.
_C_FUNCTION = re.compile(
    r"(?P<indent>[ \t]*)(?P<unit>(?:[A-Za-z_][\w:<>,\[\]]{0,80}[ \t*&]+){1,6}~?[A-Za-z_][\w:~]{0,120})\s*\("
)
_NO_FUNCTION = re.compile(r"\b(if|else|for|while|switch|return|case|catch|new|throw|delete|using|typedef|goto|await|yield)\b")
_C_SUFFIXES = (".c", ".h", ".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx", ".java", ".cs", ".m", ".mm", ".dart", ".groovy")
MAX_LINE = 500


class SourceLoader:
    """The language matters little: a unit that is not recognised stays in the code of the one before."""

    def load(self, path: Path, *, name: str, password: str | None = None) -> Document:
        """See `engine.protocols.Loader`."""
        text, warnings = read_text(path)
        lines = text.split("\n")
        braces = name.lower().endswith(_C_SUFFIXES)
        flow = Flow()
        done = 0
        for at, line in enumerate(lines):
            if unit := _definition(line, lines[at + 1 : at + 3], braces=braces):
                _code(flow, lines[done:at])
                level = min(6, 1 + len(unit["indent"].expandtabs(INDENT)) // INDENT)
                flow.add(line, kind="heading", level=level, inner=_span(unit))
                done = at + 1
        _code(flow, lines[done:])
        return Document(name=name, media_type=MEDIA_TYPE, pages=flow.pages(), title="", warnings=warnings)


def _definition(line: str, following: list[str], *, braces: bool) -> re.Match[str] | None:
    if not line.strip() or len(line) > MAX_LINE:
        return None
    if found := _DEFINITION.match(line):
        return found
    if not braces or line.rstrip().endswith(";") or not any("{" in one for one in (line, *following)):
        return None
    found = _C_FUNCTION.match(line)
    return None if found is None or _NO_FUNCTION.search(found["unit"]) else found


def _span(unit: re.Match[str]) -> tuple[int, int]:
    start, end = unit.span("unit")
    return start, min(end, start + MAX_TITLE_CHARS)


def _code(flow: Flow, lines: list[str]) -> None:
    """Add lines as code; decorators and comments directly above the next unit stay out of it, for they belong to that."""
    end = len(lines)
    while end and lines[end - 1].lstrip().startswith(("@", "#", "//", "/*", "*", "--", "[")):
        end -= 1
    if any(line.strip() for line in lines[:end]):
        flow.add("\n".join(lines[:end]), kind="code")
    elif lines[:end]:
        flow.add("\n".join(lines[:end]))
    if lines[end:]:
        flow.add("\n".join(lines[end:]))
