"""What is special to one format: encodings, dialects, merged cells, page breaks, menus, long pages."""

from __future__ import annotations

import io
from datetime import date, datetime
from pathlib import Path

import pytest

from engine.documents import Block
from engine.errors import UnsupportedFile
from engine.loading.csv import CsvLoader
from engine.loading.detect import detect
from engine.loading.docx import DocxLoader
from engine.loading.encoding import read_text
from engine.loading.flow import MAX_PAGE_CHARS, split_long
from engine.loading.html import HtmlLoader
from engine.loading.markdown import MarkdownLoader
from engine.loading.xlsx import XlsxLoader
from tests.fixtures.loading.tiny_files import paragraph, word

HEBREW = (
    "כל בני האדם נולדו בני חורין ושווים בערכם ובזכויותיהם. "
    "כולם חוננו בתבונה ובמצפון, לפיכך חובה עליהם לנהוג איש ברעהו ברוח של אחווה."
)
RUSSIAN = "Все люди рождаются свободными и равными в своем достоинстве и правах. Они наделены разумом и совестью."


def load(loader, tmp_path: Path, data: bytes | str):
    (tmp_path / "a").write_bytes(data.encode() if isinstance(data, str) else data)
    return loader.load(tmp_path / "a", name="a")


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Zoë", "utf-8"),
        ("Zoë", "utf-8-sig"),
        ("Zoë and others", "utf-16"),
        ("Zoe and others", "utf-16-le"),
        ("Zoe and others", "utf-16-be"),
        ("können äöüß", "latin-1"),
        ("“quotes” – dash", "cp1252"),
        (HEBREW, "iso-8859-8"),
        (RUSSIAN, "cp1251"),
        ("すべての人間は、生まれながらにして自由であり、かつ、尊厳と権利とについて平等である。", "shift_jis"),
    ],
)
def test_encodings(tmp_path, text, encoding):
    (tmp_path / "a").write_bytes(text.encode(encoding))
    assert read_text(tmp_path / "a") == (text, ())


def test_undecodable_bytes_are_told(tmp_path):
    (tmp_path / "a").write_bytes("é".encode() * 40_000 + b"\xff\xfe tail")
    text, warnings = read_text(tmp_path / "a")
    assert text.endswith("tail")
    assert warnings


@pytest.mark.parametrize(
    ("name", "data", "kind"),
    [
        ("a.txt", b'{"a": 1}', "text/plain"),
        ("a.txt", b"a,b\n1,2\n3,4\n", "text/plain"),
        ("a", b"a,b\n1,2\n3,4\n", "text/csv"),
        ("a", b"Dear all,\n\nwe met, and talked.\nBest, Ann\n", "text/plain"),
        ("a", b"# Title\n\nSome text\n\n- item\n", "text/markdown"),
        ("README.md", b"<p align=center>logo</p>\n\n# Title\n", "text/markdown"),
        ("a.pdf", b"<html><body>x</body></html>", "text/html"),
        ("a", "\ufeff<!DOCTYPE html><p>x".encode("utf-16"), "text/html"),
        ("a.yaml", b"a: 1\n", "text/plain"),
        ("a.csv", b"", "text/csv"),
    ],
)
def test_detection_of_text(tmp_path, name, data, kind):
    (tmp_path / "a").write_bytes(data)
    assert detect(tmp_path / "a", name=name) == kind


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"From a@b.c Fri Jan 1\nFrom: a@b.c\nTo: d@e.f\n\nhi", "mbox"),
        (b"\x1f\x8b\x08" + bytes(50), "gzip"),
        (bytes(4) + b"ftypheic" + bytes(50), "HEIC"),
    ],
)
def test_other_types_are_named_with_a_way_out(tmp_path, data, what):
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(UnsupportedFile, match=what) as raised:
        detect(tmp_path / "a", name="a")
    assert raised.value.hint


def test_csv_records_stay_on_one_line(tmp_path):
    page = load(CsvLoader(), tmp_path, 'name;note\n"Zoë";"two\nlines; and more"\n;;\nBob;"say ""hi"""\n').pages[0]
    assert page.text == 'name | note\nZoë | two lines; and more\nBob | say "hi"'
    assert page.blocks[0].header == "name | note"


def test_a_table_without_header_has_none(tmp_path):
    assert load(CsvLoader(), tmp_path, "1,2\n3,4\n5,6\n").pages[0].blocks[0].header == ""


