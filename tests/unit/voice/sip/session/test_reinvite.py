"""Changes, digits and BYE of ours in a running call, with a scripted peer and with another agent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from holdfast.voice.sip.agent import DigestCredentials
from holdfast.voice.sip.effects import (
    Accepted,
    DigitSignalled,
    EndCause,
    Ended,
    Event,
    Invited,
    ReofferAnswered,
    ReofferDue,
    Reoffered,
    ReofferPostponed,
    ReofferRefused,
    SessionId,
    TimerToken,
)
from holdfast.voice.sip.sdp.offer import (
    Negotiation,
    answer_offer,
    apply_answer,
    make_offer,
    withdraw_offer,
)
from holdfast.voice.sip.sdp.sdp import Direction
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AcknowledgeOffer,
    AnswerReoffer,
    EndSession,
    RefuseReoffer,
    SendDigit,
    SendReoffer,
)
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, PROXY, SDP, Node, Peer, Wire, call, header, invite, reply

A = SessionId("a")
CHALLENGE = 'WWW-Authenticate: Digest realm="them", nonce="n1", qop="auth", algorithm=SHA-256'


class Scene:
    """An answered call of Alice to a scripted peer."""

    def __init__(self, *, random: float = 0.5) -> None:
        self.wire = Wire()
        self.alice: Node = self.wire.node(ALICE, random=random)
        self.peer = Peer(self.wire, self.alice)
        asked = self.alice.agent.invite(
            A,
            "sip:bob@10.0.0.3",
            now=self.wire.now,
            sdp=SDP,
            credentials=DigestCredentials(user="alice", password="secret"),
        )
        self.wire.do(self.alice, asked)
        self.invite = self.peer.received()[0]
        contact = "Contact: <sip:bob@10.0.0.3:5060>"
        self.peer.send(reply(self.invite, 200, contact, "Content-Type: application/sdp", body=ANSWER.decode()))
        self.peer.received()
        self.alice.events.clear()

    def ask(self, sdp: bytes | None = SDP) -> str:
        """Change the call as Alice; return her re-INVITE, or "" while it waits."""
        self.wire.command(self.alice, A, SendReoffer(sdp=sdp))
        received = self.peer.received()
        return received[-1] if received else ""

    def ok(self, to: str, sdp: bytes | None = ANSWER) -> list[str]:
        """Answer with 200 and return what Alice sends then."""
        extra = ["Contact: <sip:bob@10.0.0.3:5062>"] + (["Content-Type: application/sdp"] if sdp else [])
        self.peer.send(reply(to, 200, *extra, body=(sdp or b"").decode()))
        texts = [data.decode() for data, _, _ in self.wire.lost]
        self.wire.lost.clear()
        return texts

    def from_peer(self, method: str, branch: str, cseq: int, body: str = "") -> None:
        """Send a request of the peer in the dialog."""
        text = invite(
            *(["Content-Type: application/sdp"] if body else []), method=method, branch=branch, cseq=cseq, body=body
        )
        text = text.replace("Call-ID: call-1", f"Call-ID: {header(self.invite, 'Call-ID')}")
        lines = [
            "From: <sip:bob@10.0.0.3>;tag=peer"
            if line.startswith("From:")
            else f"To: {header(self.invite, 'From')}"
            if line.startswith("To:")
            else line
            for line in text.split("\n")
        ]
        self.peer.send("\n".join(lines))


def events(scene: Scene) -> list[Event]:
    return scene.alice.events


def test_an_accepted_change_refreshes_the_target() -> None:
    scene = Scene()
    asked = scene.ask()
    assert asked.startswith("INVITE sip:bob@10.0.0.3:5060")
    assert header(asked, "CSeq") == "2 INVITE"
    assert header(asked, "To").endswith(";tag=peer")
    (ack,) = scene.ok(asked)
    assert ack.startswith("ACK sip:bob@10.0.0.3:5062")
    assert header(ack, "CSeq") == "2 ACK"
    assert scene.ok(asked) == [ack]
    assert events(scene) == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]


def test_a_change_without_an_offer_is_answered_in_the_ack() -> None:
    scene = Scene()
    asked = scene.ask(None)
    assert scene.ok(asked) == []
    assert events(scene) == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=True)]
    assert scene.ok(asked) == []
    scene.wire.command(scene.alice, A, AcknowledgeOffer(sdp=SDP))
    texts = [data.decode() for data, _, _ in scene.wire.lost]
    assert texts[0].endswith(SDP.decode())


def test_a_change_by_update_is_answered_without_an_ack() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    (asked,) = scene.peer.received()
    assert asked.startswith("UPDATE sip:bob@10.0.0.3:5060")
    assert scene.ok(asked) == []
    assert events(scene) == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]


@pytest.mark.parametrize("status", [405, 488])
def test_a_refused_update_leaves_the_call_as_it_was(status: int) -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    (asked,) = scene.peer.received()
    scene.peer.send(reply(asked, status))
    assert events(scene) == [ReofferRefused(session=A, status=status, reason="Whatever")]
    assert scene.peer.received() == []


@pytest.mark.parametrize("status", [488, 500, 603, 415])
def test_a_refused_change_leaves_the_call_as_it_was(status: int) -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(), status))
    assert events(scene) == [ReofferRefused(session=A, status=status, reason="Whatever")]
    assert scene.alice.agent.sessions() == (A,)
    assert scene.peer.received()[0].startswith("ACK")


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_lost_the_dialog_ends_the_call(status: int) -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(), status))
    assert events(scene) == [Ended(session=A, cause=EndCause.LOST, status=status)]
    assert [text.split(" ")[0] for text in scene.peer.received()] == ["ACK", "BYE"]


def test_a_peer_that_does_not_answer_ends_the_call() -> None:
    scene = Scene()
    scene.ask()
    scene.wire.run(33)
    assert events(scene) == [Ended(session=A, cause=EndCause.LOST, status=408)]
    scene.wire.run(60)
    assert (scene.alice.agent.transactions(), scene.alice.agent.timers()) == (0, 0)


@pytest.mark.parametrize(("number", "after"), [(0.0, 2.1), (0.5, 3.05), (0.999, 4.0)])
def test_glare_backs_off_and_tries_again(number: float, after: float) -> None:
    scene = Scene(random=number)
    scene.peer.send(reply(scene.ask(), 491))
    scene.peer.received()
    scene.wire.run(after - 0.02)
    assert events(scene) == [ReofferPostponed(session=A)]
    scene.wire.run(0.04)
    assert scene.peer.received() == []
    assert events(scene) == [ReofferPostponed(session=A), ReofferDue(session=A, method="INVITE")]
    scene.alice.events.clear()
    again = scene.ask()
    assert header(again, "CSeq") == "3 INVITE"
    scene.ok(again)
    assert events(scene) == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]


@pytest.mark.parametrize("asked", [0, 4, 10])
def test_a_change_refused_by_500_with_retry_after_is_tried_again_then_and_twice_at_most(asked: int) -> None:
    """The peer had a change in progress. Source: RFC 3261 §14.2."""
    scene = Scene()
    for _ in range(2):
        scene.peer.send(reply(scene.ask(), 500, f"Retry-After: {asked}"))
        scene.peer.received()
        scene.wire.run(max(0, asked - 0.02))
        assert events(scene)[:1] == [ReofferPostponed(session=A)]
        scene.wire.run(0.04)
        assert events(scene) == [ReofferPostponed(session=A), ReofferDue(session=A, method="INVITE")]
        scene.alice.events.clear()
    scene.peer.send(reply(scene.ask(), 500, f"Retry-After: {asked}"))
    assert [type(event) for event in events(scene)] == [ReofferRefused]


@pytest.mark.parametrize("headers", [(), ("Retry-After: 11",), ("Retry-After: soon",)])
def test_any_other_500_refuses_a_change(headers: tuple[str, ...]) -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(), 500, *headers))
    assert [type(event) for event in events(scene)] == [ReofferRefused]


def test_glare_of_an_update_asks_for_an_update_again() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendReoffer(sdp=SDP, method="UPDATE"))
    scene.peer.send(reply(scene.peer.received()[0], 491))
    scene.wire.run(4.1)
    assert events(scene) == [ReofferPostponed(session=A), ReofferDue(session=A, method="UPDATE")]


def test_glare_of_a_change_without_an_offer_is_tried_again_by_itself() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(None), 491))
    scene.peer.received()
    scene.wire.run(3.2)
    (again,) = scene.peer.received()
    assert header(again, "CSeq") == "3 INVITE"
    assert events(scene) == []


def test_a_change_requested_during_the_backoff_replaces_the_postponed_one() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(), 491))
    scene.peer.received()
    assert scene.ask(b"v=1") == ""
    scene.wire.run(3.2)
    (again,) = scene.peer.received()
    assert again.endswith("v=1")
    assert events(scene) == [ReofferPostponed(session=A)]


def test_endless_glare_is_reported_and_ends_nothing() -> None:
    scene = Scene()
    for _ in range(2):
        scene.peer.send(reply(scene.ask(), 491))
        scene.peer.received()
        scene.wire.run(4.1)
        assert events(scene) == [ReofferPostponed(session=A), ReofferDue(session=A, method="INVITE")]
        scene.alice.events.clear()
    scene.peer.send(reply(scene.ask(), 491))
    assert events(scene) == [ReofferRefused(session=A, status=491, reason="Whatever")]
    assert scene.alice.agent.sessions() == (A,)


def test_during_our_backoff_the_peer_may_change_first() -> None:
    scene = Scene(random=0.0)
    scene.peer.send(reply(scene.ask(), 491))
    scene.peer.received()
    scene.from_peer("INVITE", "z9hG4bKre", 9, SDP.decode())
    assert events(scene) == [ReofferPostponed(session=A), Reoffered(session=A, method="INVITE", sdp=SDP)]
    scene.wire.run(2.2)
    assert len(events(scene)) == 2
    scene.wire.command(scene.alice, A, AnswerReoffer(sdp=ANSWER))
    scene.from_peer("ACK", "z9hG4bKack", 9)
    scene.wire.run(2.2)
    assert scene.alice.emitted(ReofferDue)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_while_our_change_is_out_that_of_the_peer_gets_491(method: str) -> None:
    scene = Scene()
    asked = scene.ask()
    scene.from_peer(method, "z9hG4bKre", 9, SDP.decode())
    assert scene.peer.statuses() == [491]
    scene.ok(asked)
    assert len(events(scene)) == 1


def test_of_changes_that_wait_the_latest_is_sent() -> None:
    scene = Scene()
    asked = scene.ask()
    scene.peer.send(reply(asked, 100, tag=None))
    assert scene.ask(b"v=1") == ""
    assert scene.ask(SDP) == ""
    texts = scene.ok(asked)
    assert [text.split(" ")[0] for text in texts] == ["ACK", "INVITE"]
    assert texts[1].endswith(SDP.decode())


def test_a_change_that_waited_follows_a_refused_one() -> None:
    scene = Scene()
    asked = scene.ask()
    scene.ask(SDP)
    scene.peer.send(reply(asked, 488))
    assert [text.split(" ")[0] for text in scene.peer.received()] == ["ACK", "INVITE"]


def test_a_waiting_change_follows_that_of_the_peer() -> None:
    scene = Scene()
    scene.from_peer("UPDATE", "z9hG4bKup", 9, SDP.decode())
    assert scene.ask(SDP) == ""
    scene.wire.command(scene.alice, A, AnswerReoffer(sdp=ANSWER))
    assert [text.split(" ")[0] for text in scene.peer.received()] == ["SIP/2.0", "INVITE"]
    scene = Scene()
    scene.from_peer("UPDATE", "z9hG4bKup", 9, SDP.decode())
    assert scene.ask(SDP) == ""
    scene.wire.command(scene.alice, A, RefuseReoffer(status=200))
    assert [text.split(" ")[1] for text in scene.peer.received()] == ["488", "sip:peer@10.0.0.3:5060"]


def test_a_change_is_challenged_and_sent_again() -> None:
    scene = Scene()
    scene.peer.send(reply(scene.ask(), 401, CHALLENGE))
    again = scene.peer.received()[-1]
    assert header(again, "CSeq") == "3 INVITE"
    assert "Digest" in header(again, "Authorization")
    assert header(again, "Content-Type") == "application/sdp"
    scene.ok(again)
    assert events(scene) == [ReofferAnswered(session=A, sdp=ANSWER, offer_to_answer=False)]


def test_a_200_to_a_change_after_we_hung_up_is_acknowledged() -> None:
    scene = Scene()
    asked = scene.ask()
    scene.wire.command(scene.alice, A, EndSession())
    bye = scene.peer.received()[0]
    texts = scene.ok(asked)
    assert [text.split(" ")[0] for text in texts] == ["ACK"]
    scene.peer.send(reply(bye, 200))
    assert events(scene) == [Ended(session=A, cause=EndCause.WE_HUNG_UP, status=200)]
    scene.wire.run(60)
    assert (scene.alice.agent.transactions(), scene.alice.agent.timers()) == (0, 0)


def test_a_refused_change_after_our_bye_has_no_effect() -> None:
    scene = Scene()
    asked = scene.ask()
    scene.wire.command(scene.alice, A, EndSession())
    scene.peer.send(reply(asked, 481))
    assert events(scene) == []


def test_a_bye_is_challenged_and_sent_again() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, EndSession())
    scene.peer.send(reply(scene.peer.received()[0], 401, CHALLENGE))
    (again,) = scene.peer.received()
    assert "Digest" in header(again, "Authorization")
    scene.peer.send(reply(again, 481))
    assert events(scene) == [Ended(session=A, cause=EndCause.WE_HUNG_UP, status=200)]


def test_an_unanswered_bye_is_repeated_and_given_up() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, EndSession())
    scene.wire.command(scene.alice, A, EndSession())
    scene.wire.run(33)
    assert len(scene.peer.received()) == 11
    assert events(scene) == [Ended(session=A, cause=EndCause.WE_HUNG_UP, status=408)]


def test_a_digit_is_sent_by_info() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendDigit(digit="#"))
    (info,) = scene.peer.received()
    assert info.startswith("INFO")
    assert info.endswith("Signal=#\r\nDuration=160\r\n")
    scene.peer.send(reply(info, 200))
    assert events(scene) == []


@pytest.mark.parametrize(("status", "ends"), [(415, False), (481, True), (401, False)])
def test_the_response_to_a_digit_decides(status: int, ends: bool) -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendDigit(digit="#"))
    scene.peer.send(reply(scene.peer.received()[0], status, CHALLENGE))
    assert bool(events(scene)) is ends
    assert (A in scene.alice.agent.sessions()) is not ends


def test_an_unanswered_digit_ends_the_call() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendDigit(digit="#"))
    scene.wire.run(33)
    assert events(scene) == [Ended(session=A, cause=EndCause.LOST, status=408)]


def test_a_failed_info_after_our_bye_has_no_effect() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, SendDigit(digit="#"))
    info = scene.peer.received()[0]
    scene.wire.command(scene.alice, A, EndSession())
    scene.peer.send(reply(info, 481))
    assert events(scene) == []


# --- two agents


def talking(*, random: float = 0.2) -> tuple[Wire, Node, Node, SessionId]:
    """Return a call of Alice to Bob that he has answered."""
    wire = Wire()
    alice, bob = wire.node(ALICE, random=random), wire.node(BOB, random=random)
    call(wire, alice, bob)
    wire.run(0.1)
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    wire.run(0.1)
    return wire, alice, bob, invited.session


class Owner:
    """The owner of an agent, which offers and answers for it, and records the peer's descriptions."""

    def __init__(self, wire: Wire, node: Node, session: SessionId, state: Negotiation) -> None:
        self.wire, self.node, self.session, self.state = wire, node, session, state
        self.described: list[tuple[int, bytes]] = []
        """The versions of the peer's descriptions, each with its content."""

    def offer(self) -> None:
        """Offer the owner's direction."""
        self.state, sdp = make_offer(self.state)
        self.wire.command(self.node, self.session, SendReoffer(sdp=sdp))

    def catch_up(self) -> None:
        """Handle the events of the agent."""
        events, self.node.events[:] = self.node.events[:], []
        for event in events:
            match event:
                case Reoffered(sdp=sdp) if sdp is not None:
                    self._note(sdp)
                    self.state, ours = answer_offer(self.state, sdp)
                    self.wire.command(self.node, self.session, AnswerReoffer(sdp=ours))
                case ReofferAnswered(sdp=sdp) if sdp is not None:
                    self._note(sdp)
                    self.state = apply_answer(self.state, sdp)
                case ReofferPostponed():
                    self.state = withdraw_offer(self.state)
                case ReofferDue():
                    self.offer()
                case _:
                    pass

    def _note(self, sdp: bytes) -> None:
        origin, _, described = sdp.partition(b"\r\ns=")
        self.described.append((int(origin.split()[3]), described))


