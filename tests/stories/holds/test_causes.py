"""Why a hold was refused, failed or ended, in the words that the API shows."""

import pytest

from holdfast.holds.account.snapshots import ParticipantSnapshot
from holdfast.holds.errors import (
    AccountRefused,
    AccountUnreachable,
    CallNotInProgress,
    HoldFailed,
    HoldRefused,
    HoldsError,
    OutcomeUnknown,
    ResourceNotFound,
)
from holdfast.holds.hold import Hold, Resume, Status
from holdfast.holds.ids import CallSid, ConferenceSid
from holdfast.holds.policy import Policy
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC, FakeAccount

pytestmark = pytest.mark.anyio

NO_ADDRESS = "the party's legs are moved by webhooks, and the account cannot reach this service: set public_url"
HOW_TO_JOIN = "Put the party into <Dial><Conference>…</Conference></Dial>, then hold it by its own call SID."
UNKNOWN_CALL = CallSid("CA" + "9" * 32)
NO_ANSWER = OutcomeUnknown("no answer", fix="ask again")


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid]:
    calls = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", *calls)
    return calls


async def refusal(stage: Stage, call: CallSid) -> tuple[type[HoldsError], str, str | None, Status, str | None]:
    """Return the error of a hold: its class, message and fix, and the status and cause of the hold it names."""
    with pytest.raises(HoldsError) as caught:
        await stage.holds.hold(call)
    error = caught.value
    hold = await stage.holds.get(str(error.hold))
    return type(error), error.message, error.fix, hold.status, hold.cause


async def cause(stage: Stage, hold: Hold) -> tuple[Status, str | None]:
    found = await stage.holds.get(hold.id)
    return found.status, found.cause


async def test_a_call_that_cannot_be_held_has_its_reason_and_a_remedy(stage: Stage) -> None:
    over = stage.account.add_call(1, status="completed")
    rings = stage.account.add_call(2, status="ringing")
    alone = stage.account.add_call(3, verb="park")
    where = "GET /calls lists who is on the phone."
    for call, error, why, fix, status in (
        (UNKNOWN_CALL, CallNotInProgress, f"the account knows no call {UNKNOWN_CALL}", where, Status.GONE),
        (over, CallNotInProgress, "the call is over (completed)", where, Status.GONE),
        (
            rings,
            HoldRefused,
            "the call has not been answered yet (it is ringing)",
            "Hold it once it is.",
            Status.REFUSED,
        ),
        (
            alone,
            HoldRefused,
            "the call is in no conference and talks to no other party",
            HOW_TO_JOIN,
            Status.REFUSED,
        ),
    ):
        assert await refusal(stage, call) == (error, why, fix, status, why)
    assert stage.account.writes() == []


@pytest.mark.parametrize("end", ["parent", "child"])
async def test_a_plain_dial_is_refused_with_the_line_to_add(stage: Stage, end: str) -> None:
    parent, child = stage.account.dial(1, 2, action="https://app.example/done")
    why = (
        "this call was joined by a plain <Dial>, and where its parent leg would continue is not known: "
        "moving one leg could hang up the other"
    )
    for address, action in ((PUBLIC, f"{PUBLIC}/twiml/continue"), (None, "{holds.continue_url}")):
        stage.start(public_url=address)
        fix = (
            f'Write <Dial action="{action}">…</Dial> and call holds.adopt(parent, child) once it is answered; '
            "or answer the call with the document at /twiml/dial; or put both parties into a conference."
        )
        call = parent if end == "parent" else child
        assert await refusal(stage, call) == (HoldRefused, why, fix, Status.REFUSED, why)
    assert stage.account.writes() == []


async def test_a_child_whose_parent_is_over_is_joined_by_no_dial(stage: Stage) -> None:
    parent = stage.account.add_call(1, status="completed")
    child = stage.account.add_call(2, parent=parent, verb="park")
    _, why, *_ = await refusal(stage, child)
    assert why == "the call is in no conference and talks to no other party"


