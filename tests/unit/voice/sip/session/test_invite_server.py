"""Inbound calls from a scripted peer, one behaviour of RFC 3261 each."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.effects import (
    Address,
    Confirmed,
    DigitSignalled,
    EndCause,
    Ended,
    Event,
    Invited,
    Referred,
    Reoffered,
    ReofferWithdrawn,
    SessionId,
)
from holdfast.voice.sip.message.digest import Ha1
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerRefer,
    AnswerReoffer,
    EndSession,
    RecordAudio,
    RefuseInvite,
    RefuseReoffer,
    SendReoffer,
    SendRinging,
)
from tests.unit.voice.sip.wire import ANSWER, BOB, SDP, Node, Peer, Wire, header, invite

SDP_TEXT = SDP.decode()
WITH_SDP = "Content-Type: application/sdp"


class OneUnauthenticatedHost:
    """A policy with one line, under which unauthenticated calls are refused."""

    def ha1_of(self, user: str) -> Ha1 | None:
        return Ha1.of("alice", "secret") if user == "alice" else None

    def may_call_unauthenticated(self, source: Address) -> bool:
        return False

    def is_registrar(self) -> bool:
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        return False


class Scene:
    """A scripted peer calls Bob."""

    def __init__(self, *, answer_within_s: float = 300.0, max_sessions: int = 10, max_transactions: int = 100) -> None:
        self.wire = Wire()
        self.bob: Node = self.wire.node(
            BOB, answer_within_s=answer_within_s, max_sessions=max_sessions, max_transactions=max_transactions
        )
        self.peer = Peer(self.wire, self.bob)

    def called(self, *extra: str, body: str = SDP_TEXT) -> SessionId:
        """Call Bob and return his session."""
        self.peer.send(invite(*([WITH_SDP] if body else []), *extra, body=body))
        invited = self.bob.emitted(Invited)[-1]
        assert isinstance(invited, Invited)
        return invited.session

    def answered(self) -> SessionId:
        """Return a call that Bob has answered and the peer has not acknowledged."""
        session = self.called()
        self.wire.command(self.bob, session, AcceptInvite(sdp=ANSWER))
        self.tag = header(self.peer.received()[-1], "To").partition("tag=")[2]
        self.bob.events.clear()
        return session

    def running(self) -> SessionId:
        """Return a call that is answered and acknowledged."""
        session = self.answered()
        self.send("ACK", branch="z9hG4bKack", cseq=1)
        self.bob.events.clear()
        return session

    def send(self, method: str, *extra: str, branch: str, cseq: int, body: str = "") -> None:
        """Send a request in the dialog."""
        text = invite(
            *extra,
            method=method,
            branch=branch,
            cseq=cseq,
            to_tag=self.tag,
            body=body,
            contact="<sip:peer@10.0.0.3:5060>" if method in ("INVITE", "UPDATE") else "",
        )
        self.peer.send(text)

    def ends(self) -> list[tuple[EndCause, int]]:
        return [(event.cause, event.status) for event in self.bob.events if isinstance(event, Ended)]


def kinds(events: list[Event]) -> list[type[Event]]:
    return [type(event) for event in events]


def test_an_invited_event_holds_all_headers() -> None:
    scene = Scene()
    scene.called("X-Custom: caf\udce9")
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert (invited.called, invited.caller, invited.caller_host) == ("bob", "+15550100", "10.0.0.3")
    assert (invited.caller_name, invited.user, invited.sdp) == ('Peer "P"', None, SDP)
    assert dict(invited.headers)["X-Custom"] == "caf\ufffd"
    assert scene.peer.statuses() == [100]


@pytest.mark.parametrize(
    ("uri", "called", "target"),
    [
        ("sip:+15550100;npdi;rn=+15550199@10.0.0.2", "+15550100", None),
        ("sip:15550100;phone-context=+1@10.0.0.2;user=phone", "+15550100", None),
        ("tel:+15550100;npdi", "+15550100", "sip:+15550100;npdi@10.0.0.2;user=phone"),
        ("TEL:555-0100;phone-context=+1", "+15550100", "sip:555-0100;phone-context=+1@10.0.0.2;user=phone"),
    ],
)
def test_a_number_is_called_without_its_parameters(uri: str, called: str, target: str | None) -> None:
    scene = Scene()
    scene.peer.send(invite(uri=uri).replace("<sip:+15550100@10.0.0.3>", "<sip:5550123;phone-context=+1@10.0.0.3>"))
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert (invited.called, invited.target, invited.caller) == (called, target or uri, "+15550123")


def test_a_caller_without_a_sip_uri_is_its_number() -> None:
    scene = Scene()
    scene.peer.send(invite().replace("<sip:+15550100@10.0.0.3>", "<tel:+15550100;phone-context=x>"))
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert (invited.caller, invited.caller_host) == ("+15550100", "")


@pytest.mark.parametrize(
    ("user", "number"),
    [
        ("%1b%5d0;x%07", "\ufffd]0;x\ufffd"),
        ("a%0d%0aVia%3a%20b", "a\ufffd\ufffdVia: b"),
        ("a%00b%7f", "a\ufffdb\ufffd"),
        ("%C2%9B2J", "\ufffd2J"),
        ("a%09b", "a b"),
        ("%FF", "\ufffd"),
    ],
)
def test_a_name_cannot_carry_control_characters_to_terminals_and_headers(user: str, number: str) -> None:
    scene = Scene()
    scene.peer.send(invite(uri=f"sip:{user}@10.0.0.2"))
    (invited,) = scene.bob.emitted(Invited)
    assert isinstance(invited, Invited)
    assert invited.called == number
    scene.peer.send(invite("X-Note: a\tb", branch="z9hG4bKtab", call_id="tab"))
    noted = scene.bob.emitted(Invited)[-1]
    assert isinstance(noted, Invited)
    assert dict(noted.headers)["X-Note"] == "a b"


def test_an_invite_that_comes_again_makes_no_second_call() -> None:
    scene = Scene()
    session = scene.called()
    scene.called()
    assert scene.peer.statuses() == [100, 100]
    scene.wire.command(scene.bob, session, SendRinging())
    scene.called()
    assert scene.peer.statuses() == [180, 180]
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    assert scene.peer.statuses() == [200]
    scene.called()
    assert scene.peer.statuses() == []
    assert len(scene.bob.emitted(Invited)) == 1


def test_an_invite_that_came_two_ways_is_merged() -> None:
    scene = Scene()
    scene.called()
    scene.peer.received()
    scene.peer.send(invite(branch="z9hG4bKother"))
    assert scene.peer.statuses() == [482]
    assert len(scene.bob.emitted(Invited)) == 1


def test_the_200_is_repeated_until_its_ack() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    oks = scene.peer.received()[1:]
    for _ in range(80):
        scene.wire.run(0.1)
        oks += scene.peer.received()
    assert len(oks) == 1 + 4  # after 0.5, 1.5, 3.5, 7.5 s
    assert len(set(oks)) == 1
    scene.tag = header(oks[0], "To").partition("tag=")[2]
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.wire.run(60)
    assert scene.peer.received() == []
    assert scene.bob.emitted(Confirmed) == [Confirmed(session=session, sdp=None, offered=False)]


def test_a_200_lists_our_capabilities_once() -> None:
    """The list stands in each 200, with a session timer or without: the caller sends UPDATE by it."""
    for extra in ((), ("Supported: timer", "Session-Expires: 600")):
        scene = Scene()
        session = scene.called(*extra)
        scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
        ok = scene.peer.received()[-1]
        assert (ok.count("\r\nSupported:"), header(ok, "Supported")) == (1, "100rel, timer")
        assert "UPDATE" in header(ok, "Allow").split(", ")


def test_a_200_that_is_never_acknowledged_ends_in_bye() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.wire.run(31.9)
    assert scene.ends() == []
    scene.wire.run(0.2)
    assert scene.ends() == [(EndCause.NO_ACK, 408)]
    assert scene.peer.received()[-1].startswith("BYE sip:peer@10.0.0.3:5060")
    scene.wire.run(40)
    assert (scene.bob.agent.transactions(), scene.bob.agent.timers()) == (0, 0)


def test_an_offerless_invite_gets_our_offer_and_its_answer_comes_in_the_ack() -> None:
    scene = Scene()
    session = scene.called(body="")
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.send("ACK", WITH_SDP, branch="z9hG4bKack", cseq=1, body=SDP_TEXT)
    assert scene.bob.emitted(Confirmed) == [Confirmed(session=session, sdp=SDP, offered=True)]


def test_a_cancelled_call_gets_487_and_the_cancel_200() -> None:
    scene = Scene()
    scene.called()
    scene.peer.received()
    cancel = invite(method="CANCEL", contact="")
    scene.peer.send(cancel)
    assert scene.peer.statuses() == [200, 487]
    scene.peer.send(cancel)
    assert scene.peer.statuses() == [200]
    assert scene.ends() == [(EndCause.CANCELLED, 487)]
    scene.wire.run(0.6)
    assert scene.peer.statuses() == [487]
    scene.peer.send(invite(method="ACK", contact=""))
    scene.wire.run(2)
    assert scene.peer.received() == []


def test_a_cancel_after_the_200_changes_nothing() -> None:
    scene = Scene()
    session = scene.running()
    scene.peer.send(invite(method="CANCEL", contact=""))
    assert scene.peer.statuses() == [200]
    assert scene.bob.agent.sessions() == (session,)
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.peer.statuses() == [200]
    assert scene.ends() == [(EndCause.HUNG_UP, 200)]


def test_a_cancel_of_an_unknown_invite_gets_481() -> None:
    scene = Scene()
    scene.peer.send(invite(method="CANCEL", contact=""))
    assert scene.peer.statuses() == [481]


def test_a_cancel_of_a_refused_invite_is_answered() -> None:
    scene = Scene(max_sessions=10)
    scene.peer.send(invite("Supported: timer", "Session-Expires: 10"))
    scene.peer.send(invite(method="CANCEL", contact=""))
    assert scene.peer.statuses() == [422, 200]


def test_a_refusal_is_repeated_until_its_ack_for_32_seconds() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, RefuseInvite(status=486, headers=(("X-A", "b"),)))
    scene.wire.run(40)
    statuses = scene.peer.statuses()
    assert statuses == [100] + [486] * 11  # 0, 0.5, 1.5, 3.5, then every 4 s
    assert scene.ends() == [(EndCause.WE_REFUSED, 486)]
    assert scene.bob.agent.transactions() == 0


@pytest.mark.parametrize(("asked", "sent"), [(200, 480), (99, 480), (700, 480), (300, 300), (603, 603)])
def test_a_refused_refer_is_reported(asked: int, sent: int) -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, RefuseInvite(status=asked))
    assert scene.peer.statuses() == [100, sent]


def test_ringing_is_said_again_every_minute_and_not_for_ever() -> None:
    scene = Scene(answer_within_s=150)
    session = scene.called()
    scene.wire.command(scene.bob, session, SendRinging())
    scene.wire.command(scene.bob, session, SendRinging(status=183, sdp=ANSWER))
    scene.peer.received()
    scene.wire.run(149)
    said = scene.peer.received()
    assert [text.split(" ")[1] for text in said] == ["183", "183"]
    assert said[0].endswith(ANSWER.decode())
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.EXPIRED, 480)]


@pytest.mark.parametrize(("expires", "after"), [("5", 5.0), ("0", 0.0), ("never", 20.0), ("4294967296", 20.0)])
def test_an_invite_expires_at_its_expires_header(expires: str, after: float) -> None:
    scene = Scene(answer_within_s=20)
    scene.called(f"Expires: {expires}")
    if after:
        scene.wire.run(after - 0.1)
        assert scene.ends() == []
    scene.wire.run(0.2)
    assert scene.ends() == [(EndCause.EXPIRED, 480)]


def test_hanging_up_on_a_call_that_rings_declines_it() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.peer.statuses() == [100, 603]


def test_a_bye_waits_for_the_ack() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.peer.received() == []
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    assert scene.peer.received()[0].startswith("BYE")
    assert scene.ends() == []
    scene.wire.run(40)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]


def test_a_bye_before_the_ack_ends_the_call() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.ends() == [(EndCause.HUNG_UP, 200)]
    scene.send("ACK", branch="z9hG4bKack", cseq=1)
    scene.peer.received()
    scene.wire.run(40)
    assert scene.peer.received() == []


def test_a_bye_that_crosses_our_own_before_the_ack_ends_the_call_as_ours() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.wire.command(scene.bob, session, EndSession())
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 200)]


def test_a_caller_may_hang_up_by_bye_while_it_rings() -> None:
    scene = Scene()
    session = scene.called()
    scene.wire.command(scene.bob, session, SendRinging())
    scene.tag = header(scene.peer.received()[-1], "To").partition("tag=")[2]
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.peer.statuses() == [200, 487]
    assert scene.ends() == [(EndCause.CANCELLED, 487)]


def test_calls_above_the_limit_get_503() -> None:
    scene = Scene(max_sessions=1)
    scene.called()
    scene.peer.received()
    scene.peer.send(invite(branch="z9hG4bKtwo", call_id="call-2"))
    (busy,) = scene.peer.received()
    assert busy.startswith("SIP/2.0 503")
    assert header(busy, "Retry-After") == "5"
    assert scene.bob.agent.transactions() == 1


def test_calls_that_are_over_take_up_no_room() -> None:
    scene = Scene(max_sessions=2)
    for number in range(6):
        scene.peer.send(invite(branch=f"z9hG4bKc{number}", call_id=f"c-{number}"))
        scene.wire.command(scene.bob, scene.bob.agent.sessions()[0], RefuseInvite(status=486))
        scene.wire.run(40)
        assert set(scene.peer.statuses()) == {100, 486}


def test_transactions_above_the_limit_get_503() -> None:
    scene = Scene(max_transactions=1)
    scene.called()
    scene.peer.received()
    scene.peer.send(invite(method="OPTIONS", branch="z9hG4bKtwo", call_id="call-2"))
    assert scene.peer.statuses() == [503]


def test_a_running_call_goes_on_when_unauthenticated_requests_fill_the_memory() -> None:
    scene = Scene(max_transactions=1)
    scene.running()
    scene.peer.send(invite(method="OPTIONS", branch="z9hG4bKtwo", call_id="call-2"))
    assert scene.peer.statuses() == [503]
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.peer.statuses() == [200]
    assert scene.ends() == [(EndCause.HUNG_UP, 200)]


# --- in the dialog


def test_a_request_out_of_order_gets_500() -> None:
    scene = Scene()
    scene.running()
    scene.send("INFO", branch="z9hG4bKold", cseq=1)
    assert scene.peer.statuses() == [500]


def test_a_repeated_bye_is_answered_again_and_an_unknown_one_gets_481() -> None:
    scene = Scene()
    scene.running()
    for _ in range(3):
        scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.peer.statuses() == [200, 200, 200]
    scene.send("BYE", branch="z9hG4bKbye2", cseq=3)
    assert scene.peer.statuses() == [481]


@pytest.mark.parametrize(
    ("method", "status"),
    [("OPTIONS", 200), ("MESSAGE", 405), ("REFER", 400), ("NOTIFY", 489), ("SUBSCRIBE", 489), ("INFO", 200)],
)
def test_other_requests_in_the_dialog_are_answered_and_leave_it_alone(method: str, status: int) -> None:
    scene = Scene()
    session = scene.running()
    scene.send(method, branch="z9hG4bKx", cseq=2)
    (text,) = scene.peer.received()
    assert text.startswith(f"SIP/2.0 {status}")
    if status == 405:
        assert "UPDATE" in header(text, "Allow")
    assert scene.bob.agent.sessions() == (session,)


@pytest.mark.parametrize(
    ("kind", "body", "digit"),
    [
        ("application/dtmf-relay", "Signal=5\r\nDuration=250\r\n", ("5", 250)),
        ("application/dtmf-relay", "Signal= *\r\n", ("*", 160)),
        ("application/dtmf-relay", "signal=11\r\nduration=9", ("#", 9)),
        ("application/dtmf", "a", ("A", 160)),
        ("application/dtmf", "Signal=5\r\nDuration=100\r\n", ("5", 100)),
    ],
)
def test_digits_by_info(kind: str, body: str, digit: tuple[str, int]) -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INFO", f"Content-Type: {kind}", branch="z9hG4bKx", cseq=2, body=body)
    assert scene.peer.statuses() == [200]
    assert scene.bob.events == [DigitSignalled(session=session, digit=digit[0], duration_ms=digit[1])]


@pytest.mark.parametrize(
    ("kind", "body"),
    [("application/dtmf-relay", "Signal=55"), ("application/dtmf", "12"), ("text/plain", "hello"), ("", "x")],
)
def test_an_info_we_do_not_understand_gets_415(kind: str, body: str) -> None:
    scene = Scene()
    scene.running()
    scene.send("INFO", *([f"Content-Type: {kind}"] if kind else []), branch="z9hG4bKx", cseq=2, body=body)
    (text,) = scene.peer.received()
    assert text.startswith("SIP/2.0 415")
    assert header(text, "Accept") == "application/dtmf-relay, application/dtmf"
    assert scene.bob.events == []


def test_the_phone_changes_the_call_by_re_invite() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    assert scene.bob.events == [Reoffered(session=session, method="INVITE", sdp=SDP)]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.peer.statuses() == [100, 200]
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    assert scene.peer.statuses() == []
    scene.wire.run(0.6)
    assert scene.peer.statuses() == [200]
    scene.send("ACK", branch="z9hG4bKack2", cseq=2)
    assert scene.bob.events[-1] == Confirmed(session=session, sdp=None, offered=False)
    scene.wire.run(10)
    assert scene.peer.statuses() == []


def test_a_change_whose_ack_is_lost_does_not_bar_the_next_one() -> None:
    """The first 200 too may be unacknowledged, as when a phone holds, or moves its audio, right after its ACK."""
    scene = Scene()
    session = scene.answered()
    for cseq in (2, 3):
        scene.send("INVITE", WITH_SDP, branch=f"z9hG4bKre{cseq}", cseq=cseq, body=SDP_TEXT)
        assert scene.bob.events == [
            Confirmed(session=session, sdp=None, offered=False),
            Reoffered(session=session, method="INVITE", sdp=SDP),
        ]
        scene.bob.events.clear()
        scene.peer.statuses()
        scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
        assert scene.peer.statuses() == [200]
    # What comes too late after all is nobody's business, and one 200 alone is repeated.
    scene.send("ACK", branch="z9hG4bKack1", cseq=1)
    scene.send("ACK", branch="z9hG4bKack2", cseq=2)
    scene.wire.run(0.6)
    assert (scene.bob.events, scene.peer.statuses()) == ([], [200])
    scene.send("ACK", branch="z9hG4bKack3", cseq=3)
    assert scene.bob.events == [Confirmed(session=session, sdp=None, offered=False)]
    scene.wire.run(33)
    assert scene.ends() == []


def test_a_change_has_to_wait_for_an_ack_that_brings_an_answer() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", branch="z9hG4bKre2", cseq=2)
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=SDP))
    scene.peer.statuses()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre3", cseq=3, body=SDP_TEXT)
    assert scene.peer.statuses() == [491]


def test_a_change_that_comes_in_place_of_the_ack_does_not_keep_a_call_we_hang_up() -> None:
    scene = Scene()
    session = scene.answered()
    scene.wire.command(scene.bob, session, EndSession())
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre2", cseq=2, body=SDP_TEXT)
    assert scene.peer.statuses() == [491]
    scene.send("ACK", branch="z9hG4bKack1", cseq=1)
    (bye,) = [text for text in scene.peer.received() if text.startswith("BYE")]
    assert bye


def test_a_refer_right_after_a_hold_is_declined_and_the_hold_goes_on() -> None:
    scene = Scene()
    session = scene.running()
    hold = SDP_TEXT.replace("a=sendrecv", "a=sendonly")
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=hold)
    scene.send("REFER", "Refer-To: <sip:carol@10.0.0.9>", branch="z9hG4bKrefer", cseq=3)
    assert scene.bob.emitted(Referred) == [Referred(session=session, target="<sip:carol@10.0.0.9>")]
    scene.wire.command(scene.bob, session, AnswerRefer(status=603))
    assert scene.peer.statuses() == [100, 603]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.peer.statuses() == [200]
    scene.send("ACK", branch="z9hG4bKack", cseq=2)
    scene.send("REFER", "Refer-To: <sip:carol@10.0.0.9>", branch="z9hG4bKrefer2", cseq=4)
    scene.wire.command(scene.bob, session, AnswerRefer(status=603))
    assert scene.peer.statuses() == [603]


def test_the_phone_changes_the_call_by_update() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("UPDATE", branch="z9hG4bKup", cseq=2)
    assert scene.peer.statuses() == [200]
    scene.send("UPDATE", WITH_SDP, branch="z9hG4bKup2", cseq=3, body=SDP_TEXT)
    assert scene.bob.events == [Reoffered(session=session, method="UPDATE", sdp=SDP)]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.peer.statuses() == [200]
    scene.wire.run(60)
    assert scene.peer.received() == []


def test_an_offerless_re_invite_gets_our_offer() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", branch="z9hG4bKre", cseq=2)
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    scene.send("ACK", WITH_SDP, branch="z9hG4bKack2", cseq=2, body=SDP_TEXT)
    assert scene.bob.events == [
        Reoffered(session=session, method="INVITE", sdp=None),
        Confirmed(session=session, sdp=SDP, offered=True),
    ]


def test_a_second_change_before_the_first_is_answered_gets_500() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.send("UPDATE", WITH_SDP, branch="z9hG4bKup", cseq=3, body=SDP_TEXT)
    text = scene.peer.received()[-1]
    assert text.startswith("SIP/2.0 500")
    assert 0 <= int(header(text, "Retry-After")) <= 10
    scene.wire.command(scene.bob, session, RefuseReoffer(status=488))
    assert scene.peer.statuses() == [488]
    assert scene.bob.agent.sessions() == (session,)


def test_a_cancelled_change_leaves_the_call_as_it_was() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.peer.received()
    scene.send("CANCEL", branch="z9hG4bKre", cseq=2)
    assert scene.peer.statuses() == [200, 487]
    assert scene.bob.events[-1] == ReofferWithdrawn(session=session)
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.bob.agent.sessions() == (session,)
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKagain", cseq=3, body=SDP_TEXT)
    assert len(scene.bob.emitted(Reoffered)) == 2, "the next change is asked about as if there had been none"


def test_a_change_of_ours_that_waited_follows_a_cancelled_one() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.wire.command(scene.bob, session, SendReoffer(sdp=ANSWER))
    scene.peer.received()
    scene.send("CANCEL", branch="z9hG4bKre", cseq=2)
    assert [text.split(" ")[0] for text in scene.peer.received()] == ["SIP/2.0", "SIP/2.0", "INVITE"]


def test_a_change_that_the_owner_never_answers_is_refused() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.wire.run(21)
    assert scene.bob.events[-1] == ReofferWithdrawn(session=session)
    assert 500 in scene.peer.statuses()


def test_hanging_up_answers_the_change_that_waits() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.peer.received()
    scene.wire.command(scene.bob, session, EndSession())
    refused, bye = scene.peer.received()
    assert refused.startswith("SIP/2.0 487")
    assert bye.startswith("BYE")
    scene.send("UPDATE", branch="z9hG4bKup", cseq=3)
    assert scene.peer.statuses() == [481]
    scene.send("INFO", "Content-Type: application/dtmf", branch="z9hG4bKinfo", cseq=4, body="1")
    assert scene.bob.emitted(DigitSignalled) == []


def test_two_byes_that_cross_end_the_call_once() -> None:
    scene = Scene()
    session = scene.running()
    scene.wire.command(scene.bob, session, EndSession())
    scene.peer.received()
    scene.send("BYE", branch="z9hG4bKbye", cseq=2)
    assert scene.peer.statuses() == [200]
    scene.wire.run(60)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 200)]


def test_a_change_with_a_body_we_do_not_take_gets_415() -> None:
    scene = Scene()
    scene.running()
    scene.send("UPDATE", "Content-Type: text/plain", branch="z9hG4bKre", cseq=2, body="hold, please")
    (text,) = scene.peer.received()
    assert text.startswith("SIP/2.0 415")
    assert header(text, "Accept") == "application/sdp"


def test_a_change_that_is_never_acknowledged_ends_the_call() -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    scene.wire.run(33)
    assert scene.ends() == [(EndCause.NO_ACK, 408)]


@pytest.mark.parametrize("offer", [True, False])
def test_an_unacknowledged_change_does_not_end_a_call_with_audio(offer: bool) -> None:
    scene = Scene()
    session = scene.running()
    scene.send("INVITE", *([WITH_SDP] if offer else []), branch="z9hG4bKre", cseq=2, body=SDP_TEXT if offer else "")
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    scene.wire.command(scene.bob, session, SendReoffer(sdp=ANSWER))
    scene.bob.events.clear()
    scene.peer.received()
    scene.wire.run(31)
    assert "INVITE" not in {text.split(" ")[0] for text in scene.peer.received()}
    scene.wire.command(scene.bob, session, RecordAudio())
    scene.wire.run(2)
    assert scene.bob.events == ([] if offer else [ReofferWithdrawn(session=session)])
    assert scene.peer.received()[-1].startswith("INVITE"), "the change of ours that waited"
    scene.send("ACK", branch="z9hG4bKlate", cseq=2)
    assert scene.ends() == []


@pytest.mark.parametrize("contact", ["", "*", "<tel:+15550100>"])
def test_a_change_without_a_contact_is_accepted(contact: str) -> None:
    scene = Scene()
    session = scene.running()
    hold = invite(WITH_SDP, branch="z9hG4bKre", cseq=2, to_tag=scene.tag, contact=contact, body=SDP_TEXT)
    scene.peer.send(hold)
    assert scene.bob.emitted(Reoffered) == [Reoffered(session=session, method="INVITE", sdp=SDP)]
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.peer.received()[-1].startswith("BYE sip:peer@10.0.0.3:5060")


def test_a_new_contact_is_where_the_next_request_goes() -> None:
    scene = Scene()
    session = scene.running()
    moved = invite(method="UPDATE", branch="z9hG4bKmv", cseq=2, to_tag=scene.tag, contact="<sip:peer@52.9.9.9:5099>")
    scene.peer.send(moved)
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.wire.lost[-1][2] == Address("52.9.9.9", 5099)


@pytest.mark.parametrize("contact", ["<sip:peer@phone.example.com>", "<sip:peer@0.0.0.0:5060>", "<tel:+15550100>"])
def test_requests_go_to_the_source_when_the_contact_leads_nowhere(contact: str) -> None:
    scene = Scene()
    session = scene.running()
    scene.peer.send(invite(method="UPDATE", branch="z9hG4bKmv", cseq=2, to_tag=scene.tag, contact=contact))
    scene.wire.command(scene.bob, session, EndSession())
    assert scene.wire.lost[-1][2] == scene.peer.address


def test_a_private_contact_behind_a_public_source_gives_way_to_the_source() -> None:
    wire = Wire()
    bob = wire.node(BOB)
    peer = Peer(wire, bob, Address("9.9.9.9", 40000))
    peer.send(invite("Content-Type: application/sdp", contact="<sip:peer@192.168.1.5:5060>", body=SDP_TEXT))
    (invited,) = bob.emitted(Invited)
    assert isinstance(invited, Invited)
    wire.command(bob, invited.session, AcceptInvite(sdp=ANSWER))
    wire.run(33)
    byes = [to for data, _, to in wire.lost if data.startswith(b"BYE")]
    assert set(byes) == {Address("9.9.9.9", 40000)}


# --- who may call


def test_an_unauthenticated_peer_is_challenged_statelessly() -> None:
    wire = Wire()
    bob = wire.node(BOB, policy=OneUnauthenticatedHost())
    peer = Peer(wire, bob)
    peer.send(invite())
    (text,) = peer.received()
    assert text.startswith("SIP/2.0 401")
    challenges = [line for line in text.split("\r\n") if line.startswith("WWW-Authenticate: Digest")]
    assert ["SHA-256" in line for line in challenges] == [True, False]
    assert (bob.agent.transactions(), bob.agent.sessions()) == (0, ())
    peer.send(invite(method="ACK", contact=""))
    assert peer.received() == []


@pytest.mark.parametrize("method", ["INVITE", "OPTIONS"])
def test_during_shutdown_new_calls_get_503_with_retry_after(method: str) -> None:
    scene = Scene()
    scene.bob.agent.begin_shutdown()
    scene.peer.send(invite(method=method))
    (response,) = scene.peer.received()
    assert response.startswith("SIP/2.0 503 ")
    assert header(response, "Retry-After") == "10"
    assert scene.bob.emitted(Invited) == []
    assert scene.bob.agent.sessions() == ()


def test_a_running_call_goes_on_during_shutdown() -> None:
    scene = Scene()
    session = scene.running()
    scene.bob.agent.begin_shutdown()
    scene.send("INVITE", WITH_SDP, branch="z9hG4bKre", cseq=2, body=SDP_TEXT)
    assert kinds(scene.bob.events) == [Reoffered]
    scene.wire.command(scene.bob, session, AnswerReoffer(sdp=ANSWER))
    assert scene.peer.statuses()[-1] == 200
    scene.send("ACK", branch="z9hG4bKreack", cseq=2)
    scene.send("OPTIONS", branch="z9hG4bKopt", cseq=3)
    scene.send("BYE", branch="z9hG4bKbye", cseq=4)
    assert scene.peer.statuses()[-2:] == [200, 200]
    assert scene.ends() == [(EndCause.HUNG_UP, 200)]


def test_a_ringing_call_is_answered_during_shutdown() -> None:
    scene = Scene()
    session = scene.called()
    scene.bob.agent.begin_shutdown()
    scene.peer.send(invite(WITH_SDP, body=SDP_TEXT))  # again
    scene.wire.command(scene.bob, session, AcceptInvite(sdp=ANSWER))
    assert scene.peer.statuses() == [100, 100, 200]
