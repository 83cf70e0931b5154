"""Tokens where the vendor ships no tokenizer that works offline: counted from above, so that a budget always holds."""

from __future__ import annotations

import re
from collections.abc import Sequence

# At most three letters of a script with spaces, one character of any other kind, digits too: some vocabularies give each
# digit a token. English has about four letters to a token, other languages in Latin script two to three.
_TOKEN = re.compile(r"[^\W\d_\u0e00-\u0eff\u1100-\u11ff\u2e80-\ud7af\uf900-\ufaff\U00020000-\U0003ffff]{1,3}|\S")


class ApproximateTokens:
    """Satisfies TokenCounter. A stated over-estimate for the models of OpenAI, Google and Ollama; no model is loaded."""

    def count(self, text: str) -> int:
        """Return the number of tokens."""
        return sum(1 for _ in _TOKEN.finditer(text))

    def offsets(self, text: str) -> Sequence[tuple[int, int]]:
        """Return the spans of the tokens."""
        return [match.span() for match in _TOKEN.finditer(text)]
