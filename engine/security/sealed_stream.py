"""Encrypting a file of any size with a passphrase, so that each altered, missing or exchanged part is noticed when it is read.

The STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár, "Online Authenticated-Encryption and its Nonce-Reuse
Misuse-Resistance", CRYPTO 2015) over AES-256-GCM: chunks of 64 KiB, each under the nonce `prefix || number || is it the
last`. Number and mark are authenticated with the chunk, so chunks cannot change places and the file cannot be cut. The key
comes from the passphrase by scrypt (RFC 7914; N = 2^17, r = 8, p = 1: 128 MB and some tenths of a second for each guess).

A file is: MAGIC, 16 bytes of salt, 7 bytes of prefix, then for each chunk its ciphertext and 16 bytes of tag.
"""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from engine.errors import BrokenFile, InputError

MAGIC = b"RWBSEAL1"
CHUNK = 64 * 1024
COST = 2**17  # N of scrypt
MIN_PASSPHRASE = 12
_TAG, _SALT, _PREFIX = 16, 16, 7
_HEADER = len(MAGIC) + _SALT + _PREFIX


def check_passphrase(passphrase: str) -> str:
    """Return it. Raises InputError when it is so short that it can be guessed."""
    if len(passphrase) < MIN_PASSPHRASE:
        raise InputError(
            f"a passphrase has at least {MIN_PASSPHRASE} characters", hint="Six random words are good and easy to type."
        )
    return passphrase


class SealingWriter:
    """Takes bytes and writes them encrypted to `file`; only after `close` is the file whole. `file` stays open."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        self._file = file
        self._header = MAGIC + os.urandom(_SALT + _PREFIX)
        self._cipher = _cipher(self._header, passphrase)
        self._waiting = bytearray()
        self._number = 0
        file.write(self._header)

    def write(self, data: bytes) -> int:
        """Take more bytes."""
        self._waiting += data
        while len(self._waiting) > CHUNK:  # the last chunk is only known at the end
            self._put(bytes(self._waiting[:CHUNK]), last=False)
            del self._waiting[:CHUNK]
        return len(data)

    def close(self) -> None:
        """Write what is left, marked as the end."""
        self._put(bytes(self._waiting), last=True)
        self._waiting.clear()

    def _put(self, data: bytes, *, last: bool) -> None:
        self._file.write(self._cipher.encrypt(_nonce(self._header, self._number, last=last), data, self._header))
        self._number += 1


class SealedReader:
    """Gives the bytes that a `SealingWriter` took."""

    def __init__(self, file: BinaryIO, passphrase: str) -> None:
        """`file` stands at its beginning. Raises InputError for a wrong passphrase, BrokenFile for another kind of file."""
        self._file = file
        self._header = file.read(_HEADER)
        if len(self._header) < _HEADER or not is_sealed(self._header):
            raise BrokenFile("this is not an encrypted backup, or its beginning is damaged", hint="Use another copy.")
        self._cipher = _cipher(self._header, passphrase)
        self._number = 0
        self._ready = bytearray()
        self._next = file.read(CHUNK + _TAG)
        self._done = False
        self._fill()

    def read(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end. Raises BrokenFile where something is altered or missing."""
        while len(self._ready) < size and not self._done:
            self._fill()
        data = bytes(self._ready[:size])
        del self._ready[:size]
        return data

    def _fill(self) -> None:
        chunk, self._next = self._next, self._file.read(CHUNK + _TAG)
        self._done = not self._next
        try:
            self._ready += self._cipher.decrypt(_nonce(self._header, self._number, last=self._done), chunk, self._header)
        except InvalidTag:
            if self._number == 0:
                raise InputError(
                    "the passphrase is wrong, or the beginning of the file is damaged", hint="Type the passphrase again."
                ) from None
            raise BrokenFile(
                f"the encrypted file is altered or cut off at about {self._number * CHUNK:,} bytes", hint="Use another copy."
            ) from None
        self._number += 1


def is_sealed(beginning: bytes) -> bool:
    """Whether a file that begins like this was written by a `SealingWriter`."""
    return beginning.startswith(MAGIC)


def _cipher(header: bytes, passphrase: str) -> AESGCM:
    salt = header[len(MAGIC) : len(MAGIC) + _SALT]
    return AESGCM(Scrypt(salt=salt, length=32, n=COST, r=8, p=1).derive(passphrase.encode("utf-8", "surrogatepass")))


def _nonce(header: bytes, number: int, *, last: bool) -> bytes:
    return header[-_PREFIX:] + struct.pack(">IB", number, last)
