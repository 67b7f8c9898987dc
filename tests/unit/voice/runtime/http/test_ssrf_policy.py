"""Which addresses may be connected to."""

import pytest

from holdfast.voice.runtime.http.errors import AddressRefused, WebhookSettingInvalid
from holdfast.voice.runtime.http.ssrf_policy import SsrfPolicy, policy_of

PUBLIC = ["93.184.215.14", "8.8.8.8", "2606:2800:21f:cb07:6820:80da:af6b:8b2c", "::ffff:8.8.8.8", "64:ff9b::808:808"]
LOOPBACK = ["127.0.0.1", "127.255.255.254", "::1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"]
PRIVATE = [
    "10.1.2.3",
    "172.16.0.1",
    "192.168.0.1",
    "100.64.0.1",
    "169.254.169.254",
    "fd00:ec2::254",
    "fe80::1",
    "fec0::1",
    "fe80::1%eth0",
    "fc00::1",
    "::ffff:169.254.169.254",
    "::ffff:10.0.0.1",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::",
    "2001:0:5ef5:79fb::5601:5601",  # Teredo of 169.254.169.254
    "::10.0.0.1",
    "0.0.0.0",
    "::",
    "255.255.255.255",
    "224.0.0.1",
    "ff02::1",
    "240.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
]


def refused(reach: SsrfPolicy, address: str, host: str = "hooks.example", port: int = 443) -> bool:
    try:
        reach.check(host, port, address)
    except AddressRefused:
        return True
    return False


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are_reached(address: str) -> None:
    assert not refused(SsrfPolicy(), address)


@pytest.mark.parametrize("address", LOOPBACK)
def test_loopback_only_while_it_is_allowed(address: str) -> None:
    assert refused(SsrfPolicy(), address)
    assert not refused(SsrfPolicy(loopback=True), address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_refused_even_while_loopback_is_allowed(address: str) -> None:
    assert refused(SsrfPolicy(loopback=True), address)


def test_an_invalid_address_is_refused() -> None:
    assert refused(SsrfPolicy(loopback=True), "not an address")


def test_the_refusal_has_twilios_code_and_names_the_setting() -> None:
    with pytest.raises(AddressRefused, match=r"app\.lan is at 192\.168\.0\.7.*private.*webhook_allow") as refusal:
        SsrfPolicy().check("app.lan", 80, "192.168.0.7")
    assert refusal.value.code == 11205
    assert refusal.value.message.endswith("(holdfast serve --webhook-allow app.lan)")
    with pytest.raises(AddressRefused, match=r"^127\.0\.0\.1 is this machine; .* --webhook-allow 127\.0\.0\.1\)$"):
        SsrfPolicy().check("127.0.0.1", 80, "127.0.0.1")


@pytest.mark.parametrize(
    ("allow", "host", "address", "passes"),
    [
        ("192.168.0.0/16", "app.lan", "192.168.3.4", True),
        ("192.168.0.0/16", "app.lan", "10.0.0.1", False),
        ("10.0.0.1", "app.lan", "10.0.0.1", True),
        ("10.0.0.1", "app.lan", "::ffff:10.0.0.1", True),
        ("10.0.0.9/8", "app.lan", "10.200.0.1", True),
        ("fd00::/8", "app.lan", "fd12::1", True),
        ("App.LAN", "app.lan", "10.0.0.1", True),
        ("app.lan", "APP.lan", "10.0.0.1", True),
        ("app.lan", "other.lan", "10.0.0.1", False),
        ("app.lan", "app.lan.evil.example", "10.0.0.1", False),
        ("127.0.0.0/8", "localhost", "127.0.0.1", True),
    ],
)
def test_the_setting_allows_networks_addresses_and_hosts(allow: str, host: str, address: str, passes: bool) -> None:
    assert refused(policy_of(loopback=False, own_urls=[], allow=[allow]), address, host=host) is not passes


def test_our_own_origin_is_reached_at_any_address_but_not_another_port() -> None:
    reach = policy_of(loopback=False, own_urls=["http://10.0.0.5:8080", "https://holds.lan/"], allow=[])

    assert not refused(reach, "10.0.0.5", host="10.0.0.5", port=8080)
    assert not refused(reach, "10.0.0.6", host="holds.lan", port=443)
    assert refused(reach, "10.0.0.5", host="10.0.0.5", port=8081)
    assert refused(reach, "10.0.0.6", host="10.0.0.6", port=8080)


@pytest.mark.parametrize("entry", ["", "10.0.0.0/33", "http://app.lan", "app.lan:80", "*.lan", "10.0.0", "a b"])
def test_an_invalid_entry_names_the_setting(entry: str) -> None:
    with pytest.raises(WebhookSettingInvalid, match="webhook_allow"):
        policy_of(loopback=False, own_urls=[], allow=[entry])


@pytest.mark.parametrize("url", ["", "holds.lan", "ftp://holds.lan", "http://holds.lan:99999"])
def test_an_own_address_must_be_a_url(url: str) -> None:
    with pytest.raises(WebhookSettingInvalid):
        policy_of(loopback=False, own_urls=[url], allow=[])
