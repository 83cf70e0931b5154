"""The file of a backup: whatever happens to it is noticed."""

from __future__ import annotations

import io
import random
import tarfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from engine.errors import BrokenFile, InputError, PasswordNeeded
from engine.security import sealed_stream
from engine.security.sealed_stream import CHUNK, SealedReader, check_passphrase
from engine.services.backup_archive import MANIFEST, ArchiveReader, ArchiveWriter, _header

WORDS = "correct horse battery staple"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_stream, "COST", 2**8)


def written(path: Path, *, passphrase: str = "", big: int = 1000) -> Path:
    with ArchiveWriter(path, at=datetime(2026, 1, 2, tzinfo=UTC), passphrase=passphrase) as archive:
        archive.add_bytes("a", b"x" * big)
        archive.add_bytes("empty", b"")
        archive.finish({"format": "test"})
    return path


def noticed(path: Path, passphrase: str = "") -> bool:
    try:
        with ArchiveReader(path, passphrase=passphrase) as archive:
            for entry in archive:
                entry.read()
            return bool(archive.problems)
    except InputError:
        return True


def test_what_was_put_in_comes_out_and_any_tar_program_reads_it(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar")
    with ArchiveReader(path) as archive:
        found = {entry.path: entry.read(5000) for entry in archive}
    assert (found, archive.problems) == ({"a": b"x" * 1000, "empty": b""}, [])
    assert archive.manifest["format"] == "test"
    with tarfile.open(path) as tar:
        assert tar.getnames() == ["a", "empty", "manifest.json", "SHA256"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert [one.name for one in tmp_path.iterdir()] == ["x.tar"]


def test_every_single_altered_bit_is_noticed_headers_and_padding_included(tmp_path: Path) -> None:
    data = written(tmp_path / "x.tar").read_bytes()
    pick = random.Random(7)
    for position in range(0, len(data), 13):
        altered = bytearray(data)
        altered[position] ^= 1 << pick.randrange(8)
        (tmp_path / "y.tar").write_bytes(altered)
        assert noticed(tmp_path / "y.tar"), f"a bit of byte {position} was altered unnoticed"


def test_a_file_that_was_cut_off_or_goes_on_is_noticed(tmp_path: Path) -> None:
    data = written(tmp_path / "x.tar").read_bytes()
    for end in range(0, len(data), 512):
        (tmp_path / "y.tar").write_bytes(data[:end])
        assert noticed(tmp_path / "y.tar"), f"cut off at {end}"
    (tmp_path / "y.tar").write_bytes(data + b"\0")
    assert noticed(tmp_path / "y.tar")


def test_an_altered_member_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar")
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(data)
    with ArchiveReader(path) as archive:
        list(archive)
    assert "a was altered" in archive.problems


def test_an_encrypted_file_shows_nothing_and_each_exchange_of_parts_is_noticed(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar", passphrase=WORDS, big=3 * CHUNK)
    data = path.read_bytes()
    assert b"x" * 20 not in data
    assert b"manifest" not in data
    assert not noticed(path, WORDS)
    head, part = 31, CHUNK + 16
    first, second, rest = data[head : head + part], data[head + part : head + 2 * part], data[head + 2 * part :]
    broken = {
        "exchanged": data[:head] + second + first + rest,
        "left out": data[:head] + first + rest,
        "cut at a border": data[: head + 2 * part],
        "cut": data[:-1],
        "salt": data[:10] + bytes([data[10] ^ 1]) + data[11:],
        "tag": data[:-1] + bytes([data[-1] ^ 1]),
        "longer": data + b"x",
    }
    for what, altered in broken.items():
        (tmp_path / "y").write_bytes(altered)
        assert noticed(tmp_path / "y", WORDS), what


def test_a_wrong_a_missing_and_a_short_passphrase_are_told_apart(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar", passphrase=WORDS)
    with pytest.raises(InputError, match="passphrase is wrong"):
        ArchiveReader(path, passphrase=WORDS + "!")
    with pytest.raises(PasswordNeeded):
        ArchiveReader(path)
    with pytest.raises(InputError, match="at least 12"):
        check_passphrase("short")
    with pytest.raises(BrokenFile):
        SealedReader(io.BytesIO(b"something else"), WORDS)


def test_a_file_that_is_there_is_not_written_over_and_a_failure_leaves_nothing(tmp_path: Path) -> None:
    path = written(tmp_path / "x.tar")
    with pytest.raises(InputError, match="already"):
        written(path)
    with ArchiveWriter(tmp_path / "z.tar", at=datetime.now(UTC)) as archive:  # not finished
        archive.add_bytes("a", b"1")
    assert [one.name for one in tmp_path.iterdir()] == ["x.tar"]


@pytest.mark.parametrize("size", [-1, -512, -(10**9)])
def test_a_size_below_nothing_reads_nothing(tmp_path: Path, size: int) -> None:
    (tmp_path / "x.tar").write_bytes(_header("a", size, 0) + b"x" * 4096)
    with ArchiveReader(tmp_path / "x.tar") as archive, pytest.raises(BrokenFile, match="damaged"):
        next(iter(archive))


def test_a_manifest_of_nothing_but_brackets_is_damaged(tmp_path: Path) -> None:
    manifest = b"[" * 200_000
    whole = _header(MANIFEST, len(manifest), 0) + manifest + bytes(-len(manifest) % 512)
    (tmp_path / "x.tar").write_bytes(whole)
    with ArchiveReader(tmp_path / "x.tar") as archive, pytest.raises(BrokenFile, match="manifest is damaged"):
        list(archive)
