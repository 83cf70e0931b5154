"""The one function that fetches: over real sockets to servers on loopback, which stand where a public address would be."""

from __future__ import annotations

import datetime
import gzip
import itertools
import socket
import ssl
import threading
from contextlib import contextmanager, suppress

import httpcore2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from engine.errors import AddressDenied, EngineError, FileTooLarge, InputError
from engine.security import fetch as fetching
from engine.security.egress import Egress
from engine.security.fetch import fetch
from engine.types import Endpoint
from tests.fixtures.addresses import HOSTILE, NAMES, PUBLIC, resolve
from tests.upstreams.server import Reply, Upstream, serving

SENTENCE = b"Holidays: thirty days of paid leave."


class Elsewhere(httpcore2.AnyIOBackend):
    """Connects to a server of the test, whatever address it is told, and keeps what it was told."""

    def __init__(self, url: str) -> None:
        self.port = int(url.rpartition(":")[2])
        self.told: list[tuple[str, int]] = []

    async def connect_tcp(self, host, port, **options):
        self.told.append((host, port))
        return await super().connect_tcp("127.0.0.1", self.port, **options)


@pytest.fixture
def server():
    with serving(Upstream(), lambda url: Endpoint(base_url=url)) as running:
        running.routes = lambda call: Reply(body=SENTENCE, content_type="text/plain; charset=utf-8")
        yield running


@pytest.fixture
def network(server):
    return Elsewhere(server.url)


@pytest.fixture
def get(network):
    async def got(url, *, rules=None, max_bytes=2**20, seconds=20.0, max_redirects=5):
        rules = rules or Egress(("public",), ports=(80, 443), resolve=resolve)
        return await fetch(url, rules=rules, max_bytes=max_bytes, seconds=seconds, max_redirects=max_redirects, network=network)

    return got


def leads_to(*places):
    """Answer the n-th request with a redirect to the n-th place, then with the file."""
    left = iter(places)

    def route(call):
        place = next(left, None)
        if place is None:
            return Reply(body=SENTENCE, content_type="text/plain")
        return Reply(status=302, headers={"Location": place}, body=b"")

    return route


async def test_a_file_comes_from_the_address_that_was_judged(get, server, network):
    found = await get("http://public.example/a%20b/report.txt?token=x#part")
    assert (found.content, found.media_type, found.file_name) == (SENTENCE, "text/plain", "report.txt")
    assert found.final_url == "http://public.example/a%20b/report.txt?token=x"
    assert network.told == [(PUBLIC, 80)]
    call = server.calls[0]
    assert call.path == "/a%20b/report.txt?token=x"
    assert call.headers["host"] == "public.example"
    assert call.headers["accept-encoding"] == "identity"
    assert call.headers["user-agent"] == "RAG-Workbench"
    assert not {"cookie", "authorization", "referer"} & set(call.headers)
    assert SENTENCE.decode() not in repr(found)


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
async def test_nothing_is_connected_to_for_a_hostile_address(get, network, url):
    with pytest.raises(EngineError):
        await get(url)
    assert network.told == []


IN_A_HEADER = [url for url in HOSTILE if url.strip() and not any(one in "\r\n\0" or "\ud800" <= one <= "\udfff" for one in url)]


@pytest.mark.parametrize("url", IN_A_HEADER, ids=ascii)
async def test_no_redirect_leads_to_a_hostile_address(get, server, network, url):
    server.routes = leads_to(url.encode().decode("latin-1"))
    # What has no scheme is a path on the same server.
    with pytest.raises(EngineError) if ":" in url.partition("/")[0] else suppress(EngineError):
        await get("http://public.example/start")
    assert {host for host, _ in network.told} == {PUBLIC}


async def test_a_redirect_is_judged_from_the_start(get, server, network):
    server.routes = leads_to("http://other.example/next", "/last.txt")
    found = await get("http://public.example/first")
    assert (found.final_url, found.file_name) == ("http://other.example/last.txt", "last.txt")
    assert network.told == [(PUBLIC, 80), ("198.41.0.4", 80), ("198.41.0.4", 80)]
    assert [call.headers["host"] for call in server.calls] == ["public.example", "other.example", "other.example"]


