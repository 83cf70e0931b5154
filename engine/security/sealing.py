"""Secrets at rest: sealed with a key that is not in the database (Fernet, https://github.com/fernet/spec)."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken

from engine.errors import InputError, MissingSecret


class Sealer:
    """Seals short texts. The key is derived from the installation's secret, so the database alone opens nothing."""

    def __init__(self, secret_key: str) -> None:
        derived = hashlib.sha256(b"workbench sealing v1\0" + secret_key.encode()).digest()
        self._fernet = Fernet(base64.urlsafe_b64encode(derived))

    def seal(self, text: str) -> str:
        """Return `text` in a form that may be stored. Raises InputError for what is no text, without repeating it."""
        try:
            return self._fernet.encrypt(text.encode()).decode()
        except (UnicodeEncodeError, AttributeError):
            raise InputError("a secret is not valid text", hint="Copy it again.") from None

    def open(self, sealed: str) -> str:
        """Return the text. Raises MissingSecret when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed.encode()).decode()
        except InvalidToken as error:
            raise MissingSecret(
                "a stored secret was sealed with another key",
                hint="Restore secrets.json of the data folder, or enter it again.",
            ) from error

    def seal_bytes(self, value: bytes) -> bytes:
        """Return `value` in a form that may be stored: a third larger, and text."""
        return self._fernet.encrypt(value)

    def open_bytes(self, sealed: bytes) -> bytes:
        """Return the value. Raises MissingSecret when it was sealed with another key, or is damaged."""
        try:
            return self._fernet.decrypt(sealed)
        except InvalidToken:
            raise MissingSecret("a stored value was sealed with another key", hint="It has to be made again.") from None


def audit_key(secret_key: str) -> bytes:
    """Return the key that the audit is signed with, derived from the installation's secret: it is not in the database."""
    return hashlib.sha256(b"workbench audit v1\0" + secret_key.encode()).digest()


def naming_key(secret_key: str) -> bytes:
    """Return the key that names of kept things are made with: who sees the names cannot try out what they stand for."""
    return hashlib.sha256(b"workbench cache names v1\0" + secret_key.encode()).digest()
