"""The check of the addresses to which audio may be sent."""

import pytest

from holdfast.voice.media_process.control_link.protocol import Address
from holdfast.voice.media_process.legs.addresses import CommandImpossible, usable_address


@pytest.mark.parametrize("address", [("127.0.0.1", 4000), ("192.0.2.1", 65535), ("10.0.0.1", 1)])
def test_a_host_and_a_port_are_usable(address: Address) -> None:
    assert usable_address(address) == address


@pytest.mark.parametrize("address", [None, ("0.0.0.0", 4000), ("192.0.2.1", 0)])
def test_a_zero_host_or_port_means_do_not_send(address: Address | None) -> None:
    assert usable_address(address) is None


@pytest.mark.parametrize(
    "address",
    [
        ("phone.example", 1),
        ("", 1),
        ("::1", 1),
        ("1.2.3", 1),
        ("01.2.3.4", 1),
        ("192.0.2.1", -1),
        ("192.0.2.1", 65536),
        ("224.0.0.1", 1),
        ("255.255.255.255", 1),
    ],
)
def test_an_impossible_address_is_refused(address: Address) -> None:
    with pytest.raises(CommandImpossible):
        usable_address(address)