def owners(*, alice: Direction, bob: Direction, random: float) -> tuple[Wire, Owner, Owner]:
    """Return two agents in a call, each with its direction from now on."""
    wire, calling, called, at_bob = talking(random=random)
    asked, sdp = make_offer(Negotiation(local=(ALICE.host, 4000), session_id=1))
    answered, back = answer_offer(Negotiation(local=(BOB.host, 4000), session_id=2), sdp)
    ours = Owner(wire, calling, A, replace(apply_answer(asked, back), local_direction=alice))
    return wire, ours, Owner(wire, called, at_bob, replace(answered, local_direction=bob))


def run_owners(wire: Wire, *owners: Owner, seconds: float) -> None:
    """Let time pass, in which the owners handle their events."""
    for _ in range(round(seconds / 0.02)):
        wire.run(0.02)
        for owner in owners:
            owner.catch_up()


@pytest.mark.parametrize("number", [0.0, 0.2, 0.999])
def test_both_sides_change_at_once_and_both_changes_come_through(number: float) -> None:
    wire, alice, bob = owners(alice=Direction.SENDRECV, bob=Direction.SENDONLY, random=number)
    alice.offer()
    bob.offer()
    run_owners(wire, alice, bob, seconds=10.0)
    for owner in (alice, bob):
        assert not owner.state.offered
        versions = [version for version, _ in owner.described]
        assert len(versions) == 2
        assert versions == sorted(versions)
        assert len(set(versions)) == len(set(owner.described))
    assert alice.state.agreed is not None
    assert bob.state.agreed is not None
    assert alice.state.agreed.peer_holds
    assert (alice.state.agreed.send, alice.state.agreed.receive) == (False, True)
    assert (bob.state.agreed.send, bob.state.agreed.receive) == (True, False)


