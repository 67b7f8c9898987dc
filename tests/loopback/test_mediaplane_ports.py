"""Rows and their ports."""

from __future__ import annotations

import socket

import pytest

from holdfast.voice.runtime.mediaplane.ports import Ports
from tests.loopback.mediaplane import free_ports


def test_both_sockets_of_a_row_are_marked_for_telephony() -> None:
    """Expedited forwarding. Source: RFC 4594 §4.1."""
    pair = Ports(ip="127.0.0.1", base=free_ports(1), rows=1).take(0.0)
    with pair.rtp, pair.rtcp:
        for each in (pair.rtp, pair.rtcp):
            assert each.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == 46
        assert pair.rtcp.getsockname()[1] == pair.rtp.getsockname()[1] + 1


@pytest.mark.parametrize(("base", "rows"), [(16385, 1), (1022, 1), (65534, 2)])
def test_ports_that_cannot_be_are_refused(base: int, rows: int) -> None:
    with pytest.raises(ValueError, match="must be even"):
        Ports(ip="127.0.0.1", base=base, rows=rows)
