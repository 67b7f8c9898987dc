"""Stories of two services on one account: what one holds, the other can resume by the call's SID."""

import itertools
from dataclasses import dataclass

import pytest

from holdfast.holds.clock import Timeouts
from holdfast.holds.errors import AccountRefused, AccountUnreachable, BadInput, HoldFailed, HoldRefused, NotAllowed
from holdfast.holds.history.memory_store import MemoryStore
from holdfast.holds.hold import Status, WayName
from holdfast.holds.ids import CallSid, HoldId
from holdfast.holds.policy import Policy
from holdfast.holds.service import Holds
from holdfast.holds.web.app import make_web
from tests.stories.holds.conftest import Stage

pytestmark = pytest.mark.anyio

HELD_ELSEWHERE = "https://elsewhere.example"
MUSIC = "https://cdn.example/m.mp3"
AFTER = "https://app.example/after"


@dataclass(kw_only=True)
class Two:
    """Two services: one that holds, and another one that does not know of the hold."""

    stage: Stage
    ours: Holds
    theirs: Holds

    def ears(self, *calls: CallSid) -> list[str]:
        return [self.stage.account.hears(call) for call in calls]

    async def check(self) -> None:
        """Check with both services, until every change they see is confirmed."""
        for _ in range(4):
            await self.stage.settle()
            for holds in (self.ours, self.theirs):
                await holds.check()
        await self.stage.settle()


def other_service(stage: Stage, **options: object) -> Holds:
    ids = itertools.count(1_000)
    holds = Holds(
        stage.account,
        store=MemoryStore(),
        clock=stage.clock,
        timeouts=Timeouts(check_interval_s=1.0),
        new_id=lambda: HoldId(f"HO{next(ids):032x}"),
        **{"public_url": HELD_ELSEWHERE, **options},  # type: ignore[arg-type]  # options of Holds
    )
    stage.account.other_webs[HELD_ELSEWHERE] = make_web(holds)
    return holds


@pytest.fixture
def two(stage: Stage) -> Two:
    return Two(stage=stage, ours=stage.holds, theirs=other_service(stage))


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid]:
    calls = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", *calls)
    return calls


async def test_a_party_held_in_a_conference_is_resumed_by_another_service(
    two: Two, room: tuple[CallSid, CallSid]
) -> None:
    customer, agent = room
    held = await two.ours.hold(customer, music=MUSIC)
    back = await two.theirs.resume(customer, by="alice")
    details = [event.detail for event in await two.theirs.hold_log.events(after=0, limit=10)]
    assert details == [None, None, "another service held the party", None, None]
    assert (back.conference, back.by) == (held.conference, None)
    assert (back.status, back.way, back.resumed_by) == (Status.RESUMED, WayName.CONFERENCE, "alice")
    assert two.ears(customer, agent) == [agent, customer]
    assert [event.kind for event in await two.theirs.hold_log.events(after=0, limit=10)] == [
        "asked",
        "holding",
        "held",
        "resuming",
        "resumed",
    ]
    assert await two.theirs.resume(customer) == back
    await two.check()
    assert (await two.ours.get(held.id)).status is Status.RESUMED
    again = await two.ours.hold(customer)
    second = await two.theirs.resume(customer)
    assert (second.id != back.id, second.status, again.status) == (True, Status.RESUMED, Status.HELD)


async def test_a_party_that_is_not_on_hold_is_left_alone(two: Two, room: tuple[CallSid, CallSid]) -> None:
    parent, child = two.stage.account.dial(3, 4, action=AFTER)
    waits = two.stage.account.add_call(5)
    two.stage.account._enqueue(two.stage.account.calls_[waits], "sales", None, None)
    for call in (*room, parent, child, waits, CallSid("CA" + "f" * 32)):
        with pytest.raises(BadInput, match="not on hold"):
            await two.theirs.resume(call)
    assert two.stage.account.writes() == []
    assert await two.theirs.list() == []


async def test_a_missing_response_is_not_read_as_no_hold(two: Two, room: tuple[CallSid, CallSid]) -> None:
    await two.ours.hold(room[0])
    two.stage.account.errors["conferences"] = [(AccountUnreachable("no connection"), False)]
    with pytest.raises(AccountUnreachable):
        await two.theirs.resume(room[0])
    assert (await two.theirs.resume(room[0])).status is Status.RESUMED


