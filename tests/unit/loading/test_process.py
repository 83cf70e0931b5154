"""The parent survives any child: endless output, silence, crashes, greed for memory, nonsense, forbidden acts."""

from __future__ import annotations

import threading
import time
import tracemalloc

import psutil
import pytest

from engine.errors import BrokenFile, FileTooLarge, NotFound
from engine.loading import process
from engine.loading.preview import render
from engine.loading.sandbox import parse
from engine.sections import Limits
from tests.fixtures.loading.tiny_files import TINY

FAST = Limits(parse_seconds=3.0, parse_memory_mb=300)
_CONFINED = (
    "import sys; sys.path.insert(0, sys.argv[1]); from engine.loading.child import confine; "
    "confine(memory_mb=300, cpu_seconds={});"
)
_PAGE = '{"page":{"number":1,"text":"%s","section":[],"blocks":[],"image":false}}'

EVIL = {
    "endless output without a line end": ("import os\nwhile True: os.write(1, b'x' * 65536)", FileTooLarge, "one page"),
    "endless records": (f"import os\nr = b'{_PAGE % ('x' * 60_000)}\\n'\nwhile 1: os.write(1, r)", FileTooLarge, "max_text_"),
    "endless pages": (f"import os\nr = b'{_PAGE % ''}\\n' * 99\nwhile True: os.write(1, r)", FileTooLarge, "max_pages"),
    "endless complaints": ("import os\nwhile True: os.write(2, b'x' * 65536)", FileTooLarge, "parse_seconds"),
    "silence": ("import time; time.sleep(99)", FileTooLarge, "parse_seconds"),
    "silence with closed pipes": ("import os, time; os.close(1); os.close(2); time.sleep(99)", FileTooLarge, "parse_seconds"),
    "endless loop": (_CONFINED.format(1) + "\nwhile True: pass", FileTooLarge, "parse_seconds"),
    "greed": (_CONFINED.format(9) + "x = bytearray(1 << 40)", FileTooLarge, "parse_memory_mb"),
    "crash": ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", BrokenFile, "SIGSEGV"),
    "killed": ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", FileTooLarge, "resources"),
    "exception": ("import sys; sys.exit(3)", BrokenFile, "exit code 3"),
    "nonsense": ("print('[1]')", BrokenFile, "nonsense"),
    "wrong record": ("print('{\"page\": {}}')", BrokenFile, "nonsense"),
    "half-way": (f"print('{_PAGE % ''}')", BrokenFile, "half-way"),
    "network": (_CONFINED.format(9) + "import socket; socket.socket()", BrokenFile, "PermissionError"),
    "program": (_CONFINED.format(9) + "import os; os.system('true')", BrokenFile, "PermissionError"),
    "file": (_CONFINED.format(9) + "open('evil-loader-output', 'w')", BrokenFile, "PermissionError"),
}  # fmt: skip


@pytest.mark.parametrize("evil", sorted(EVIL))
def test_parent_survives(evil, monkeypatch, tmp_path):
    code, error, says = EVIL[evil]
    monkeypatch.setattr(process, "_BOOT", code)
    (tmp_path / "a.txt").write_text("x")
    own = psutil.Process()
    start = time.monotonic()
    others = set(own.children())  # servers of other tests
    tracemalloc.start()  # not the whole process: other tests' servers grow and shrink in it
    try:
        with pytest.raises(error, match=says) as raised:
            parse(tmp_path / "a.txt", name="a", limits=FAST)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()
    assert raised.value.hint
    assert time.monotonic() - start < FAST.parse_seconds + 3
    assert set(own.children()) <= others


def test_the_child_sees_no_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("WORKBENCH_SECRET_KEY", "hunter2")
    code = "import os, json; print(json.dumps({'end': {'media_type': '', 'title': ' '.join(os.environ), 'warnings': []}}))"
    monkeypatch.setattr(process, "_BOOT", code)
    (tmp_path / "a.txt").write_text("x")
    title = parse(tmp_path / "a.txt", name="a", limits=FAST).title
    assert "LANG" in title
    assert "SECRET" not in title


def test_limits_are_named(tmp_path):
    name, data = TINY["application/pdf"]
    (tmp_path / name).write_bytes(data)
    for limit in ({"max_pages": 1}, {"max_text_chars": 10}, {"max_file_mb": 0}):
        with pytest.raises(FileTooLarge, match=next(iter(limit))):
            parse(tmp_path / name, name=name, limits=Limits(**limit))


def test_many_threads(tmp_path):
    name, data = TINY["text/plain"]
    (tmp_path / name).write_bytes(data)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(parse(tmp_path / name, name=name, limits=Limits()))) for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(map(repr, found))) == 1


def test_preview_draws_the_page_with_its_highlight(tmp_path):
    import io

    from PIL import Image

    name, data = TINY["application/pdf"]
    (tmp_path / name).write_bytes(data)
    text = parse(tmp_path / name, name=name, limits=Limits()).pages[0].text
    start = text.index("grew")
    options = {"media_type": "application/pdf", "width": 600, "limits": Limits()}
    image = render(tmp_path / name, page=1, highlight=[(start, start + 4)], **options)
    assert image is not None
    picture = Image.open(io.BytesIO(image.png))
    assert picture.size == (image.width, image.height) == (600, 776)
    (box,) = image.boxes
    yellow = [(x, y) for x in range(600) for y in range(776) if picture.getpixel((x, y))[2] < 140 < picture.getpixel((x, y))[0]]
    assert min(x for x, _ in yellow) == pytest.approx(box[0] * 600, abs=2)
    assert max(y for _, y in yellow) == pytest.approx(box[3] * 776, abs=2)
    with pytest.raises(NotFound):
        render(tmp_path / name, page=3, highlight=[], **options)
    assert render(tmp_path / name, page=1, highlight=[], **{**options, "media_type": "text/plain"}) is None