async def test_cookies_of_a_server_are_not_sent_back(get, server):
    def route(call):
        headers = {"Set-Cookie": "a=b; Path=/"}
        return Reply(status=302, headers=headers | {"Location": "/x"}, body=b"") if call.path == "/" else Reply(body=SENTENCE)

    server.routes = route
    await get("http://public.example/")
    assert "cookie" not in server.calls[1].headers


async def test_a_chain_of_redirects_ends(get, server):
    server.routes = leads_to(*["/again"] * 5)
    assert (await get("http://public.example/")).content == SENTENCE
    server.routes = leads_to(*["/again"] * 6)
    with pytest.raises(InputError, match="more than 5 times"):
        await get("http://public.example/")


async def test_a_name_that_changes_its_address_is_judged_at_each_connection(get, network, server):
    answers = itertools.chain([[PUBLIC]], itertools.repeat(["127.0.0.1"]))
    asked = []

    def rebinding(host, port, **_):
        asked.append(host)
        return [(0, 0, 0, "", (text, port)) for text in next(answers)]

    rules = Egress(("public",), ports=(80,), resolve=rebinding)
    assert (await get("http://rebind.example/", rules=rules)).content == SENTENCE
    assert (network.told, asked) == ([(PUBLIC, 80)], ["rebind.example"])  # one look-up: nothing could change in between
    with pytest.raises(AddressDenied):
        await get("http://rebind.example/", rules=rules)
    answers = itertools.chain([[PUBLIC]], itertools.repeat(["127.0.0.1"]))
    server.routes = leads_to("/second")
    with pytest.raises(AddressDenied):
        await get("http://rebind.example/", rules=rules)
    assert {host for host, _ in network.told} == {PUBLIC}


async def test_where_nothing_answers_it_reads_like_a_refusal(server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    rules = Egress(("loopback",), resolve=resolve)
    texts = set()
    # Closed; not to be found; refused by a rule; no TLS spoken there.
    for url in (
        f"http://127.0.0.1:{port}/",
        "http://nowhere.example/",
        "http://10.0.0.5/",
        server.url.replace("http", "https"),
    ):
        with pytest.raises(AddressDenied) as caught:
            await fetch(url, rules=rules, max_bytes=100, seconds=5)
        texts.add((type(caught.value), str(caught.value), caught.value.hint))
    assert len(texts) == 1


async def test_size_is_bounded_told_or_not(get, server):
    server.routes = lambda call: Reply(body=b"x" * 1000)
    assert len((await get("http://public.example/", max_bytes=1000)).content) == 1000
    with pytest.raises(FileTooLarge):
        await get("http://public.example/", max_bytes=999)
    server.routes = lambda call: Reply(stream=itertools.repeat(b" " * 50_000))
    with pytest.raises(FileTooLarge):
        await get("http://public.example/")
    assert server.wait_until_no_stream()
    server.routes = lambda call: Reply(body=b"x", headers={"Content-Length": "9" * 40})
    with pytest.raises(EngineError):
        await get("http://public.example/")


async def test_a_compressed_answer_is_not_unpacked(get, server):
    server.routes = lambda call: Reply(body=gzip.compress(b" " * 50_000_000), headers={"Content-Encoding": "gzip"})
    with pytest.raises(InputError, match="compressed"):
        await get("http://public.example/")


async def test_time_is_bounded_for_everything_together(get, server):
    server.slow = 0.1
    server.routes = lambda call: Reply(stream=itertools.repeat(b" "))
    with pytest.raises(InputError, match="within 1 s"):
        await get("http://public.example/", seconds=1)
    assert server.wait_until_no_stream()
    server.fail("hang")
    with pytest.raises(InputError, match="within 1 s"):
        await get("http://public.example/", seconds=1)


@pytest.mark.parametrize("head", [b"X-A: " + b"a" * 2_000_000, b"X-A: a\r\n" * 200_000, b"garbage\0", b"Content-Length: -1"])
async def test_headers_are_bounded(get, network, head):
    def answer():
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"HTTP/1.1 200 OK\r\n" + head + b"\r\n\r\nx")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        network.port = listener.getsockname()[1]
        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(InputError, match="broke off"):
            await get("http://public.example/", seconds=5)


