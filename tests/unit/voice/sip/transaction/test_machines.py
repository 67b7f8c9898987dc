"""The four transaction machines by themselves, over UDP and over a transport that delivers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Request, Response, respond
from holdfast.voice.sip.transaction.machines import (
    TRANSITIONS,
    Machine,
    State,
    Transaction,
    Trigger,
    begin_client,
    client_key,
    server_key,
    step,
    trigger_of,
)
from tests.unit.voice.sip.wire import PROXY, encode, invite

FIRST = {
    Machine.INVITE_CLIENT: State.CALLING,
    Machine.CLIENT: State.TRYING,
    Machine.INVITE_SERVER: State.PROCEEDING,
    Machine.SERVER: State.TRYING,
}
CLIENTS = (Machine.INVITE_CLIENT, Machine.CLIENT)
STATUS = {Trigger.PROVISIONAL: 180, Trigger.SUCCESS: 200, Trigger.FAILURE: 486}


def read(text: str) -> Request:
    message = decode(encode(text))
    assert isinstance(message, Request)
    return message


def made(machine: Machine, *, reliable: bool = False) -> Transaction:
    method = "INVITE" if machine in (Machine.INVITE_CLIENT, Machine.INVITE_SERVER) else "OPTIONS"
    return Transaction(
        key="k",
        machine=machine,
        state=FIRST[machine],
        request=read(invite(method=method)),
        peer=PROXY,
        reliable=reliable,
    )


def given_to(transaction: Transaction, trigger: Trigger) -> Response | None:
    status = STATUS.get(trigger)
    return None if status is None else respond(transaction.request, status, tag="t")


@pytest.mark.parametrize("machine", list(Machine))
def test_every_state_can_be_reached_and_left_but_the_last(machine: Machine) -> None:
    table = TRANSITIONS[machine]
    reached = {FIRST[machine], *table.values()}
    assert {state for state, _ in table} == reached - {State.TERMINATED}
    assert State.TERMINATED in reached


@given(
    machine=st.sampled_from(list(Machine)),
    reliable=st.booleans(),
    triggers=st.lists(st.sampled_from(list(Trigger)), max_size=25),
)
def test_a_walk_obeys_the_table_and_leaves_no_timer(machine: Machine, reliable: bool, triggers: list[Trigger]) -> None:
    transaction = made(machine, reliable=reliable)
    running: set[Trigger] = set()
    if machine in CLIENTS:
        begun = begin_client(transaction)
        transaction = begun.transaction
        running |= {letter for letter, _ in begun.starts}
    for trigger in triggers:
        is_timer = trigger.name.startswith("TIMER")
        if is_timer and trigger not in running:
            continue
        running.discard(trigger)
        before = transaction
        taken = step(before, trigger, given_to(before, trigger))
        transaction = taken.transaction
        assert transaction.state is TRANSITIONS[machine].get((before.state, trigger), before.state)
        running -= set(taken.stops)
        running |= {letter for letter, _ in taken.starts}
        if reliable:
            assert not running & {Trigger.TIMER_A, Trigger.TIMER_E, Trigger.TIMER_G}
        if transaction.state is State.TERMINATED:
            assert running == set()
            break
        if (before.state, trigger) not in TRANSITIONS[machine]:
            assert (taken.sends, taken.starts, taken.notifies) == ((), (), False)


@pytest.mark.parametrize("machine", list(Machine))
def test_over_a_reliable_transport_nothing_lingers(machine: Machine) -> None:
    transaction = made(machine, reliable=True)
    if machine in CLIENTS:
        begun = begin_client(transaction)
        assert [letter for letter, _ in begun.starts] in ([Trigger.TIMER_B], [Trigger.TIMER_F])
        transaction = begun.transaction
    taken = step(transaction, Trigger.FAILURE, given_to(transaction, Trigger.FAILURE))
    if machine is Machine.INVITE_SERVER:
        assert [letter for letter, _ in taken.starts] == [Trigger.TIMER_H]
        taken = step(taken.transaction, Trigger.ACK)
    assert all(after_s <= 5.0 for _, after_s in taken.starts)


def test_a_non_invite_request_is_repeated_slower_after_a_provisional_response() -> None:
    begun = begin_client(made(Machine.CLIENT)).transaction
    waits = []
    for _ in range(5):
        taken = step(begun, Trigger.TIMER_E)
        begun = taken.transaction
        waits += [after_s for _, after_s in taken.starts]
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]
    begun = step(begin_client(made(Machine.CLIENT)).transaction, Trigger.PROVISIONAL).transaction
    assert step(begun, Trigger.TIMER_E).starts == ((Trigger.TIMER_E, 4.0),)


def test_a_server_repeats_its_last_response_and_takes_no_second_final_one() -> None:
    begun = made(Machine.SERVER)
    assert step(begun, Trigger.REQUEST).sends == ()
    ringing = step(begun, Trigger.PROVISIONAL, given_to(begun, Trigger.PROVISIONAL)).transaction
    assert step(ringing, Trigger.REQUEST).sends == (ringing.last,)
    done = step(ringing, Trigger.SUCCESS, given_to(ringing, Trigger.SUCCESS)).transaction
    assert step(done, Trigger.REQUEST).sends == (done.last,)
    assert step(done, Trigger.FAILURE, given_to(done, Trigger.FAILURE)).sends == ()


def test_an_invite_server_without_a_response_repeats_nothing() -> None:
    assert step(made(Machine.INVITE_SERVER), Trigger.REQUEST).sends == ()


@pytest.mark.parametrize("machine", [Machine.INVITE_CLIENT, Machine.INVITE_SERVER, Machine.SERVER])
def test_a_response_trigger_without_a_response_sends_nothing(machine: Machine) -> None:
    for trigger in (Trigger.FAILURE, Trigger.PROVISIONAL, Trigger.SUCCESS):
        assert step(made(machine), trigger).sends == ()


def test_keys_distinguish_transactions() -> None:
    first = read(invite())
    assert server_key(first) == server_key(read(invite("X-A: b")))
    assert server_key(first) == server_key(read(invite(method="ACK")))
    others = [
        read(invite(branch="z9hG4bKother")),
        read(invite(sent_by="10.0.0.3:5061")),
        read(invite(method="CANCEL")),
        read(invite(branch="z9hG4bK")),
        read(invite(branch="old")),
        read(invite(branch="old", cseq=2)),
        read(invite(branch="old", from_tag="x")),
        read(invite(branch="old", call_id="x")),
    ]
    keys = {server_key(other) for other in [first, *others]}
    assert len(keys) == len(others)  # the two without a cookie of their own are the same
    assert client_key("b", "INVITE") != client_key("b", "CANCEL")


def test_the_acks_route_is_the_invites() -> None:
    text = invite("Route: <sip:10.0.0.8;lr>")
    begun = begin_client(replace(made(Machine.INVITE_CLIENT), request=read(text))).transaction
    taken = step(begun, Trigger.FAILURE, given_to(begun, Trigger.FAILURE))
    assert b"Route: <sip:10.0.0.8;lr>" in taken.sends[0]


def test_statuses_are_three_kinds() -> None:
    kinds = [trigger_of(status) for status in (100, 199, 200, 299, 300, 699)]
    assert kinds == [Trigger.PROVISIONAL] * 2 + [Trigger.SUCCESS] * 2 + [Trigger.FAILURE] * 2


TIMERS = [
    (Machine.INVITE_CLIENT, [Trigger.FAILURE], Trigger.TIMER_D, 32.0),
    (Machine.INVITE_CLIENT, [Trigger.PROVISIONAL, Trigger.FAILURE], Trigger.TIMER_D, 32.0),
    (Machine.INVITE_CLIENT, [Trigger.SUCCESS], Trigger.TIMER_M, 32.0),
    (Machine.CLIENT, [Trigger.SUCCESS], Trigger.TIMER_K, 5.0),
    (Machine.INVITE_SERVER, [Trigger.SUCCESS], Trigger.TIMER_L, 32.0),
    (Machine.INVITE_SERVER, [Trigger.FAILURE], Trigger.TIMER_G, 0.5),
    (Machine.INVITE_SERVER, [Trigger.FAILURE], Trigger.TIMER_H, 32.0),
    (Machine.INVITE_SERVER, [Trigger.FAILURE, Trigger.ACK], Trigger.TIMER_I, 5.0),
    (Machine.SERVER, [Trigger.SUCCESS], Trigger.TIMER_J, 32.0),
]


@pytest.mark.parametrize(("machine", "triggers", "timer", "after_s"), TIMERS)
def test_over_udp_a_transaction_stays_as_long_as_repetitions_may_arrive(
    machine: Machine, triggers: list[Trigger], timer: Trigger, after_s: float
) -> None:
    """Source: RFC 3261 table 4, with T1 0.5 s and T4 5 s; timer D is at least 32 s (§17.1.1.2)."""
    transaction = made(machine)
    for trigger in triggers:
        taken = step(transaction, trigger, given_to(transaction, trigger))
        transaction = taken.transaction
    assert dict(taken.starts)[timer] == after_s


def test_an_invite_is_repeated_at_doubled_intervals_and_a_failure_every_four_seconds_at_last() -> None:
    invited, refused = begin_client(made(Machine.INVITE_CLIENT)), made(Machine.INVITE_SERVER)
    taken, waits = invited, []
    for _ in range(5):
        taken = step(taken.transaction, Trigger.TIMER_A)
        waits += [after_s for _, after_s in taken.starts]
    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0]
    taken, waits = step(refused, Trigger.FAILURE, given_to(refused, Trigger.FAILURE)), []
    for _ in range(5):
        taken = step(taken.transaction, Trigger.TIMER_G)
        waits += [after_s for _, after_s in taken.starts]
    assert waits == [1.0, 2.0, 4.0, 4.0, 4.0]
