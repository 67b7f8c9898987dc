"""The server that most tests share: starting one costs more than most of them."""

import time
from collections.abc import Iterator

import pytest

from holdfast.testing.server import Server
from tests.loopback.shared_server import CUSTOMER, PASSWORD, client

GONE_S = 20.0


@pytest.fixture(scope="session")
def house() -> Iterator[Server]:
    """One server for each process that runs tests."""
    lines = dict.fromkeys(("alice", "bob", "carol", CUSTOMER), PASSWORD)
    with Server(lines=lines, numbers={CUSTOMER: None}) as server:
        yield server


@pytest.fixture
def server(house: Server) -> Iterator[Server]:
    """The house, for a test that looks at nothing but its own calls: it finds none, leaves none, and breaks nothing."""
    said = len(house.log())
    yield house
    until_s = time.monotonic() + GONE_S
    while (calls := client(house).get("/calls")["calls"]) and time.monotonic() < until_s:
        time.sleep(0.02)
    for call in calls:  # the next test is to fail of its own faults alone
        house.sdk().calls(call["sid"]).update(status="completed")
    assert calls == [], "calls are left behind"
    assert "Traceback" not in house.log()[said:]