@pytest.mark.parametrize("fault", ["reset", "404", "401", "500", "429"])
async def test_a_server_that_fails_is_told_without_its_words(get, server, fault):
    server.fail(fault)
    with pytest.raises(InputError) as caught:
        await get("http://public.example/x?token=secret")
    assert "canary" not in str(caught.value)
    assert "secret" not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("path", "disposition", "name"),
    [
        ("/a/report.pdf", "", "report.pdf"),
        ("/a/b%C3%BCro.pdf?x=/y.txt", "", "büro.pdf"),
        ("/", "", "public.example"),
        ("/a/", "", "public.example"),
        ("/get?id=1", "attachment; filename=real.docx", "real.docx"),
        ("/get", 'attachment; filename="../../etc/passwd"', "passwd"),
        ("/get", 'attachment; filename="..\\\\..\\\\boot.ini"', "boot.ini"),
        ("/get", "attachment; filename*=UTF-8''b%C3%BCro.pdf", "büro.pdf"),
        ("/get", "attachment; filename*=nonsense''%ff%fe", None),
        ("/get", "attachment; filename*=utf-8", None),
        ("/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "", "passwd"),
    ],
)
async def test_a_file_name_is_the_last_part_of_what_the_server_says(get, server, path, disposition, name):
    headers = {"Content-Disposition": disposition} if disposition else {}
    server.routes = lambda call: Reply(body=SENTENCE, headers=headers)
    found = (await get(f"http://public.example{path}")).file_name
    assert found == name if name else found
    assert "/" not in found


@pytest.fixture
def certificate(tmp_path):
    """A certificate for files.example, and the context of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "files.example")])
    start = datetime.datetime.now(datetime.UTC) - datetime.timedelta(days=1)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=9))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("files.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = made.public_bytes(serialization.Encoding.PEM)
    secret = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "tls.pem").write_bytes(secret + pem)
    return tmp_path / "tls.pem", pem.decode()


@contextmanager
def tls_server(path, seen):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    context.sni_callback = lambda _socket, name, _context: seen.append(name)

    def serve():
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), context.wrap_socket(connection, server_side=True) as line:
                    request = line.recv(5000).decode()
                    seen.append(request.split("\r\n")[1] if "\r\nHost" in request else request)
                    place = b"Location: http://files.example/plain\r\n" if "/down" in request else b""
                    status = b"302 Found" if place else b"200 OK"
                    line.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Length: 2\r\n" + place + b"\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


async def test_tls_names_the_host_and_its_certificate_must_be_for_it(get, network, certificate, monkeypatch):
    path, pem = certificate
    monkeypatch.setattr(fetching, "_tls", lambda: ssl.create_default_context(cadata=pem))
    seen = []
    with tls_server(path, seen) as network.port:
        assert (await get("https://files.example/a")).content == b"ok"
        assert network.told == [(NAMES["files.example"][0], 443)]
        assert seen == ["files.example", "Host: files.example"]
        with pytest.raises(AddressDenied):
            await get("https://public.example/a")  # the certificate is for another host
        with pytest.raises(AddressDenied):
            await get("https://files.example/down")  # https does not lead to http
    assert {port for _, port in network.told} == {443}


async def test_a_certificate_nobody_vouches_for_is_refused(get, network, certificate):
    with tls_server(certificate[0], []) as network.port, pytest.raises(AddressDenied):
        await get("https://files.example/a")


async def test_neither_proxy_nor_password_file_of_the_machine_is_used(get, server, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine public.example login u password p\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    await get("http://public.example/")
    assert "authorization" not in server.calls[0].headers
