"""The workbench of an agent, where its parts lean on it."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.dialog.session_state import TRANSITIONS, Session, SessionState
from holdfast.voice.sip.effects import EndCause, Ended, Invited, SessionId, TimerToken
from holdfast.voice.sip.errors import NotAcceptableHere
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.message import Message
from holdfast.voice.sip.sdp.sdp import Media, SessionDescription, build
from holdfast.voice.sip.settings import AgentSettings, AllowEveryCall
from holdfast.voice.sip.stack import SipStack
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, Peer, Wire, header, invite, reply, wired


def desk() -> SipStack:
    return SipStack(AgentSettings(address=BOB, secret=b"k"), token=lambda: "t", random=lambda: 0.0)


def session(state: SessionState) -> Session:
    message = decode(wired(invite()))
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


def test_what_is_gone_is_replied_to_and_dropped_in_vain() -> None:
    bench = desk()
    bench.reply("nothing", 200)
    bench.drop_transaction("nothing")
    assert bench.drain() == []


@pytest.mark.parametrize("state", list(SessionState))
def test_a_session_moves_only_as_its_table_says(state: SessionState) -> None:
    for wanted in SessionState:
        if wanted in TRANSITIONS[state]:
            assert desk().change_state(session(state), wanted).state is wanted
        else:
            with pytest.raises(AssertionError, match="not in the table"):
                desk().change_state(session(state), wanted)


def test_a_session_without_a_dialog_can_end() -> None:
    bench = desk()
    bench.end(bench.index_dialog(session(SessionState.CALLED)), EndCause.CANCELLED, 487)
    assert bench.drain() == [Ended(session=SessionId("s"), cause=EndCause.CANCELLED, status=487)]
    assert (bench.sessions, bench.dialogs) == ({}, {})


def test_a_plain_phone_is_nobodys_registrar() -> None:
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
    peer.say(invite("Content-Type: application/sdp", body=SDP.decode()))
    (invited,) = bob.told(Invited)
    assert isinstance(invited, Invited)
    wire.do(bob, bob.agent.accept(invited.session, ANSWER, now=wire.now))
    (timer_l,) = [token for token in bob.timers if token.startswith("transaction L")]
    wire.do(bob, bob.agent.fire(TimerToken(timer_l), wire.now))
    peer.heard()
    wire.run(31)
    assert peer.heard() == []
    wire.run(2)
    assert peer.heard()[0].startswith("BYE")


@pytest.mark.parametrize("route", ["<tel:+1555>", "<sip:10.0.0.3:99999>", "garbage"])
def test_a_recorded_route_that_leads_nowhere_is_echoed_and_the_source_used(route: str) -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    peer.say(
        invite("Content-Type: application/sdp", f"Record-Route: {route}", body=SDP.decode(), contact="<sip:p@name>")
    )
    (invited,) = bob.told(Invited)
    assert isinstance(invited, Invited)
    wire.do(bob, bob.agent.accept(invited.session, ANSWER, now=wire.now))
    tag = header(peer.heard()[-1], "To").partition("tag=")[2]
    peer.say(invite(method="ACK", branch="z9hG4bKack", to_tag=tag, contact=""))
    wire.do(bob, bob.agent.bye(invited.session, now=wire.now))
    (bye,) = peer.heard()
    assert header(bye, "Route") == route


def test_an_answer_to_a_registration_that_is_over_is_nothing() -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob)
    wire.do(bob, bob.agent.register("r", peer.address, "bob", now=wire.now))
    wire.do(bob, bob.agent.unregister("r", now=wire.now))
    first, second = peer.heard()
    peer.say(reply(second, 403))
    before = list(bob.events)
    peer.say(reply(first, 200))
    assert bob.events == before
