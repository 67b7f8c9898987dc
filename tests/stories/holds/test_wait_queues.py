"""Stories of the private queues of held parties: each is opened once, and removed after the conversation."""

import logging

import pytest

from holdfast.holds.errors import AccountRefused
from holdfast.holds.legs.wait_queues import MAX_CLOSE_TRIES
from holdfast.holds.steps.pair import queue_name
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio

NOT_EMPTY = AccountRefused("the queue has members", status=400, twilio_code=22202)


def closings(stage: Stage) -> int:
    return sum(request[0] == "close_queue" for request in stage.account.requests)


async def test_the_queue_of_a_party_is_opened_once_for_all_its_holds(stage: Stage) -> None:
    _, child = await stage.two_legs()
    for _ in range(3):
        await stage.holds.resume(await stage.holds.hold(child))
    assert [request for request in stage.account.requests if request[0] == "open_queue"] == [
        ("open_queue", queue_name(child))
    ]
    assert closings(stage) == 0


async def test_a_queue_that_is_in_use_is_removed_at_a_later_check(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.resume(await stage.holds.hold(child))
    stage.account.errors["close_queue"] = [(NOT_EMPTY, False)] * 2
    stage.account.party_hangs_up(parent)
    await stage.settle()
    assert list(stage.account.queues_) == [queue_name(child)]
    await stage.holds.check()
    assert list(stage.account.queues_) == [queue_name(child)]
    await stage.holds.check()
    assert stage.account.queues_ == {}
    tried = closings(stage)
    await stage.holds.check()
    assert (closings(stage), tried) == (3, 3)


async def test_a_queue_that_can_never_be_removed_is_tried_twenty_times_and_logged(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    assert MAX_CLOSE_TRIES == 20
    parent, child = await stage.two_legs()
    await stage.holds.resume(await stage.holds.hold(child))
    stage.account.errors["close_queue"] = [(NOT_EMPTY, False)] * 100
    stage.account.party_hangs_up(parent)
    await stage.settle()
    with caplog.at_level(logging.WARNING, "holdfast.holds.legs"):
        for _ in range(18):
            await stage.holds.check()
        assert "QueueNotClosed" not in caplog.text
        for _ in range(5):
            await stage.holds.check()
    assert closings(stage) == 20
    assert caplog.text.count("fact=QueueNotClosed why=the queue has members") == 1


async def test_a_queue_that_is_opened_again_is_not_removed_by_an_earlier_attempt(stage: Stage) -> None:
    _, child = await stage.two_legs()
    assert stage.holds.legs is not None
    queues, name = stage.holds.legs.queues, queue_name(child)
    await queues.open(name)
    stage.account.errors["close_queue"] = [(NOT_EMPTY, False)]
    await queues.close(name)
    await queues.open(name)
    await queues.retry()
    assert list(stage.account.queues_) == [name]
    assert await queues.exists(child)
    await queues.close(name)
    assert not await queues.exists(child)