async def test_a_person_without_permission_takes_no_hold_over(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.hold(room[0])
    theirs = other_service(stage, policy=Policy(holders=frozenset({"alice"})))
    with pytest.raises(NotAllowed):
        await theirs.resume(room[0], by="mallory")
    assert await theirs.list() == []
    assert (await theirs.resume(room[0], by="alice")).status is Status.RESUMED


@pytest.mark.parametrize("music", [None, MUSIC])
@pytest.mark.parametrize("held", ["parent", "child"])
async def test_a_leg_is_resumed_by_another_service_and_held_there_afterwards(
    two: Two, held: str, music: str | None
) -> None:
    parent, child = await two.stage.two_legs(after=AFTER)
    call, other = (parent, child) if held == "parent" else (child, parent)
    first = await two.ours.hold(call, music=music)
    began = two.stage.clock.now()
    assert (await two.theirs.resume(call)).status is Status.RESUMED
    assert two.stage.clock.now() - began < 1.0, "the parked party is not waited for: it is where it should be"
    await two.check()
    assert two.ears(call, other) == [other, call]
    assert (await two.ours.get(first.id)).status is Status.RESUMED
    for held_now, left in ((other, call), (call, other), (other, call)):
        hold = await two.theirs.hold(held_now, music=MUSIC)
        await two.check()
        assert two.ears(held_now, left) == ["music", "silence"]
        assert (await two.theirs.resume(hold)).status is Status.RESUMED
        await two.check()
        assert two.ears(held_now, left) == [left, held_now]
    two.stage.account.party_hangs_up(child)
    await two.check()
    assert not two.stage.account.calls_[parent].live
    assert [await holds.list(active_only=True) for holds in (two.ours, two.theirs)] == [[], []]
    assert two.stage.account.queues_ == {}


@pytest.mark.parametrize("first", ["parent", "child"])
async def test_two_held_legs_are_resumed_by_another_service(two: Two, first: str) -> None:
    parent, child = await two.stage.two_legs()
    for call in (parent, child):
        await two.ours.hold(call)
    first_party, last = (parent, child) if first == "parent" else (child, parent)
    assert (await two.theirs.resume(first_party)).status is Status.RESUMED
    await two.check()
    assert two.ears(first_party, last) == ["silence", "music"]
    assert (await two.theirs.resume(last)).status is Status.RESUMED
    await two.check()
    assert two.ears(first_party, last) == [last, first_party]
    assert await two.ours.list(active_only=True) == []


async def test_a_service_that_ended_left_a_leg_on_hold(two: Two) -> None:
    """The ended service kept no store: its web application responds, and knows no call."""
    parent, child = await two.stage.two_legs()
    await two.ours.hold(child)
    two.stage.store = MemoryStore()
    two.stage.start()
    assert (await two.theirs.resume(child)).status is Status.RESUMED
    await two.check()
    assert two.ears(parent, child) == [child, parent]


async def test_a_leg_is_refused_untouched_where_it_could_be_lost(two: Two) -> None:
    parent, child = await two.stage.two_legs()
    await two.ours.hold(parent)
    writes = len(two.stage.account.writes())
    blind = other_service(two.stage, public_url=None)
    held_by_legs = "the party is on hold by two legs, by another service"
    elsewhere = "Resume it where it was held, or call the party again."
    with pytest.raises(HoldRefused) as caught:
        await blind.resume(parent)
    assert caught.value.message == f"{held_by_legs}, and the account cannot reach this service"
    assert caught.value.fix == f"Give Holds(…, public_url=…). {elsewhere}"
    two.stage.account.add_call(7, parent=parent)
    with pytest.raises(HoldRefused) as caught:
        await two.theirs.resume(parent)
    assert caught.value.message == f"{held_by_legs}, and the account does not show which party it talked to"
    assert caught.value.fix == elsewhere
    assert len(two.stage.account.writes()) == writes
    assert two.ears(parent, child) == ["music", "silence"]
    assert await two.theirs.list() == []


async def test_a_take_over_that_the_account_refuses_leaves_the_party_held(two: Two) -> None:
    parent, child = await two.stage.two_legs()
    held = await two.ours.hold(child)
    two.stage.account.errors["redirect"] = [(AccountRefused("no", status=429), False)]
    with pytest.raises(HoldFailed) as caught:
        await two.theirs.resume(child)
    assert caught.value.message == "the hold of another service could not be taken over: no"
    failed = await two.theirs.get(str(caught.value.hold))
    assert (failed.status, failed.cause) == (Status.FAILED, caught.value.message)
    assert await two.theirs.hold_log.latest_of_call(child) == failed
    assert two.theirs.pairs.all() == ()
    await two.check()
    assert two.ears(parent, child) == ["silence", "music"]
    assert (await two.ours.get(held.id)).status is Status.HELD
    assert (await two.theirs.resume(child)).status is Status.RESUMED
    await two.check()
    assert two.ears(parent, child) == [child, parent]


async def test_a_take_over_that_is_never_confirmed_joins_the_two_in_a_conference(two: Two) -> None:
    parent, child = await two.stage.two_legs()
    await two.ours.hold(child)
    two.stage.account.errors["is_queued"] = [(AccountUnreachable("down"), False)] * 200
    with pytest.raises(HoldFailed, match="taken over: the call did not come to wait in its queue"):
        await two.theirs.resume(child)
    two.stage.account.errors.clear()
    assert two.ears(parent, child) == [child, parent]
    # The pair is kept: it is seen into the conference, and may be held there.
    pair = two.theirs.pairs.of(child)
    assert pair is not None
    assert pair.room == f"holdfast-{parent}"
    await two.check()
    assert (await two.theirs.hold(child)).way is WayName.CONFERENCE
