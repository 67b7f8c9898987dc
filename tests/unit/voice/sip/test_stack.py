"""The shared state of an agent, in the cases that its parts rely on."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.dialog.session_machine import SessionState
from holdfast.voice.sip.dialog.session_state import Session
from holdfast.voice.sip.effects import EndCause, Ended, Invited, SessionId, TimerToken
from holdfast.voice.sip.errors import NotAcceptableHere
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Message
from holdfast.voice.sip.sdp.sdp import Media, SessionDescription, build
from holdfast.voice.sip.session_commands import AcceptInvite, EndSession, RefuseInvite
from holdfast.voice.sip.settings import AgentSettings, AllowEveryCall
from holdfast.voice.sip.stack import SipStack
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, FixedRandom, Peer, Wire, encode, header, invite, reply


def new_stack() -> SipStack:
    return SipStack(AgentSettings(address=BOB, secret=b"k"), FixedRandom(number=0.0))


def session(state: SessionState) -> Session:
    message = decode(encode(invite()))
    assert isinstance(message, Message)
    return Session(
        id=SessionId("s"),
        state=state,
        invite=message,  # type: ignore[arg-type] # any message does here
        transaction="k",
        peer=BOB,
        we_called=False,
        local_tag="l",
    )


def test_replying_to_or_dropping_a_removed_transaction_has_no_effect() -> None:
    stack = new_stack()
    stack.reply("nothing", 200)
    stack.drop_transaction("nothing")
    assert stack.drain() == []


def test_a_step_reaches_only_the_states_that_the_table_lists_for_its_input() -> None:
    stack = new_stack()
    called = stack.put(session(SessionState.CALLED))
    assert stack.admit(called.id, RefuseInvite) is called
    for wanted in SessionState:
        if wanted is not SessionState.OVER:
            with pytest.raises(AssertionError, match="not in the table"):
                stack.change_state(called, wanted)
    assert stack.change_state(called, SessionState.OVER).state is SessionState.OVER


def test_a_session_without_a_dialog_can_end() -> None:
    stack = new_stack()
    called = stack.index_dialog(session(SessionState.CALLED))
    assert stack.admit(called.id, RefuseInvite) is not None
    stack.end(called, EndCause.CANCELLED, 487)
    assert stack.drain() == [Ended(session=SessionId("s"), cause=EndCause.CANCELLED, status=487)]
    assert (stack.sessions, stack.dialogs) == ({}, {})


def test_a_plain_phone_is_no_registrar() -> None:
    policy = AllowEveryCall()
    assert policy.ha1_of("alice") is None
    assert policy.may_call_unauthenticated(BOB)
    assert not policy.is_registrar()


def test_a_description_of_nothing_cannot_be_written() -> None:
    refused = Media(kind="audio", port=0, proto="RTP/AVP", formats=("0",))
    nothing = SessionDescription(origin="- 1 1 IN IP4 x", media=(refused,))
    with pytest.raises(NotAcceptableHere):
        build(nothing)


def test_a_200_whose_transaction_is_gone_is_waited_for_without_being_sent() -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    peer.send(invite("Content-Type: application/sdp", body=SDP.decode()))
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    (timer_l,) = [token for token in bob.timers if token.startswith("transaction L")]
    wire.do(bob, bob.agent.fire(TimerToken(timer_l), wire.now))
    peer.received()
    wire.run(31)
    assert peer.received() == []
    wire.run(2)
    assert peer.received()[0].startswith("BYE")


@pytest.mark.parametrize("route", ["<tel:+1555>", "<sip:10.0.0.3:99999>", "garbage"])
def test_a_recorded_route_that_leads_nowhere_is_echoed_and_the_source_used(route: str) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    peer.send(
        invite("Content-Type: application/sdp", f"Record-Route: {route}", body=SDP.decode(), contact="<sip:p@name>")
    )
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    tag = header(peer.received()[-1], "To").partition("tag=")[2]
    peer.send(invite(method="ACK", branch="z9hG4bKack", to_tag=tag, contact=""))
    wire.command(bob, invited.session, EndSession())
    (bye,) = peer.received()
    assert header(bye, "Route") == route


def test_a_response_to_a_removed_registration_has_no_effect() -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    wire.do(bob, bob.agent.register("r", peer.address, "bob", now=wire.now))
    wire.do(bob, bob.agent.unregister("r", now=wire.now))
    first, second = peer.received()
    peer.send(reply(second, 403))
    before = list(bob.events)
    peer.send(reply(first, 200))
    assert bob.events == before
