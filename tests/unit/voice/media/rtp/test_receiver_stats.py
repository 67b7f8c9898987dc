"""Receiver statistics count many legs at once, against RFC 3550 appendix A done for one."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.media.rtp.receiver_stats import ReceiverStats, ReceptionReport


def count(
    reception: ReceiverStats, *, sequence: int, timestamp: int = 0, arrival: int = 0, ssrc: int = 1, row: int = 0
) -> None:
    reception.count(
        np.array([row]),
        ssrc=np.array([ssrc]),
        sequence=np.array([sequence % 2**16]),
        timestamp=np.array([timestamp % 2**32]),
        arrival=arrival,
    )


def standing(reception: ReceiverStats, row: int = 0) -> ReceptionReport:
    found = reception.report(row)
    assert found is not None
    return found


def test_a_row_without_packets_has_no_report() -> None:
    assert ReceiverStats(1).report(0) is None


@given(st.integers(0, 65535), st.lists(st.booleans(), min_size=1, max_size=50))
def test_packets_that_never_arrived_are_lost(first: int, come: list[bool]) -> None:
    reception = ReceiverStats(1)
    come = [True, *come, True]
    for k, comes in enumerate(come):
        if comes:
            count(reception, sequence=first + k)
    found = standing(reception)
    assert (found.expected, found.received, found.lost) == (len(come), sum(come), come.count(False))
    assert found.highest == first + len(come) - 1


def test_a_late_or_doubled_packet_is_counted_as_received() -> None:
    reception = ReceiverStats(1)
    for sequence in (10, 12, 11, 12):
        count(reception, sequence=sequence)
    assert (standing(reception).highest, standing(reception).lost) == (12, -1)


def test_a_new_source_restarts_the_count() -> None:
    reception = ReceiverStats(2)
    count(reception, sequence=10)
    count(reception, sequence=900, row=1)
    count(reception, sequence=5000, ssrc=2)
    assert standing(reception) == ReceptionReport(ssrc=2, highest=5000, expected=1, received=1, jitter=0)
    assert standing(reception, 1).highest == 900
    reception.open(0)
    assert reception.report(0) is None


def test_jitter_is_the_smoothed_change_of_transit_time() -> None:
    """RFC 3550 §A.8: J += (|D| - J) / 16."""
    reception = ReceiverStats(1)
    expected, late = 0.0, 0
    for k in range(100):
        count(reception, sequence=k, timestamp=2**32 - 800 + 160 * k, arrival=160 * k + (late := 160 * (k % 2)))
        if k:
            expected += (160 - expected) / 16
    assert late == 160
    assert standing(reception).jitter == pytest.approx(int(expected))


def test_a_clock_jump_counts_as_a_second_of_jitter_at_most() -> None:
    reception = ReceiverStats(1)
    count(reception, sequence=0)
    count(reception, sequence=1, timestamp=2**31)
    assert standing(reception).jitter == 8000 // 16


def test_a_single_outlier_is_no_loss() -> None:
    reception = ReceiverStats(2)
    for sequence in (10, 11, 20_000, 12, 13, 60_000, 14):
        count(reception, sequence=sequence)
        count(reception, sequence=sequence if sequence < 100 else 12, row=1)
    assert (standing(reception).highest, standing(reception).lost) == (14, 0)
    assert standing(reception, 1).highest == 14


@given(st.integers(0, 65535), st.integers(0, 65535))
def test_a_sender_that_restarts_loses_nothing_and_is_followed(first: int, then: int) -> None:
    reception = ReceiverStats(1)
    for sequence in (first, first + 1, first + 3, then, then + 1, then + 2, then + 4):
        count(reception, sequence=sequence)
    found = standing(reception)
    assert found.highest % 2**16 == (then + 4) % 2**16 or abs((then - first + 0x8000) % 2**16 - 0x8000) <= 105
    if 3100 < (then - first) % 2**16 < 2**16 - 3100:
        assert (found.received, found.lost) == (7, 2)
        assert found.highest >= 0


def test_a_sender_that_restarts_with_smaller_numbers_has_wrapped() -> None:
    reception = ReceiverStats(1)
    for sequence in (40_000, 5, 6):
        count(reception, sequence=sequence)
    assert standing(reception).highest == 65536 + 6
