"""What is particular to mail, EPUB, RTF, OpenDocument, JSON, XML and code."""

from __future__ import annotations

import base64
import json
from email.message import EmailMessage

import pytest

from engine import registry
from engine.documents import Document
from engine.errors import PasswordNeeded, UnsupportedFile
from engine.loading.detect import detect
from engine.loading.rtf_tokens import tokens
from tests.fixtures.loading.tiny_files import TINY
from tests.fixtures.loading.tiny_more import MAIL, ODP, ODS, ODT, PAGE, epub, odf, packed


@pytest.mark.parametrize("start", ["<!-- a -->\n" * 500, "<!---->" * 1_000])
def test_a_page_that_begins_with_many_comments_is_told_apart_at_once(tmp_path, start):
    (tmp_path / "a").write_text(f"{start}<html>x")
    assert detect(tmp_path / "a", name="a") == "text/html"
    (tmp_path / "a").write_text(f"{start}<x>x")  # took 2 to the power of their number
    assert detect(tmp_path / "a", name="a") == "text/plain"


@pytest.fixture
def load(tmp_path):
    def read(name: str, data: bytes | str) -> Document:
        path = tmp_path / name
        path.write_bytes(data.encode() if isinstance(data, str) else data)
        kind = detect(path, name=name)
        return registry.build(registry.LOADERS, "loader", kind).load(path, name=name)

    return read


def text(document: Document) -> str:
    return "\n".join(page.text for page in document.pages)


def headings(document: Document) -> list[str]:
    return [page.text[one.start : one.end] for page in document.pages for one in page.blocks if one.kind == "heading"]


def tables(document: Document) -> list[tuple[str, str]]:
    found = [(page.text, one) for page in document.pages for one in page.blocks if one.kind == "table"]
    return [(page[one.start : one.end], one.header) for page, one in found]


def mail(*attachments: tuple[str, bytes]) -> bytes:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@example.com", "b@example.com", "Ünïcode results"
    message.set_content("Plain words")
    message.add_alternative("<p>Rich words</p>", subtype="html")
    for name, data in attachments:
        message.add_attachment(data, maintype="application", subtype="octet-stream", filename=name)
    return message.as_bytes()


def test_attachments_follow_the_mail_under_their_name(load):
    names = ["application/pdf", ODT, "text/markdown", "application/epub+zip"]
    document = load("a.eml", mail(*(TINY[kind] for kind in names), ("inner.eml", MAIL.encode())))
    assert document.title == "Ünïcode results"
    first = document.pages[0].text
    assert "Subject: Ünïcode results" in first
    assert "Plain words" in first
    assert "Rich words" not in first
    sections = {page.section[0] for page in document.pages[1:]}
    assert sections == {*(f"attachment: {TINY[kind][0]}" for kind in names), "attachment: inner.eml"}
    assert [page.number for page in document.pages] == list(range(1, len(document.pages) + 1))
    assert text(document).count("Revenue grew") == 5
    assert document.warnings == ()


def test_attachments_that_cannot_be_read_are_named(load):
    document = load(
        "a.eml", mail(("a.bin", bytes(range(256)) * 9), ("broken.docx", TINY[ODT][1][:300]), ("all.zip", packed({"a": b"b"})))
    )
    assert len(document.pages) == 1
    assert [next(name for name in ("a.bin", "broken.docx", "all.zip") if name in one) for one in document.warnings] == [
        "a.bin",
        "broken.docx",
        "all.zip",
    ]


def test_an_attached_picture_is_named_with_a_way_to_its_text(load):
    (warning,) = load("a.eml", mail(("scan.png", TINY["image/png"][1]))).warnings
    assert "'scan.png' holds no text" in warning
    assert "upload it by itself" in warning


def test_mails_within_mails_end_somewhere(load):
    data = mail()
    for _ in range(8):
        data = mail(("deeper.eml", data))
    document = load("a.eml", data)
    assert text(document).count("Plain words") == 4
    assert "nested too deep" in document.warnings[0]


