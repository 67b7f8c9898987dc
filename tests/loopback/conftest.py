"""Most tests share one server, because its start takes longer than most tests."""

import time
from collections.abc import Iterator

import pytest

from holdfast.testing.server import Server
from tests.loopback.shared_server import CUSTOMER, PASSWORD, client

CALLS_GONE_S = 20.0


@pytest.fixture(scope="session")
def shared() -> Iterator[Server]:
    """Yield one server for all tests of this process."""
    lines = dict.fromkeys(("alice", "bob", "carol", CUSTOMER), PASSWORD)
    with Server(lines=lines, numbers={CUSTOMER: None}) as server:
        yield server


@pytest.fixture
def server(shared: Server) -> Iterator[Server]:
    """Yield the shared server without a call. The test must end its calls and leave no traceback in the log."""
    log_length = len(shared.log())
    yield shared
    until_s = time.monotonic() + CALLS_GONE_S
    while (calls := client(shared).get("/calls")["calls"]) and time.monotonic() < until_s:
        time.sleep(0.02)
    for call in calls:  # The next test must not fail because of these.
        shared.sdk().calls(call["sid"]).update(status="completed")
    assert calls == [], "calls are left behind"
    assert "Traceback" not in shared.log()[log_length:]
