"""Stories of many holds at once: the number of requests to the account does not grow with them."""

import asyncio
from collections import Counter

import pytest

from holdfast.holds.errors import AccountUnreachable, HoldsError
from holdfast.holds.hold import Status
from holdfast.holds.ids import CallSid
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio

ROOMS = 20


@pytest.fixture
def customers(stage: Stage) -> list[CallSid]:
    """Put a customer and an agent into each of many conferences."""
    calls = [(stage.account.add_call(2 * number), stage.account.add_call(2 * number + 1)) for number in range(ROOMS)]
    for number, pair in enumerate(calls):
        stage.account.meet(f"room {number}", *pair)
    return [customer for customer, _ in calls]


async def test_many_holds_at_once_share_a_search(stage: Stage, customers: list[CallSid]) -> None:
    held = await asyncio.gather(*(stage.holds.hold(call) for call in customers))
    assert {hold.status for hold in held} == {Status.HELD}
    assert len({hold.conference for hold in held}) == ROOMS
    asked = Counter(kind for kind, *_ in stage.account.requests)
    # The first search ends early, at the conference of its call; the second finds all the others.
    assert asked["conferences"] == 2
    assert asked["participants"] < 2 * ROOMS


async def test_the_error_of_a_shared_search_names_each_callers_own_hold(stage: Stage, customers: list[CallSid]) -> None:
    stage.account.errors["conferences"] = [(AccountUnreachable("down", fix="wait"), False)] * 2
    outcomes = await asyncio.gather(*(stage.holds.hold(call) for call in customers), return_exceptions=True)
    errors = [error for error in outcomes if isinstance(error, AccountUnreachable)]
    assert len(errors) == ROOMS
    assert {(error.message, error.fix) for error in errors} == {("down", "wait")}
    assert len({error.hold for error in errors}) == ROOMS
    assert (await stage.holds.hold(customers[0])).status is Status.HELD


async def test_a_cancelled_caller_leaves_the_search_to_the_others(stage: Stage, customers: list[CallSid]) -> None:
    find = stage.holds.conferences.find
    first, second, third, fourth = (asyncio.ensure_future(find(call)) for call in customers[:4])
    await asyncio.sleep(0)
    second.cancel()
    first.cancel()
    found = await asyncio.gather(third, fourth)
    assert [each is not None and each.participant.call for each in found] == customers[2:4]
    with pytest.raises(asyncio.CancelledError):
        await second


async def test_a_copied_error_keeps_its_message(stage: Stage, customers: list[CallSid]) -> None:
    stage.account.errors["participants"] = [(AccountUnreachable("slow"), False)]
    with pytest.raises(HoldsError, match="slow") as caught:
        await stage.holds.hold(customers[0])
    assert (caught.value.code, caught.value.http) == ("account_unreachable", 504)
