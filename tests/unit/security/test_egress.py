"""Which addresses are refused, which are allowed, and in which form they are connected to."""

from __future__ import annotations

import ipaddress

import httpx2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from engine.errors import AccessDenied, AddressDenied, ConfigError, InputError
from engine.security.egress import Egress, canonical, kind_of, target
from tests.fixtures.addresses import HOSTILE, NAMES, PUBLIC, resolve

WEB = Egress(("public",), ports=(80, 443), resolve=resolve)


def reached(url: str, rules: Egress = WEB) -> tuple[str, ...]:
    found = target(url)
    return rules.addresses(found.host, found.port)


def test_the_table_is_long():
    assert len(set(HOSTILE)) > 150


@pytest.mark.parametrize("url", HOSTILE, ids=ascii)
def test_a_hostile_address_is_refused_without_repeating_it(url):
    with pytest.raises((InputError, AccessDenied)) as caught:
        reached(url)
    assert caught.value.hint
    assert len(url) < 6 or url not in str(caught.value) + caught.value.hint


@pytest.mark.parametrize(
    ("url", "as_connected"),
    [
        ("http://public.example", "http://public.example/"),
        ("HTTPS://Public.Example.:443/A?b=c#d", "https://public.example/A?b=c"),
        ("https://public.example:80/", "https://public.example:80/"),
        ("http://public.example:/x", "http://public.example/x"),
        ("  https://public.example/a%20b/é?q=ü&x=1@2\n", "https://public.example/a%20b/%C3%A9?q=%C3%BC&x=1@2"),
        ("http://bücher.example/", "http://xn--bcher-kva.example/"),
        ("http://public.example#@127.0.0.1/", "http://public.example/"),
        ("http://public.example/@127.0.0.1", "http://public.example/@127.0.0.1"),
        (f"http://{PUBLIC}/", f"http://{PUBLIC}/"),
        (f"http://[::ffff:{PUBLIC}]/", "http://[::ffff:5db8:d822]/"),
        ("http://[2606:2800:220:1:248:1893:25C8:1946]/", "http://[2606:2800:220:1:248:1893:25c8:1946]/"),
    ],
)
def test_a_public_address_is_read_in_one_form_and_allowed(url, as_connected):
    assert target(url).url == as_connected
    assert reached(url)


def test_every_address_of_a_name_comes_back_in_order():
    assert WEB.addresses("files.example", 443) == tuple(NAMES["files.example"])


@pytest.mark.parametrize(
    ("text", "kind"),
    [("8.8.8.8", "public"), ("127.9.9.9", "loopback"), ("::1", "loopback"), ("10.0.0.1", "private"), ("fd00::1", "private"),
     ("100.64.0.1", "special"), ("198.19.255.255", "special"), ("2001:db8::1", "special"), ("169.254.0.1", "never"), ("::", "never"),
     ("::ffff:10.0.0.1", "private"), ("::ffff:8.8.8.8", "public"), ("64:ff9b::808:808", "public"), ("64:ff9b::a00:1", "never"),
     ("2002:808:808::", "never"), ("2001:0:1::1", "never"), ("4000::1", "never"), ("2a00:1450::1", "public"), ("255.255.255.255", "never")],
)  # fmt: skip
def test_the_kind_of_an_address(text, kind):
    assert kind_of(ipaddress.ip_address(text)) == kind