@pytest.mark.parametrize(
    ("charset", "words"),
    [("iso-8859-8-i", "שלום עולם"), ("utf-16", "Grüße"), ("no-such-charset", "ascii words"), ("cp1252", "Zoë…")],
)
def test_charsets_of_mail(load, charset, words):
    name = {"iso-8859-8-i": "iso-8859-8", "no-such-charset": "ascii"}.get(charset, charset)
    body = base64.b64encode(words.encode(name)).decode()
    data = f"From: a@b.c\nTo: d@e.f\nContent-Type: text/plain; charset={charset}\nContent-Transfer-Encoding: base64\n\n{body}\n"
    assert words in text(load("a.eml", data))


def test_epub_keeps_reading_order_and_survives_xhtml(load):
    chapters = {"z.xhtml": PAGE, "a.xhtml": "<html><body><a id='x'/><h2>Outlook</h2><p hidden=''>secret</p></body></html>"}
    document = load("a.epub", epub(chapters))
    assert len(document.pages) == 2
    assert headings(document) == ["Results", "Outlook"]
    assert "secret" not in text(document)
    assert "hidden" in document.warnings[0]
    assert document.title == "Annual results"


def test_a_book_with_drm_says_so(load):
    data = packed({
        "mimetype": "application/epub+zip",
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="a.opf"/></rootfiles></container>',
        "META-INF/encryption.xml": '<encryption><EncryptionMethod Algorithm="http://www.w3.org/2001/04/xmlenc#aes256-cbc"/></encryption>',
    })  # fmt: skip
    with pytest.raises(UnsupportedFile, match="DRM"):
        load("a.epub", data)


def test_rtf_characters_fonts_and_hidden_text(load):
    document = load(
        "a.rtf",
        rb"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 A;}{\f1\fcharset204 B;}{\f2\fcharset128 C;}}"
        rb"{\colortbl;\red255\green255\blue255;\red1\green2\blue3;}{\info{\title T}{\author Nobody}}{\*\unknown drop}"
        rb"Caf\'e9 {\f1 \'cc\'e8\'f0} {\f2 \'93\'fa\'96\'7b} {\uc2 \u8364 ??}{\u-10179 ?\u-8704 ?} a\\b\{c\}{\v secret words}"
        rb"{\cf1 white words}{\cf1\highlight2 seen}{\fs2 tiny words}{\field{\*\fldinst HYPERLINK x}{\fldrslt link}}\par"
        rb"{\pict\bin5 {{{{{}{\header top}\page Next page\par}",
    )
    first = document.pages[0].text
    assert first == "Café Мир 日本 €😀 a\\b{c}seenlink"
    assert document.pages[1].text == "Next page"
    assert document.title == "T"
    assert "3 hidden passages" in document.warnings[1]


def test_rtf_tokens_pass_over_binary_data():
    assert [token[1] for token in tokens(rb"\b1 x\bin3 }}}y\'41")] == [b"b", b"x", b"y", b"A"]


def test_opendocument_hidden_text_spaces_and_pages(load):
    styles = (
        '<style:style style:name="H"><style:text-properties text:display="none"/></style:style>'
        '<style:style style:name="W"><style:text-properties fo:color="#ffffff"/></style:style>'
    )
    document = load(
        "a.odt",
        odf(
            ODT,
            "<office:text><text:p>a<text:s text:c='3'/>b<text:tab/>c<text:note><text:note-body><text:p>the note</text:p>"
            "</text:note-body></text:note> d</text:p><text:p>x <text:span text:style-name='H'>secret</text:span> y "
            "<text:span text:style-name='W'>white</text:span></text:p><text:section text:display='none'><text:p>gone</text:p>"
            "</text:section><text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:list><text:list-item>"
            "<text:p>one<text:soft-page-break/></text:p></text:list-item></text:list><text:p>last</text:p></office:text>",
            styles=styles,
        ),
    )
    assert [page.text for page in document.pages] == ["a   b\tc d\nx  y\n- one", "last\nthe note"]
    assert "3 hidden passages" in document.warnings[0]