def test_a_hold_while_we_back_off_is_answered_and_our_change_comes_after_it() -> None:
    wire, alice, bob = owners(alice=Direction.SENDRECV, bob=Direction.SENDONLY, random=0.0)
    alice.offer()
    bob.offer()
    run_owners(wire, alice, bob, seconds=2.0)
    assert (len(alice.described), len(bob.described)) == (1, 1)
    assert (alice.state.offered, bob.state.offered) == (False, False)
    assert alice.state.agreed is not None
    assert alice.state.agreed.peer_holds
    run_owners(wire, alice, bob, seconds=1.0)
    assert (len(alice.described), len(bob.described)) == (2, 2)
    assert alice.state.agreed.peer_holds


def test_both_sides_hang_up_at_once() -> None:
    wire, alice, bob, at_bob = talking()
    wire.command(alice, A, EndSession())
    wire.command(bob, at_bob, EndSession())
    wire.run(40)
    assert alice.emitted(Ended) == [Ended(session=A, cause=EndCause.WE_HUNG_UP, status=200)]
    assert bob.emitted(Ended) == [Ended(session=at_bob, cause=EndCause.WE_HUNG_UP, status=200)]
    for node in (alice, bob):
        assert (node.agent.transactions(), node.agent.timers()) == (0, 0)


