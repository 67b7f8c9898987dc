"""Which connections are admitted at a limit, and what the log says of the rejected ones."""

from __future__ import annotations

import logging
import re

import pytest

from holdfast.voice.runtime.connection_limits import (
    MAX_HOSTS_REMEMBERED,
    ConnectionLimiter,
    RejectionLog,
    host_of,
)

ONE, TWO, THREE = "192.0.2.1", "192.0.2.2", "192.0.2.3"


class Guest:
    """A member that remembers whether it was evicted."""

    def __init__(self) -> None:
        self.gone = False

    def evict(self) -> None:
        self.gone = True


def entered(crowd: ConnectionLimiter[Guest], host: str, count: int, at: float = 0.0) -> list[Guest]:
    guests = [Guest() for _ in range(count)]
    for number, guest in enumerate(guests):
        assert crowd.admit(guest, host, at + number)
    return guests


def test_the_longest_waiting_connection_of_a_full_host_is_evicted_for_a_new_one() -> None:
    crowd = ConnectionLimiter[Guest](max_total=10, max_per_host=3)
    slow = entered(crowd, ONE, 3)
    crowd.mark_served(slow[0])
    other = entered(crowd, TWO, 1)
    entered(crowd, ONE, 1, at=9.0)
    assert [guest.gone for guest in (*slow, *other)] == [False, True, False, False]
    assert (crowd.count_of(ONE), crowd.count_of(TWO), len(crowd)) == (3, 1, 4)


def test_a_full_host_whose_requests_are_all_complete_is_refused() -> None:
    crowd = ConnectionLimiter[Guest](max_total=10, max_per_host=2)
    busy = entered(crowd, ONE, 2)
    for guest in busy:
        crowd.mark_served(guest)
    assert not crowd.has_room(ONE, 5.0)
    assert not crowd.admit(Guest(), ONE, 5.0)
    crowd.mark_waiting(busy[1], 6.0)
    assert crowd.has_room(ONE, 6.0)
    crowd.remove(busy[0])
    crowd.remove(busy[0])
    entered(crowd, ONE, 1)
    assert not busy[1].gone


def test_at_the_total_limit_the_host_with_most_connections_loses_one() -> None:
    crowd = ConnectionLimiter[Guest](max_total=4, max_per_host=3)
    many, few = entered(crowd, ONE, 3, at=1.0), entered(crowd, TWO, 1)
    entered(crowd, THREE, 1, at=5.0)
    assert [guest.gone for guest in (*many, *few)] == [True, False, False, False]


def test_many_hosts_with_one_connection_each_do_not_block_another_host() -> None:
    crowd = ConnectionLimiter[Guest](max_total=3, max_per_host=2)
    slow = [entered(crowd, f"192.0.2.{number}", 1, at=number)[0] for number in (9, 8, 7)]
    entered(crowd, ONE, 1, at=20.0)
    assert [guest.gone for guest in slow] == [False, False, True], "at=7 waits longest"


def test_a_host_with_many_connections_evicts_none_of_a_host_with_few() -> None:
    crowd = ConnectionLimiter[Guest](max_total=4, max_per_host=4)
    for guest in entered(crowd, ONE, 3):
        crowd.mark_served(guest)
    (small,) = entered(crowd, TWO, 1)
    assert not crowd.admit(Guest(), ONE, 9.0)
    assert not small.gone


def test_a_host_evicts_its_own_connection_only_after_the_grace() -> None:
    crowd = ConnectionLimiter[Guest](max_total=4, max_per_host=2, grace_s=1.0)
    young = entered(crowd, ONE, 2)
    assert not crowd.admit(Guest(), ONE, 0.5)
    assert crowd.admit(Guest(), ONE, 1.0)
    assert [guest.gone for guest in young] == [True, False]


@pytest.mark.parametrize(
    ("ip", "host"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::9", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::1", "::1"),
        ("no address", "no address"),
    ],
)
def test_an_ipv6_host_is_a_network(ip: str, host: str) -> None:
    assert host_of(ip) == host


def told(log: pytest.LogCaptureFixture) -> list[tuple[str, int]]:
    """Return the host and the count of each log line."""
    return [(m[1], int(m[2])) for m in re.finditer(r"fact=TurnedAway host=(\S+) what='\w+' count=(\d+)", log.text)]


def test_the_log_names_a_host_once_a_minute_with_its_count(caplog: pytest.LogCaptureFixture) -> None:
    away = RejectionLog(logging.getLogger("away"), "things")
    for second in range(100):
        for host in (ONE, TWO):
            away.report(host, "they are slow", second)
    assert told(caplog) == [(ONE, 1), (TWO, 1), (ONE, 60), (TWO, 60)]


def test_hosts_beyond_the_limit_share_one_log_line(caplog: pytest.LogCaptureFixture) -> None:
    away = RejectionLog(logging.getLogger("away"), "things")
    for number in range(MAX_HOSTS_REMEMBERED + 50):
        away.report(f"h{number}", "they are slow", 1.0)
    assert told(caplog)[-1] == ("(others)", 1)
    assert len(told(caplog)) == MAX_HOSTS_REMEMBERED + 1
    away.report("h1", "they are slow", 62.0)
    away.report("late", "they are slow", 62.0)
    assert told(caplog)[MAX_HOSTS_REMEMBERED + 1 :] == [("h1", 1), ("late", 1)]
