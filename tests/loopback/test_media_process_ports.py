"""Rows and their ports."""

from __future__ import annotations

import socket

import pytest

from holdfast.voice.media_process.errors import RowsFull
from holdfast.voice.media_process.sockets.rtp_ports import LEAST_REST_S, REST_S, Ports
from tests.loopback.media_process import free_ports


def test_both_sockets_of_a_row_are_marked_for_telephony() -> None:
    """Expedited forwarding. Source: RFC 4594 §4.1."""
    pair = Ports(ip="127.0.0.1", base=free_ports(1), rows=1).acquire(0.0)
    with pair.rtp, pair.rtcp:
        for each in (pair.rtp, pair.rtcp):
            assert each.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) >> 2 == 46
        assert pair.rtcp.getsockname()[1] == pair.rtp.getsockname()[1] + 1


@pytest.mark.parametrize(("base", "rows"), [(16385, 1), (1022, 1), (65534, 2)])
def test_impossible_ports_are_refused(base: int, rows: int) -> None:
    with pytest.raises(ValueError, match="must be even"):
        Ports(ip="127.0.0.1", base=base, rows=rows)


class Taking:
    """Rows acquired and released at times that the test sets."""

    def __init__(self, rows: int) -> None:
        self._ports = Ports(ip="127.0.0.1", base=free_ports(rows), rows=rows)

    def acquire(self, now: float) -> int:
        """Acquire a row and close its sockets. Raises: RowsFull."""
        pair = self._ports.acquire(now)
        pair.rtp.close()
        pair.rtcp.close()
        return pair.row

    def has_free(self, now: float) -> bool:
        return self._ports.has_free(now)

    def port(self, row: int) -> int:
        return self._ports.base + 2 * row

    def release(self, row: int, now: float) -> None:
        self._ports.release(row, now)


def test_a_row_is_left_alone_while_others_are_free() -> None:
    rows = Taking(3)
    assert [rows.acquire(0.0), rows.acquire(0.0)] == [0, 1]
    rows.release(0, 1.0)
    assert rows.acquire(1.0 + REST_S - 0.1) == 2


def test_a_row_that_has_rested_is_taken_before_a_higher_one() -> None:
    rows = Taking(2)
    assert rows.acquire(0.0) == 0
    rows.release(0, 1.0)
    assert rows.acquire(1.0 + REST_S) == 0


def test_when_no_row_is_free_the_one_that_has_rested_longest_is_taken() -> None:
    """A burst of calls that are refused at once does not block new calls for half a minute."""
    rows = Taking(2)
    assert [rows.acquire(0.0), rows.acquire(0.0)] == [0, 1]
    rows.release(1, 1.0)
    rows.release(0, 1.5)
    with pytest.raises(RowsFull, match="2 of 2 rest"):
        rows.acquire(1.0 + LEAST_REST_S - 0.1)
    assert rows.acquire(1.0 + LEAST_REST_S) == 1
    with pytest.raises(RowsFull, match="1 of 2 rest"):
        rows.acquire(1.0 + LEAST_REST_S)
    assert rows.acquire(1.5 + LEAST_REST_S) == 0


def test_rows_whose_ports_are_occupied_are_skipped() -> None:
    rows = Taking(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", rows.port(1) + 1))
        assert rows.acquire(0.0) == 0
        with pytest.raises(RowsFull, match="1 of 2 rest or are occupied"):
            rows.acquire(REST_S)
    assert rows.acquire(2 * REST_S) == 1


def test_rows_are_available_until_all_are_taken_and_again_after_a_rest() -> None:
    rows = Taking(2)
    assert rows.has_free(0.0)
    assert [rows.acquire(0.0), rows.acquire(0.0)] == [0, 1]
    assert not rows.has_free(0.0)
    rows.release(1, 1.0)
    assert not rows.has_free(1.0 + LEAST_REST_S - 0.1)
    assert rows.has_free(1.0 + LEAST_REST_S)
    assert rows.acquire(1.0 + LEAST_REST_S) == 1


def test_rows_whose_ports_are_occupied_are_not_available_until_they_are_free() -> None:
    rows = Taking(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(("127.0.0.1", rows.port(1)))
        assert rows.acquire(0.0) == 0
        with pytest.raises(RowsFull):
            rows.acquire(0.0)
        told = [rows.has_free(now / 2) for now in range(20)]
        assert told == [False] * 20
    assert rows.has_free(12.0)
    assert rows.has_free(12.5)
    assert rows.acquire(12.5) == 1