def test_a_digit_reaches_the_peer() -> None:
    wire, alice, bob, at_bob = talking()
    wire.command(alice, A, SendDigit(digit="7", duration_ms=300))
    wire.run(0.1)
    assert bob.emitted(DigitSignalled) == [DigitSignalled(session=at_bob, digit="7", duration_ms=300)]


def test_a_change_asked_before_the_ack_waits_for_it() -> None:
    wire = Wire(lambda data: () if data.startswith(b"ACK") else (0.01,))
    alice, bob = wire.node(ALICE), wire.node(BOB)
    call(wire, alice, bob)
    wire.run(0.1)
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    wire.command(bob, invited.session, SendReoffer(sdp=SDP))
    wire.run(0.2)
    assert alice.emitted(Reoffered) == []
    wire.fate = lambda _: (0.01,)
    wire.run(1)
    assert len(alice.emitted(Reoffered)) == 1


def test_every_message_is_traced_in_order() -> None:
    wire, alice, bob, _ = talking()
    wire.command(alice, A, EndSession())
    wire.run(1)

    def ladder(node: Node, direction: str) -> list[str]:
        return [
            f"{seen.start_line.replace(' SIP/2.0', '')[:11]} / {seen.cseq}"
            for seen in node.seen
            if seen.direction == direction
        ]

    assert ladder(alice, "out") == ladder(bob, "in")
    assert ladder(bob, "out") == ladder(alice, "in")
    assert [seen.cseq for seen in alice.seen] == [
        *("1 INVITE", "1 INVITE", "1 INVITE", "1 ACK", "2 BYE", "2 BYE"),
    ]
    assert all(not seen.repeated for seen in alice.seen)
    assert len(alice.emitted(Accepted)) == 1


def test_a_timer_that_was_stopped_does_nothing() -> None:
    wire, alice, _, _ = talking()
    assert alice.agent.fire(TimerToken("session repeat-ok a"), wire.now) == []
    assert alice.agent.fire(TimerToken("nonsense"), wire.now) == []
    assert PROXY not in wire.nodes


def test_an_unanswered_change_after_our_bye_has_no_effect() -> None:
    scene = Scene()
    scene.ask()
    scene.wire.run(1)
    scene.wire.command(scene.alice, A, EndSession())
    scene.wire.run(60)
    assert events(scene) == [Ended(session=A, cause=EndCause.WE_HUNG_UP, status=408)]


def test_answering_or_refusing_a_change_that_does_not_exist_has_no_effect() -> None:
    scene = Scene()
    scene.wire.command(scene.alice, A, AnswerReoffer(sdp=ANSWER))
    scene.wire.command(scene.alice, A, RefuseReoffer(status=488))
    assert scene.peer.received() == []