def test_hidden_sheets_and_slides(load):
    style = '<style:style style:name="H"><style:{}-properties {}/></style:style>'
    cell = "<table:table-row><table:table-cell><text:p>{}</text:p></table:table-cell></table:table-row>"
    sheets = "".join(
        f'<table:table table:name="{name}" {extra}>{cell.format(name)}</table:table>'
        for name, extra in (("Seen", ""), ("Gone", 'table:style-name="H"'))
    )
    book = load(
        "a.ods",
        odf(ODS, f"<office:spreadsheet>{sheets}</office:spreadsheet>", styles=style.format("table", 'table:display="false"')),
    )
    assert [(page.section, page.text) for page in book.pages] == [(("Seen",), "Seen")]
    slides = (
        '<draw:page><draw:custom-shape><text:p>Seen</text:p></draw:custom-shape></draw:page><draw:page draw:style-name="H"/>'
    )
    hidden = style.format("drawing-page", 'presentation:visibility="hidden"')
    show = load("a.odp", odf(ODP, f"<office:presentation>{slides}</office:presentation>", styles=hidden))
    assert [page.text for page in show.pages] == ["Seen", ""]


def test_locked_opendocument_needs_its_password(load):
    lock = '<m xmlns:manifest="x"><manifest:encryption-data/></m>'
    with pytest.raises(PasswordNeeded):
        load("a.odt", packed({"mimetype": ODT, "META-INF/manifest.xml": lock, "content.xml": b"\x00"}))


def test_json_numbers_and_nesting_are_kept_as_written(load):
    data = {"price": 0, "offices": [{"name": "North", "address": {"city": "Kiel"}, "tags": ["a", "b"]}, {"name": "South"}]}
    document = load("a.json", json.dumps(data).replace('"price": 0', '"price": 1.10, "big": 123456789012345678901234567890'))
    assert text(document) == (
        "price: 1.10\nbig: 123456789012345678901234567890\noffices\n[1] North\nname: North\naddress.city: Kiel\ntags: a, b\n"
        "[2] South\nname: South"
    )
    assert headings(document) == ["offices", "[1] North", "[2] South"]


def test_what_is_no_json_is_read_as_text_and_told(load):
    document = load("a.json", '{"name": "John",\n "age"')
    assert "John" in text(document)
    assert "line 2" in document.warnings[0]
    lines = load("a.jsonl", '{"a": 1}\nnot json\n{"a": 2}')
    assert "not json" in text(lines)
    assert "1 lines" in lines.warnings[0]


def test_xml_prose_fields_and_attributes(load):
    document = load(
        "a.xml",
        "<!DOCTYPE article PUBLIC 'x' 'http://127.0.0.1/none.dtd'><article lang='en'><title>Report</title><para>One <b>bold</b> word."
        "</para><price currency='EUR'>5</price><list><row id='1' v='a'/><row id='2' v='b'/></list><!-- no --></article>",
    )
    assert text(document) == "article\nlang: en\nReport\nOne bold word.\nprice: 5 (currency: EUR)\nlist\nid | v\n1 | a\n2 | b"
    assert tables(document) == [("id | v\n1 | a\n2 | b", "id | v")]
    assert document.title == "Report"


@pytest.mark.parametrize(
    ("name", "source", "units"),
    [
        ("a.py", "import os\n\n# about A\nclass A:\n    async def f(self):\n        pass\n\ndef g(): ...\n", ["class A", "async def f", "def g"]),
        ("a.ts", "export default class A {\n  x = 1\n}\nexport const f = async (a) => a\n", ["export default class A", "export const f"]),
        ("a.go", "type T struct {\n}\n\nfunc (t *T) Sum(a int) int {\n}\n", ["type T", "func (t *T) Sum"]),
        ("a.c", "int x = f(1);\nstatic int sum(int a)\n{\n  if (a) {\n  }\n  return a;\n}\n", ["static int sum"]),
        ("A.java", "public class A {\n  public void run() {\n  }\n}\n", ["public class A", "public void run"]),
        ("a.sql", "CREATE TABLE t (a int);\ncreate view v as select 1;\n", ["CREATE TABLE t", "create view v"]),
        ("a.rs", "pub(crate) fn sum<T>(a: T) -> T {\n}\nimpl Row {\n}\n", ["pub(crate) fn sum", "impl Row"]),
        ("a.txt2", "#!/bin/sh\nfunction go {\n}\n", ["function go"]),
    ],
)  # fmt: skip
def test_code_stays_letter_by_letter_and_definitions_are_headings(load, name, source, units):
    document = load(name, source)
    assert text(document) == source
    assert headings(document) == units


def test_prose_in_code_is_no_definition(load):
    document = load("a.py", '"""\ntype of things\nclass of its own\nmessage to you, dear reader\n"""\n')
    assert headings(document) == []
