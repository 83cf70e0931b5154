"""Values of labels: short, printable, and never anything that looks like a key or an id of ours."""

from __future__ import annotations

import re

from engine.vendors.status import HIDDEN, KEYLIKE

LABEL_CHARS = 72  # four of them are a label of the history, which takes 300
SEPARATOR = "|"  # between the labels of one series in the history
OTHER = "other"  # what a label set beyond the cap counts as
# Our own keys, JSON Web Tokens, and long runs of letters with digits: ids of users and documents, keys of unknown vendors.
_SECRET = re.compile(r"\bwb[a-z]?_[\w-]{10,}|\beyJ[\w-]{8,}(?:\.[\w-]*)*|(?=[A-Za-z]*\d)(?=\d*[A-Za-z])[A-Za-z0-9]{24,}")


def cleaned(value: object) -> str:
    """Return a label's value as one printable line of at most 72 characters; what looks like a key becomes "[key]"."""
    text = "".join(char for char in str(value)[: 8 * LABEL_CHARS] if char.isprintable())
    hidden = _SECRET.sub(HIDDEN, KEYLIKE.sub(HIDDEN, text))
    return hidden.replace(SEPARATOR, "/").strip()[:LABEL_CHARS]