async def test_a_participant_that_is_not_answered_has_its_reason(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.calls_[room[0]].status = "ringing"
    participant = FakeAccount._participant

    def rings(account: FakeAccount, call: object) -> ParticipantSnapshot:
        seen = participant(account, call)  # type: ignore[arg-type]  # a call of the fake account
        return ParticipantSnapshot(call=seen.call, conference=seen.conference, hold=False, status="ringing")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FakeAccount, "_participant", rings)
        why = f"{room[0]} has not been answered yet (it is ringing)"
        assert await refusal(stage, room[0]) == (HoldFailed, why, None, Status.FAILED, why)
    assert stage.account.writes() == []


async def test_two_legs_without_an_address_have_their_reason(stage: Stage) -> None:
    _, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    stage.start(public_url=None)
    with pytest.raises(HoldFailed) as caught:
        await stage.holds.resume(hold)
    assert caught.value.message == f"the party is held as before: {NO_ADDRESS}"
    assert caught.value.hold == hold.id
    assert await cause(stage, hold) == (Status.HELD, NO_ADDRESS)
    parent = CallSid(f"CA{1:032x}")
    assert await refusal(stage, parent) == (HoldFailed, NO_ADDRESS, None, Status.FAILED, NO_ADDRESS)
    assert stage.account.hears(child) == "music"


async def test_converting_without_an_address_has_its_reason(stage: Stage) -> None:
    parent, _ = await stage.two_legs()
    stage.start(public_url=None, legs="convert")
    why = "the account cannot reach this service"
    assert await refusal(stage, parent) == (HoldRefused, why, "Set public_url.", Status.REFUSED, why)


