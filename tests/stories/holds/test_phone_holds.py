"""Phones that hold by themselves are recorded, reported, shown, and left alone."""

import pytest

from holdfast.holds.errors import AccountUnreachable, HoldRefused
from holdfast.holds.hold import Status, WayName
from tests.stories.holds.conftest import Stage


async def test_a_phone_that_holds_is_a_hold_by_phone_until_it_resumes(stage: Stage) -> None:
    alice, bob = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("room", alice, bob)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    await stage.holds.check()
    (hold,) = await stage.holds.list()
    assert (hold.call, hold.by, hold.way, hold.status) == (alice, "phone", WayName.PHONE, Status.HELD)
    assert hold.held_at == 1_700_000_005.0
    shown = {view.sid: view for view in await stage.holds.calls()}
    assert (shown[alice].held, shown[alice].held_by_phone, shown[alice].by) == (False, True, "phone")
    assert shown[alice].hold == hold.id
    assert (shown[bob].held_by_phone, shown[bob].hears) == (False, "music")
    del stage.account.phones_on_hold[alice]
    await stage.holds.check()
    (hold,) = await stage.holds.list()
    assert hold.status is Status.RESUMED
    assert await stage.kinds(hold) == ["held", "resumed"]
    shown = {view.sid: view for view in await stage.holds.calls()}
    assert (shown[alice].held_by_phone, shown[bob].hears) == (False, "the other party")


async def test_a_muted_or_coaching_party_is_not_heard_by_others(stage: Stage) -> None:
    alice, bob, coach, muted = (stage.account.add_call(number) for number in (1, 2, 3, 4))
    stage.account.meet("room", alice, bob, coach, muted)
    stage.account.calls_[coach].coaches = bob
    stage.account.calls_[muted].muted = True
    hears = {view.sid: view.hears for view in await stage.holds.calls()}
    assert set(hears.values()) == {"the other party"}
    stage.account.phones_on_hold[bob] = 1_700_000_005.0
    await stage.holds.check()
    hears = {view.sid: view.hears for view in await stage.holds.calls()}
    assert (hears[alice], hears[bob], hears[coach]) == ("music", None, "the other party")


async def test_only_the_phone_ends_its_hold_and_ours_is_another(stage: Stage) -> None:
    alice, bob = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("room", alice, bob)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    (by_phone,) = await stage.holds.list()
    with pytest.raises(HoldRefused, match="only it"):
        await stage.holds.resume(by_phone)
    ours = await stage.holds.hold(alice, by="bob")
    assert (ours.id != by_phone.id, ours.status) == (True, Status.HELD)
    assert (await stage.holds.calls())[0].by == "bob"
    assert (await stage.holds.resume(alice)).id == ours.id
    assert [hold.status for hold in await stage.holds.list(active_only=True)] == [Status.HELD]
    assert (await stage.holds.get(by_phone.id)).status is Status.HELD


async def test_a_second_phone_hold_between_two_checks_is_another_hold(stage: Stage) -> None:
    alice = stage.account.add_call(1)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    stage.account.phones_on_hold[alice] = 1_700_000_025.0
    await stage.holds.check()
    statuses = [(hold.held_at, hold.status) for hold in await stage.holds.list()]
    assert statuses == [(1_700_000_025.0, Status.HELD), (1_700_000_005.0, Status.RESUMED)]


async def test_a_party_that_hangs_up_while_its_phone_holds_ends_the_hold(stage: Stage) -> None:
    alice = stage.account.add_call(1)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    stage.account.calls_[alice].status = "completed"
    await stage.holds.check()
    (hold,) = await stage.holds.list()
    assert hold.status is Status.CALL_ENDED


async def test_a_phone_hold_outlives_a_restart(stage: Stage) -> None:
    alice = stage.account.add_call(1)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    stage.start()
    await stage.holds.check()
    assert len(await stage.holds.list()) == 1
    del stage.account.phones_on_hold[alice]
    await stage.holds.check()
    assert [hold.status for hold in await stage.holds.list()] == [Status.RESUMED]


async def test_an_account_that_does_not_answer_changes_nothing(stage: Stage) -> None:
    alice = stage.account.add_call(1)
    stage.account.phones_on_hold[alice] = 1_700_000_005.0
    await stage.holds.check()
    stage.account.errors["phone_holds"] = [(AccountUnreachable("away"), False)]
    with pytest.raises(AccountUnreachable):
        await stage.holds.check()
    assert [hold.status for hold in await stage.holds.list()] == [Status.HELD]


async def test_one_phone_that_goes_on_holding_does_not_hide_another_that_resumes(stage: Stage) -> None:
    phones = [stage.account.add_call(number) for number in (1, 2, 3)]
    stage.account.phones_on_hold = dict.fromkeys(phones, 1_700_000_005.0)
    await stage.holds.check()
    del stage.account.phones_on_hold[phones[1]]
    stage.account.phones_on_hold[phones[2]] += 1.0
    await stage.holds.check()
    holds = [(hold.call, hold.status) for hold in await stage.holds.list()]
    assert sorted(holds) == [
        (phones[0], Status.HELD),
        (phones[1], Status.RESUMED),
        (phones[2], Status.HELD),
        (phones[2], Status.RESUMED),
    ]
