"""The form of a request: what is ambiguous, hidden or too large is refused before anybody is asked who sent it."""

import json

import pytest

from engine.security.bodies import texts_of_body
from engine.security.options import Options, options_from
from engine.security.refusals import Refused
from engine.security.request import Request
from engine.security.validation import check_request

JSON = (b"content-type", b"application/json")


def request(method="POST", target=b"/chat", query=b"", headers=(), kind="http"):
    return Request(
        kind=kind,
        method=method,
        path=target.decode("latin-1"),
        target=target,
        query=query,
        headers=list(headers),
        peer="",
        secure=False,
    )


def refused(options=None, **parts):
    with pytest.raises(Refused) as caught:
        check_request(request(**parts), options or Options())
    return caught.value.status


@pytest.mark.parametrize(
    "parts",
    [
        {},
        {"method": "GET", "target": b"/a/b%20c/%C3%BC", "query": b"q=100%25&text=%E2%82%AC+a..b"},
        {"method": "GET", "target": b"/a..b/...", "query": b"file=../x"},
        {"headers": [JSON, (b"content-length", b"10")]},
        {"headers": [(b"content-type", b"Application/JSON; charset=utf-8"), (b"transfer-encoding", b"chunked")]},
        {"headers": [(b"content-type", b"multipart/form-data; boundary=x"), (b"content-length", b"5000000")]},
        {"headers": [(b"user-agent", "caf\xe9\t".encode("latin-1"))]},
        {"kind": "websocket", "method": "GET"},
    ],
)
def test_ordinary_requests_pass(parts):
    check_request(request(**parts), Options())


@pytest.mark.parametrize(
    "target",
    [
        b"/a%00b", b"/a%0d%0ab", b"/a%7f", b"/%", b"/%2", b"/%zz", b"/%c0%af", b"/%e0%80%af", b"/%ff", b"/%ed%a0%80", b"/%c2%85",
        b"/../etc/passwd", b"/a/..", b"/%2e%2e/x", b"/a/%2E./x", b"/..%2fx", b"/..%5cx", b"/a\\..\\x", b"/%252e%252e/x", b"/%250d",
    ],
)  # fmt: skip
def test_paths_that_hide_something_are_refused(target):
    assert refused(target=target) == 400


@pytest.mark.parametrize("query", [b"q=%00", b"q=a%0Ab", b"q=%", b"q=100%", b"q=%c0%80", b"q=%ff"])
def test_queries_that_hide_something_are_refused(query):
    assert refused(query=query) == 400


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(b"content-length", b"10")], 415),
        ([(b"content-type", b"text/xml"), (b"content-length", b"10")], 415),
        ([(b"content-type", b"text/xml"), (b"transfer-encoding", b"chunked")], 415),
        ([JSON, (b"content-length", b"1048577")], 413),
        ([(b"content-type", b"multipart/form-data"), (b"content-length", b"10485761")], 413),
        ([JSON, (b"content-length", b"-1")], 400),
        ([JSON, (b"content-length", b"1e3")], 400),
        ([JSON, (b"content-length", "٣".encode("latin-1", "replace"))], 400),
        ([JSON, (b"content-length", b"9" * 30)], 400),
        ([JSON, (b"content-length", b"5"), (b"transfer-encoding", b"chunked")], 400),
        ([JSON, JSON], 400),
        ([(b"authorization", b"Bearer a"), (b"authorization", b"Bearer b")], 400),
        ([(b"x", b"a\x00b")], 400),
        ([(b"x", b"a\nb")], 400),
        ([(b"x", b"a")] * 101, 431),
        ([(b"x", b"a" * 17_000)], 431),
    ],
)
def test_headers_that_are_ambiguous_or_too_many(headers, status):
    assert refused(headers=headers) == status


def test_other_methods_and_long_addresses():
    assert refused(method="TRACE") == 405
    assert refused(method="get") == 405
    assert refused(query=b"q" * 9000) == 414


def texts(body, content_type=b"application/json", **options):
    return texts_of_body(
        request(headers=[(b"content-type", content_type)]), body, options_from({"enable_auth": False, **options})
    )


def test_all_texts_of_json_are_found_names_too():
    assert sorted(texts(b'{"a": ["b", {"c": "d"}], "e": 1, "f": null}')) == ["a", "b", "c", "d", "e", "f"]
    assert texts(b"") == []


@pytest.mark.parametrize(
    "body",
    [
        b"{", b'{"a": 1, "a": 2}', b'[{"b": {"a": 1, "a": 1}}]', b'{"a": NaN}', b"[Infinity]", b'"\xff"', b'\xef\xbb\xbf{}', b"[1,]",
        b"[" * 33 + b"]" * 33, b"[" * 500_000, b'{"a":' * 100_000, b"1" * 5000, b"[" + b"1," * 50_000 + b"1]",
    ],
)  # fmt: skip
def test_json_that_is_ambiguous_or_too_deep_is_refused(body):
    with pytest.raises(Refused) as caught:
        texts(body)
    assert caught.value.status == 400


def test_the_depth_is_counted_exactly():
    assert texts(b"[" * 32 + b"]" * 32) == []
    assert texts(json.dumps([[["x"]]]).encode(), max_json_depth=3) == ["x"]
    with pytest.raises(Refused):
        texts(json.dumps([[["x"]]]).encode(), max_json_depth=2)


def test_forms_give_names_and_values():
    form = b"application/x-www-form-urlencoded"
    assert texts(b"a=1&b=%C3%BC&c=", form) == ["a", "1", "b", "ü", "c", ""]
    for wrong in (b"a=%ff", b"a=1&b=2&c=3"):
        with pytest.raises(Refused):
            texts(wrong, form, max_json_values=2)
