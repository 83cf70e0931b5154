"""Text without what cannot be seen, and a tripwire for payloads that are often tried.

The screen is no protection: whoever knows it passes it. What protects is escaping where text becomes markup and bound
parameters where it reaches SQL. It makes attempts visible in the audit log.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

# Bidirectional controls (UAX #9), invisible operators, the byte order mark, tags, interlinear marks, lone surrogates.
_INVISIBLE = re.compile(
    "[\u00ad\u061c\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff\U000e0000-\U000e007f]"
)
# Joiners mean something in Persian, Indic scripts and emoji; between ASCII characters they only hide something.
_IDLE_JOINER = re.compile("(?<![^\x00-\x7f])[\u200c\u200d]|[\u200c\u200d](?![^\x00-\x7f])")
_NEWLINES = re.compile("\r\n?|[\x0b\x0c\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f]")

SCREENED_CHARS = 20_000  # of one request: a megabyte would hold up everybody else for about a second

# Bounded repetitions only: the time to screen a text grows with its length, not faster.
SIGNS = {
    "markup": re.compile(
        r"<\s{0,8}/?\s{0,8}(?:script|iframe|object|embed|svg|style|base|link|meta|img)\b|\bjavascript\s{0,8}:|"
        r"\bon(?:error|load|click|mouseover|focus|toggle)\s{0,8}=|\bdata\s{0,8}:\s{0,8}text/html",
        re.IGNORECASE,
    ),
    "sql": re.compile(
        r"['\"`)]\s{0,8}(?:or|and)\s{1,8}['\"(]?\w{1,20}['\"]?\s{0,8}(?:=|<|>|like\b)|\bunion\s{1,8}(?:all\s{1,8})?select\b|"
        r";\s{0,8}(?:drop|delete|insert|update|alter|truncate)\s{1,8}(?:table|from|into|\w{1,40}\s{1,8}set)\b|"
        r"['\"]\s{0,8}(?:--|#|/\*)|\b(?:sleep|benchmark|pg_sleep)\s{0,8}\(|\bwaitfor\s{1,8}delay\b|\bxp_cmdshell\b",
        re.IGNORECASE,
    ),
    "traversal": re.compile(r"(?:^|[/\\])\.\.[/\\]|\x00"),
}


def sanitize_text(text: str) -> str:
    """Return `text` in NFC, its line ends as LF, without control, bidirectional and zero-width characters.

    Tabs and newlines stay, and joiners between characters beyond ASCII. What may be markup is left as it is: escaping
    belongs to the place that shows the text.
    """
    text = _CONTROL.sub("", _NEWLINES.sub("\n", text))
    return unicodedata.normalize("NFC", _IDLE_JOINER.sub("", _INVISIBLE.sub("", text)))


def suspicious(texts: Iterable[str]) -> frozenset[str]:
    """Return the names of the signs ("markup", "sql", "traversal") that the first 20,000 characters of `texts` show."""
    seen: set[str] = set()
    left = SCREENED_CHARS
    for text in texts:
        if left <= 0:
            break
        plain = unicodedata.normalize("NFKC", text[:left])[:left]  # one character may become eighteen
        left -= len(plain)
        seen |= {name for name, sign in SIGNS.items() if sign.search(plain)}
    return frozenset(seen)
