"""The host for which a proxy sends a request is found."""

from __future__ import annotations

import pytest

from holdfast.cli.server.forwarded_for import TrustedProxies

PROXIES = TrustedProxies(["127.0.0.1", "10.0.0.0/8", "2001:db8::1"])
OF_PROXY = "127.0.0.1 (a proxy, for others)"


@pytest.mark.parametrize(
    ("peer", "values", "host"),
    [
        ("127.0.0.1", [], None),
        ("203.0.113.9", [], None),
        ("127.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1, 198.51.100.7, 10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["1.1.1.1", "198.51.100.7", "10.1.2.3"], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7:4711"], "198.51.100.7"),
        ("127.0.0.1", ['"[2001:db8:5::7]:4711"'], "2001:db8:5::/64"),
        ("2001:db8::1", ["2001:db8:5::7"], "2001:db8:5::/64"),
        ("::ffff:10.0.0.1", ["198.51.100.7"], "198.51.100.7"),
        ("127.0.0.1", ["198.51.100.7, unknown"], OF_PROXY),
        ("127.0.0.1", [""], OF_PROXY),
        ("127.0.0.1", ["10.0.0.1"], OF_PROXY),
        ("203.0.113.9", ["198.51.100.7"], "203.0.113.9 (a proxy, for others)"),
    ],
)
def test_the_last_untrusted_hop_is_the_host(peer: str, values: list[str], host: str | None) -> None:
    headers = [(b"host", b"a"), *((b"x-forwarded-for", value.encode()) for value in values)]
    assert PROXIES.client_host(peer, headers) == host


@pytest.mark.parametrize("name", [b"forwarded", b"x-real-ip", b"cf-connecting-ip"])
def test_requests_without_a_readable_host_count_for_one_common_host(name: bytes) -> None:
    assert PROXIES.client_host("127.0.0.1", [(name, b"198.51.100.7")]) == OF_PROXY


def test_no_proxy_is_trusted_by_default() -> None:
    assert not TrustedProxies().contains("127.0.0.1")
    assert PROXIES.contains("10.9.9.9")
    assert not PROXIES.contains("")