def test_long_tables_are_split_at_rows_and_keep_their_header(tmp_path):
    rows = "".join(f"{n},value number {n}\n" for n in range(20_000))
    document = load(CsvLoader(), tmp_path, "id,value\n" + rows)
    assert len(document.pages) > 1
    for page in document.pages:
        assert len(page.text) <= MAX_PAGE_CHARS
        assert page.blocks[0].header == "id | value"
        assert page.text.strip().split("\n")[-1].startswith(tuple("0123456789"))
    assert "".join(page.text for page in document.pages).count("\n") == 20_000


def test_split_long_keeps_text_and_blocks():
    text = "x" * 150_000 + "\n" + "y" * 150_000
    parts = split_long(
        text, [Block(start=10, end=20, kind="heading", level=1), Block(start=149_000, end=160_000, kind="table")]
    )
    assert "".join(part for part, _ in parts) == text
    assert [[(b.start, b.end) for b in blocks] for _, blocks in parts] == [[(10, 20), (149_000, 150_001)], [(0, 9_999)]]


def test_markdown_blocks(tmp_path):
    text = "---\ntitle: The plan\n---\n## Sub ##\n```py\n# no\n```\n\nSet\n===\n\ntext\n---\n| a | b |\n|:-|-:|\n| 1 | 2 |\n"
    document = load(MarkdownLoader(), tmp_path, text)
    page = document.pages[0]
    assert page.text == text
    assert document.title == "The plan"
    found = [(b.kind, b.level, page.text[b.start : b.end]) for b in page.blocks]
    assert found == [
        ("heading", 2, "Sub"),
        ("code", 0, "```py\n# no\n```"),
        ("heading", 1, "Set"),
        ("heading", 2, "text"),
        ("table", 0, "| a | b |\n|:-|-:|\n| 1 | 2 |"),
    ]


def test_html_shows_what_a_reader_sees(tmp_path):
    html = (
        "<html><head><title>T</title></head><body><nav>menu</nav><script>bad()</script><h2>One<br>two</h2><p>a <b>b</b>\nc</p>"
        "<ul><li>x</li><li><p>y</p></li></ul><p hidden>gone</p>"
        "<table><tr><td><table><tr><td>in</td></tr></table></td></tr></table>"
        "<pre>k\n  v</pre></body></html>"
    )
    page = load(HtmlLoader(), tmp_path, html).pages[0]
    assert page.text == "One two\na b c\n- x\n- y\nin\nk\n  v\nmenu"
    assert [b.kind for b in page.blocks] == ["heading", "table", "code"]


def test_docx_breaks_boxes_and_deleted_text(tmp_path):
    box = (
        "<w:p><w:r><w:t>before</w:t></w:r><w:r><w:pict><w:txbxContent>"
        + paragraph("boxed")
        + "</w:txbxContent></w:pict></w:r></w:p>"
    )
    gone = "<w:p><w:del><w:r><w:delText>gone</w:delText></w:r></w:del><w:ins><w:r><w:t>kept</w:t></w:r></w:ins></w:p>"
    new_page = '<w:p><w:r><w:t>next</w:t><w:br w:type="page"/></w:r></w:p>'
    document = load(DocxLoader(), tmp_path, word(box + paragraph("after") + new_page + gone))
    assert [page.text for page in document.pages] == ["before\nafter\nnext\nboxed", "kept"]
    assert "Word may show others" in document.warnings[0]


def test_docx_pages_as_word_laid_them_out(tmp_path):
    rendered = "<w:p><w:r><w:t>a long </w:t><w:lastRenderedPageBreak/><w:t>sentence</w:t></w:r></w:p>"
    document = load(DocxLoader(), tmp_path, word(rendered + paragraph("second")))
    assert [page.text for page in document.pages] == ["a long sentence", "second"]
    assert document.warnings == ()


def test_xlsx_values_as_shown(tmp_path):
    from openpyxl import Workbook

    book = Workbook()
    sheet = book.active
    sheet.append(["Group", "When", "Share", "Sum", "Flag"])
    sheet.append(["North", date(2024, 2, 29), 0.125, 0.1 + 0.2, True])
    sheet.append([None, datetime(2024, 3, 1, 8, 30), 0.5, 12, False])
    sheet["C2"].number_format = "0.0%"
    sheet["C3"].number_format = "0%"
    sheet.merge_cells("A2:A3")
    buffer = io.BytesIO()
    book.save(buffer)
    page = load(XlsxLoader(), tmp_path, buffer.getvalue()).pages[0]
    assert page.section == ("Sheet",)
    assert page.text.split("\n") == [
        "Group | When | Share | Sum | Flag",
        "North | 2024-02-29 | 12.5% | 0.3 | TRUE",
        "North | 2024-03-01 08:30 | 50% | 12 | FALSE",
    ]