async def test_a_change_that_the_account_accepts_and_does_not_show_fails_after_two_attempts(
    stage: Stage, room: tuple[CallSid, CallSid], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def accept(
        account: FakeAccount, conference: ConferenceSid, call: CallSid, *, hold: bool, url: str | None = None
    ) -> ParticipantSnapshot:
        await account._next_error("set_hold", conference, call, str(hold), url or "")
        return account._participant(account.calls_[call])

    monkeypatch.setattr(FakeAccount, "set_hold", accept)
    began = stage.clock.now()
    why = "the account accepted the change and does not show it"
    assert await refusal(stage, room[0]) == (HoldFailed, why, None, Status.FAILED, why)
    assert len(stage.account.writes()) == 2
    assert stage.clock.now() - began == pytest.approx(5.0), "a quarter of the time for each of two attempts"


@pytest.mark.parametrize("seen", [True, False], ids=["the call is read", "the call cannot be read"])
async def test_a_party_that_left_as_it_was_held_has_its_reason(
    stage: Stage, room: tuple[CallSid, CallSid], seen: bool
) -> None:
    stage.account.errors["set_hold"] = [(ResourceNotFound("gone", status=404, twilio_code=20404), False)]
    if not seen:
        stage.account.errors["call"] = [(AccountUnreachable("down"), False)]
    why = "the party has left the conference" if seen else "the call is over"
    where = "GET /calls lists who is on the phone."
    assert await refusal(stage, room[0]) == (CallNotInProgress, why, where, Status.GONE, why)


async def test_a_hang_up_as_it_was_held_has_its_reason(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.before["set_hold"] = [lambda: stage.account.party_hangs_up(room[0])]
    _, why, *_ = await refusal(stage, room[0])
    assert why == "the call is over"


async def test_a_change_whose_outcome_cannot_be_read_says_what_settles_it(
    stage: Stage, room: tuple[CallSid, CallSid]
) -> None:
    stage.account.errors["set_hold"] = [(NO_ANSWER, True)]
    stage.account.errors["participant"] = [(AccountUnreachable("down"), False)]
    error, why, fix, status, reason = await refusal(stage, room[0])
    assert (error, status, reason) == (OutcomeUnknown, Status.HOLDING, None)
    assert why == "the change was sent, and whether it was made cannot be read: down"
    assert fix == "It is settled by a read as soon as the account answers; GET /holds/{id} shows it."


@pytest.mark.parametrize("shown", [True, False, None])
async def test_a_hold_in_progress_is_settled_by_a_read_of_the_account(
    stage: Stage, room: tuple[CallSid, CallSid], shown: bool | None
) -> None:
    stage.account.errors["set_hold"] = [(NO_ANSWER, shown is True)]
    stage.account.errors["participant"] = [(AccountUnreachable("down"), False)]
    with pytest.raises(OutcomeUnknown) as caught:
        await stage.holds.hold(room[0])
    hold = await stage.holds.get(str(caught.value.hold))
    if shown is None:
        stage.account.party_hangs_up(room[0])
    await stage.holds.check()
    assert (
        await cause(stage, hold)
        == {
            True: (Status.HELD, "shown by a read"),
            False: (Status.FAILED, "the account shows that the party is not on hold"),
            None: (Status.GONE, "the party is not there any more"),
        }[shown]
    )


@pytest.mark.parametrize("way", ["conference", "legs"])
@pytest.mark.parametrize("shown", [True, False, None])
async def test_a_resume_in_progress_is_settled_by_a_read_of_the_account(
    stage: Stage, way: str, shown: bool | None
) -> None:
    if way == "legs":
        other, call = await stage.two_legs()
    else:
        call, other = stage.account.add_call(1), stage.account.add_call(2)
        stage.account.meet("support", call, other)
    hold = await stage.holds.hold(call)
    await stage.holds.hold_log.handle(hold.id, Resume(by="alice"))
    if shown is False:
        stage.account.calls_[call].held = False
        if way == "legs":
            stage.account.queues_[f"hold-{call}"].remove(call)
    if shown is None:
        stage.account.party_hangs_up(call)
    await stage.holds.check()
    assert (
        await cause(stage, hold)
        == {
            True: (Status.HELD, "the account shows that the party is on hold as before"),
            False: (Status.RESUMED, "shown by a read"),
            None: (Status.CALL_ENDED, "the party is not there any more"),
        }[shown]
    )


@pytest.mark.parametrize("shown", [True, None])
async def test_an_unfinished_hold_by_legs_is_not_settled_without_a_public_url(stage: Stage, shown: bool | None) -> None:
    """The service that started without it cannot know what the party hears, so it says neither *resumed* nor *held*."""
    _, call = await stage.two_legs()
    hold = await stage.holds.hold(call)
    await stage.holds.hold_log.handle(hold.id, Resume(by="alice"))
    stage.start(public_url=None)
    if shown is None:
        stage.account.party_hangs_up(call)
    await stage.holds.check()
    status = (await stage.holds.get(hold.id)).status
    assert status is (Status.RESUMING if shown else Status.CALL_ENDED)
    if shown:
        stage.start(public_url=PUBLIC)
        await stage.holds.check()
        assert await cause(stage, hold) == (Status.HELD, "the account shows that the party is on hold as before")


async def test_a_hold_whose_pair_is_over_is_not_resumed(stage: Stage) -> None:
    _, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    pair = stage.holds.pairs.of(child)
    assert pair is not None
    await stage.holds.pairs.forget(pair)
    writes = len(stage.account.writes())
    ended = await stage.holds.resume(hold)
    assert (ended.status, ended.cause) == (Status.CALL_ENDED, "the conversation is over")
    assert len(stage.account.writes()) == writes


@pytest.mark.parametrize("held", ["parent", "child"])
@pytest.mark.parametrize("after", ["https://app.example/after", None])
async def test_the_end_of_the_other_party_has_its_reason(stage: Stage, held: str, after: str | None) -> None:
    parent, child = await stage.two_legs(after=after)
    call, other = (parent, child) if held == "parent" else (child, parent)
    hold = await stage.holds.hold(call)
    stage.account.party_hangs_up(other)
    await stage.holds.check()
    await stage.settle()
    if held == "parent" and after is not None:
        why = "the other party hung up; the call continued with its next document"
        assert await cause(stage, hold) == (Status.RESUMED, why)
        assert stage.account.calls_[call].app_url == after
    else:
        why = "the other party hung up, and so the call was ended"
        assert await cause(stage, hold) == (Status.CALL_ENDED, why)
        assert not stage.account.calls_[call].live
    assert await stage.store.pairs() == []


@pytest.mark.parametrize("noticed", ["by a webhook", "by a check"])
async def test_the_end_of_the_held_party_has_its_reason(stage: Stage, noticed: str) -> None:
    _, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    stage.account.party_hangs_up(child)
    if noticed == "by a check":
        stage.account.pending.clear()
        await stage.holds.check()
    await stage.settle()
    assert await cause(stage, hold) == (Status.CALL_ENDED, "the party hung up")


async def test_the_end_of_a_wait_by_the_account_has_its_reason(stage: Stage) -> None:
    """A queue that gives the music up returns the call: the pair falls back into a conference."""
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    me = stage.account.calls_[child]
    stage.account.queues_[me.queue or ""].remove(child)
    stage.account._later(me, me.action, run=True, QueueResult="system-error")
    await stage.settle()
    assert await cause(stage, hold) == (
        Status.RESUMED,
        "the account ended the wait; both parties are together again",
    )
    assert stage.account.hears(child) == parent


async def test_a_phone_hold_has_its_reasons(stage: Stage) -> None:
    alice, bob = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.phones_on_hold |= {alice: stage.clock.now(), bob: stage.clock.now()}
    await stage.holds.check()
    holds = {hold.call: hold for hold in await stage.holds.list()}
    assert {event.detail for event in await stage.store.events()} == {"the phone holds"}
    assert {event.by for event in await stage.store.events()} == {"phone"}
    del stage.account.phones_on_hold[alice]
    stage.account.party_hangs_up(bob)
    await stage.holds.check()
    assert await cause(stage, holds[alice]) == (Status.RESUMED, "the phone resumed the call")
    assert await cause(stage, holds[bob]) == (Status.CALL_ENDED, "the party hung up")


async def test_the_policy_names_the_refused_operator(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.start(policy=Policy(holders=frozenset({"alice"})))
    hold = await stage.holds.hold(room[0], by="alice")
    for by, who in ((None, "anonymous callers"), ("bob", "bob")):
        hint = " (pass `by`)" if by is None else ""
        with pytest.raises(HoldsError) as caught:
            await stage.holds.hold(room[1], by=by)
        assert (caught.value.message, caught.value.hold) == (f"{who} may not hold calls{hint}", None)
        with pytest.raises(HoldsError) as caught:
            await stage.holds.resume(hold, by=by)
        assert (caught.value.message, caught.value.hold) == (f"{who} may not resume calls{hint}", hold.id)


@pytest.mark.parametrize("party", ["the held party", "the other party"])
async def test_a_hang_up_as_two_legs_are_moved_has_its_reason(stage: Stage, party: str) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.resume(await stage.holds.hold(child))
    call = parent if party == "the other party" else child
    stage.account.before["redirect"] = [lambda: stage.account.party_hangs_up(call)]
    why = {
        "the held party": "the conversation is over",
        "the other party": "the other party has hung up",
    }[party]
    error, message, _, _, _ = await refusal(stage, child)
    assert message == why
    assert error is (CallNotInProgress if party == "the held party" else HoldFailed)


async def test_a_resume_that_no_party_takes_has_its_reason(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    hold = await stage.holds.hold(child)
    stage.account.errors["redirect"] = [(AccountRefused("server error", status=500), False)] * 2
    with pytest.raises(HoldFailed) as caught:
        await stage.holds.resume(hold)
    assert caught.value.message == "the party is held as before: server error"
    stage.account.waiting_dials.clear()
    assert [stage.account.hears(call) for call in (parent, child)] == ["silence", "music"]
    assert (await stage.holds.resume(hold)).status is Status.RESUMED