def test_nothing_that_python_calls_special_is_public():
    for number in range(0, 2**32, 2**32 // 4099):
        address = ipaddress.IPv4Address(number)
        if kind_of(address) == "public":
            assert address.is_global
            assert not (address.is_multicast)
            assert not (address.is_reserved)
            assert not (address.is_link_local)


def test_metadata_and_link_local_are_refused_whatever_is_set():
    everything = Egress(
        ("public", "private", "loopback", "0.0.0.0/0", "::/0", "meta.example", "169.254.0.0/16"), resolve=resolve
    )
    for host in ("meta.example", "mapped.example", "link.example", "nat64.example", "sixtofour.example", "169.254.169.254",
                 "168.63.129.16", "100.100.100.200", "fd00:ec2::254", "fe80::1", "0.0.0.0", "::", "224.0.0.1"):  # fmt: skip
        with pytest.raises(AddressDenied):
            everything.addresses(host, 80)
    assert everything.addresses("mixed.example", 80) == (PUBLIC, "10.0.0.5")


@pytest.mark.parametrize(
    ("allow", "good", "bad"),
    [
        (("private",), ["lan.example", "ula.example", "192.168.1.9"], ["public.example", "loop.example", "mixed.example", PUBLIC]),
        (("loopback",), ["localhost", "127.0.0.1", "::1", "loop.example"], ["lan.example", "public.example"]),
        (("localhost",), ["localhost"], ["public.example"]),
        (("10.0.0.0/24",), ["lan.example", "10.0.0.9"], ["10.0.1.1", "lan192.example", "public.example"]),
        (("10.0.0.5",), ["lan.example", "::ffff:10.0.0.5"], ["10.0.0.6"]),
        (("100.64.0.0/10",), ["shared.example"], ["lan.example", "100.100.100.200"]),
        (("lan.example",), ["lan.example", "LAN.example."], ["10.0.0.5", "a.lan.example", "lan192.example", "public.example"]),
        (("*.example",), ["lan.example", "public.example"], ["loop.example", "meta.example", "intranet", PUBLIC]),
        (("public.example",), ["public.example"], ["other.example", PUBLIC]),
        ((), [], ["public.example", "localhost", PUBLIC]),
    ],
)  # fmt: skip
def test_what_an_entry_allows(allow, good, bad):
    rules = Egress(allow, resolve=resolve)
    for host in good:
        assert rules.addresses(host, 80), host
    for host in bad:
        with pytest.raises(AddressDenied):
            rules.addresses(host, 80)


def test_a_name_that_only_ends_like_a_listed_one_is_another():
    rules = Egress(("*.example.com",), resolve=lambda *_, **__: [(0, 0, 0, "", (PUBLIC, 80))])
    assert rules.addresses("a.b.example.com", 80)
    for host in ("example.com", "badexample.com", "example.com.evil.example"):
        with pytest.raises(AddressDenied):
            rules.addresses(host, 80)


def test_where_only_hosts_are_listed_no_other_name_is_looked_up():
    asked = []

    def spy(host, port, **_):
        asked.append(host)
        return resolve(host, port)

    rules = Egress(("files.example",), resolve=spy)
    with pytest.raises(AddressDenied):
        rules.addresses("secret-text.evil.example", 80)
    rules.addresses("files.example", 80)
    assert asked == ["files.example"]


def test_refused_and_unknown_names_read_the_same_and_only_the_audit_tells_them_apart():
    errors = []
    for host in ("lan.example", "nowhere.example", "127.0.0.1"):
        with pytest.raises(AddressDenied) as caught:
            WEB.addresses(host, 80)
        errors.append(caught.value)
    assert len({(str(error), error.hint) for error in errors}) == 1
    assert [error.by_rule for error in errors] == [True, False, True]


@pytest.mark.parametrize("entry", ["", " ", "0.0.0.0/99", "10.0.0.1/8", "*", "*.", "*.*.example", "http://x", "a b", "0x7f.1"])
def test_an_entry_that_means_nothing_is_told_at_the_start(entry):
    with pytest.raises(ConfigError, match="names no address"):
        Egress((entry,))


@pytest.mark.parametrize("host", ["0x7f.1", "1", "a" * 64, "a b", "é" * 300, "::g", ".", ""])
def test_a_host_in_an_odd_form_is_refused(host):
    with pytest.raises(InputError):
        canonical(host)


@given(st.text(alphabet="htp:/@#?[]\\.%0127xaä。１ \t-_&=", max_size=40).map(lambda text: f"http://{text}"))
@settings(max_examples=500, deadline=None)
@example("http://1.example:80/[]?a=[")
def test_the_connector_reads_an_address_as_it_was_judged(url):
    try:
        found = target(url)
    except InputError:
        return
    seen = httpx2.URL(found.url)
    assert (seen.scheme, seen.raw_host.decode(), seen.port or 80) == (found.scheme, found.host, found.port)
    assert not (seen.userinfo)
    assert not (seen.fragment)
    assert target(found.url) == found
