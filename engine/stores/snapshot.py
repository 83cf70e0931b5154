"""Snapshot folders: a manifest with the SHA-256 of each file, replaced as a whole, and never parsed unverified.

An index library must not see bytes that were not checked first: damaged FAISS files load silently or overflow the heap
(facebookresearch/faiss issues 5313, 5400, 5485). So what is hashed is what is parsed: the same bytes in memory.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path

from engine.errors import StoreError

MANIFEST = "manifest.json"
_DAMAGED_HINT = "build the index again from the database"
_DATA_FILE = re.compile(r"[\w.-]+\.[0-9a-f]{64}|\.new-[\w.-]+")


def write(path: Path, files: Mapping[str, bytes]) -> None:
    """Write `files` (name -> content) as the snapshot folder `path`. Raises StoreError (no space, no permission).

    Files carry their hash in the name and the manifest is replaced last, so a crash leaves the previous snapshot whole.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
        manifest = {}
        for name, content in files.items():
            manifest[name] = hashlib.sha256(content).hexdigest()
            _put(path / f"{name}.{manifest[name]}", content)
        _put(path / MANIFEST, json.dumps(manifest, sort_keys=True).encode())
        _sync(path)
        _sweep(path, keep={MANIFEST} | {f"{name}.{digest}" for name, digest in manifest.items()})
    except OSError as error:
        raise StoreError(
            f"the index snapshot cannot be written: {error.strerror}", hint="check space and permissions"
        ) from error


def read(path: Path) -> dict[str, bytes]:
    """Return the verified content of each file. Raises StoreError when one is missing or is not what was written."""
    try:
        manifest = json.loads((path / MANIFEST).read_bytes())
        contents = {name: (path / f"{name}.{digest}").read_bytes() for name, digest in manifest.items()}
    except OSError as error:
        raise StoreError(f"the index snapshot {path.name} is missing or incomplete", hint=_DAMAGED_HINT) from error
    except (ValueError, AttributeError) as error:
        raise StoreError(f"the index snapshot {path.name} is damaged: its manifest", hint=_DAMAGED_HINT) from error
    for name, content in contents.items():
        if hashlib.sha256(content).hexdigest() != manifest[name]:
            raise StoreError(f"the index snapshot {path.name} is damaged: {name}", hint=_DAMAGED_HINT)
    return contents


def fingerprint(path: Path) -> str:
    """Return the SHA-256 (hex) over the relative names and the contents of all files below `path`.

    For the database to remember: a folder with the same value holds the same bytes. Raises StoreError when it is missing.
    """
    total = hashlib.sha256()
    try:
        files = sorted((file.relative_to(path).as_posix(), file) for file in path.rglob("*") if file.is_file())
        for name, file in files:
            with file.open("rb") as content:
                total.update(f"{name} {hashlib.file_digest(content, 'sha256').hexdigest()}\n".encode())
    except OSError as error:
        raise StoreError(f"the index snapshot {path.name} cannot be read: {error.strerror}", hint=_DAMAGED_HINT) from error
    if not files:
        raise StoreError(f"the index snapshot {path.name} is missing", hint=_DAMAGED_HINT)
    return total.hexdigest()


def publish(new: Path, target: Path) -> None:
    """Give the finished folder `new` its name: everything in it is on disk before, and the name is when this returns.

    Raises OSError.
    """
    for file in new.rglob("*"):
        _sync(file)
    _sync(new)
    os.rename(new, target)
    for folder in (target.parent, target.parent.parent):
        _sync(folder)


def _put(target: Path, content: bytes) -> None:
    new = target.with_name(f".new-{target.name}")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(new, target)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sweep(path: Path, keep: set[str]) -> None:
    for file in path.iterdir():
        # Only names that this module makes: a wrong path must not cost anybody their files.
        if file.name not in keep and _DATA_FILE.fullmatch(file.name):
            file.unlink()
