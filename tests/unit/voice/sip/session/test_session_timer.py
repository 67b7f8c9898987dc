"""Session timers (RFC 4028) in both roles, and OPTIONS in the dialog of a silent peer."""

from __future__ import annotations

import pytest

from holdfast.voice.sip.agent import Agent, AgentSettings, DigestCredentials
from holdfast.voice.sip.effects import (
    Accepted,
    Address,
    EndCause,
    Ended,
    Invited,
    ReferralAnswered,
    RefreshDue,
    Refused,
    ReofferAnswered,
    Reoffered,
    ReofferRefused,
    SessionId,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerReoffer,
    EndSession,
    RecordAudio,
    SendDigit,
    SendRefer,
    SendReoffer,
)
from tests.unit.voice.sip.session.test_invite_server import WITH_SDP
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, SDP, FixedRandom, Node, Peer, Wire, header, invite, reply

A = SessionId("a")
KNOWS = "Supported: timer"
TAKES_UPDATE = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"


class Scene:
    """An agent, a scripted peer, and a call between them in either direction."""

    def __init__(self, *, session_expires_s: int = 1800, keepalive_s: float = 0.0) -> None:
        self.wire = Wire()
        settings = AgentSettings(
            address=BOB,
            secret=b"key",
            others=(BOB._replace(transport="TCP"),),
            session_expires_s=session_expires_s,
            keepalive_s=keepalive_s,
        )
        agent = Agent(settings, FixedRandom())
        self.node = Node(address=BOB, agent=agent)
        self.wire.nodes[BOB] = self.node
        self.peer = Peer(self.wire, self.node)
        self.session = A
        self.invite = ""
        self.tag = ""

    def call_out(self) -> str:
        """Send our INVITE and return it."""
        self.wire.do(self.node, self.node.agent.invite(A, "sip:x@10.0.0.3:5060", now=self.wire.now, sdp=SDP))
        (self.invite,) = self.peer.received()
        return self.invite

    def answered(self, *extra: str) -> None:
        """Answer our INVITE."""
        contact = "Contact: <sip:x@10.0.0.3:5060>"
        self.peer.send(reply(self.invite, 200, contact, WITH_SDP, *extra, body=ANSWER.decode()))
        assert self.peer.received()[0].startswith("ACK")

    def call_in(self, *extra: str) -> str:
        """Call from the peer and return our response."""
        self.peer.send(invite(WITH_SDP, *extra, body=SDP.decode()))
        invited = self.node.emitted(Invited)
        if not invited:
            return self.peer.received()[-1]
        assert isinstance(invited[0], Invited)
        self.session = invited[0].session
        self.wire.command(self.node, self.session, AcceptInvite(sdp=ANSWER))
        said = self.peer.received()[-1]
        self.tag = header(said, "To").partition("tag=")[2]
        self.send("ACK", branch="z9hG4bKack", cseq=1)
        return said

    def send(self, method: str, *extra: str, branch: str, cseq: int, body: str = "") -> None:
        contact = "<sip:peer@10.0.0.3:5060>" if method in ("INVITE", "UPDATE") else ""
        self.peer.send(
            invite(*extra, method=method, branch=branch, cseq=cseq, to_tag=self.tag, body=body, contact=contact)
        )

    def ends(self) -> list[tuple[EndCause, int]]:
        return [(event.cause, event.status) for event in self.node.events if isinstance(event, Ended)]


def start_words(texts: list[str]) -> list[str]:
    return [text.split(" ", 1)[0] for text in texts]


# --- agreed


def test_our_invite_asks_for_half_an_hour() -> None:
    sent = Scene().call_out()
    assert (header(sent, "Session-Expires"), header(sent, "Min-SE")) == ("1800", "90")
    assert "timer" in header(sent, "Supported")
    assert "Session-Expires" not in Scene(session_expires_s=0).call_out()


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ((KNOWS,), "1800;refresher=uac"),
        ((KNOWS, "Session-Expires: 600"), "600;refresher=uac"),
        ((KNOWS, "x: 600"), "600;refresher=uac"),
        ((KNOWS, "Session-Expires: 600;refresher=uas"), "600;refresher=uas"),
        ((KNOWS, "Session-Expires: 7200;refresher=uac"), "1800;refresher=uac"),
        ((KNOWS, "Session-Expires: 7200", "Min-SE: 3600"), "3600;refresher=uac"),
        (("Session-Expires: 600",), "600;refresher=uas"),
        (("Session-Expires: 10",), None),
        (("Session-Expires: soon",), None),
        ((), None),
    ],
)
def test_a_session_timer_is_answered_by_the_rfcs_table(fields: tuple[str, ...], said: str | None) -> None:
    response = Scene().call_in(*fields)
    if said is None:
        assert "Session-Expires" not in response
    else:
        assert header(response, "Session-Expires") == said
        assert ("Require: timer" in response) is said.endswith("uac")


def test_a_session_too_short_gets_422() -> None:
    scene = Scene()
    response = scene.call_in(KNOWS, "Session-Expires: 30")
    assert response.startswith("SIP/2.0 422")
    assert header(response, "Min-SE") == "90"
    scene.wire.run(60)
    assert (scene.node.agent.sessions(), scene.node.agent.timers()) == ((), 0)


def test_without_timers_of_ours_none_is_agreed() -> None:
    assert "Session-Expires" not in Scene(session_expires_s=0).call_in(KNOWS, "Session-Expires: 600")


def test_a_422_is_answered_with_a_longer_session() -> None:
    scene = Scene()
    scene.call_out()
    scene.peer.send(reply(scene.invite, 422, "Min-SE: 3600"))
    ack, again = scene.peer.received()
    assert ack.startswith("ACK")
    assert (header(again, "Session-Expires"), header(again, "Min-SE")) == ("3600", "3600")
    assert header(again, "CSeq") == "2 INVITE"
    for _ in range(3):
        scene.peer.send(reply(again, 422, "Min-SE: 3600"))
        again = scene.peer.received()[-1]
    assert scene.node.emitted(Refused)


def test_a_422_that_says_nothing_refuses_the_call() -> None:
    scene = Scene()
    scene.call_out()
    scene.peer.send(reply(scene.invite, 422))
    assert scene.node.emitted(Refused)


# --- we refresh


def test_we_refresh_at_half_time_by_update() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600;refresher=uac", TAKES_UPDATE)
    scene.wire.run(299)
    assert scene.peer.received() == []
    scene.wire.run(1.2)
    (update,) = scene.peer.received()
    assert update.startswith("UPDATE")
    assert header(update, "Session-Expires") == "600;refresher=uac"
    assert header(update, "Content-Length") == "0"
    scene.peer.send(reply(update, 200, "Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>"))
    scene.wire.run(299)
    assert scene.peer.received() == []
    scene.wire.run(1.2)
    assert start_words(scene.peer.received()) == ["UPDATE"]


def test_we_refresh_by_re_invite_where_update_is_not_taken() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600")
    scene.wire.run(301)
    assert scene.node.emitted(RefreshDue) == [RefreshDue(session=A)]
    scene.wire.command(scene.node, A, SendReoffer(sdp=SDP))
    (again,) = scene.peer.received()
    assert header(again, "Session-Expires") == "600;refresher=uac"
    scene.peer.send(
        reply(again, 200, "Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP, body="x")
    )
    scene.wire.run(295)
    assert len(scene.node.emitted(RefreshDue)) == 1
    scene.wire.run(10)
    assert len(scene.node.emitted(RefreshDue)) == 2


def test_a_missing_refresh_ends_the_call_a_little_early() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600")
    scene.wire.run(567)
    assert scene.ends() == []
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]
    assert start_words(scene.peer.received())[0] == "BYE"
    scene.wire.run(60)
    assert scene.node.agent.timers() == 0


def test_a_short_session_ends_a_third_early() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 90")
    scene.wire.run(59)
    assert scene.ends() == []
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]


@pytest.mark.parametrize("status", [408, 481])
def test_the_refresh_detects_a_peer_that_lost_the_call(status: int) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(301)
    scene.peer.send(reply(scene.peer.received()[0], status))
    assert scene.ends() == [(EndCause.LOST, status)]


def test_the_refresh_detects_a_peer_that_is_gone() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300 + 33)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_temporarily_refused_refresh_is_tried_again() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(301)
    scene.peer.send(reply(scene.peer.received()[0], 500))
    scene.wire.run(10.2)
    (update,) = scene.peer.received()
    scene.peer.send(reply(update, 422, "Min-SE: 900"))
    (longer,) = scene.peer.received()
    assert header(longer, "Session-Expires") == "900;refresher=uac"
    scene.peer.send(reply(longer, 501))
    assert scene.node.emitted(RefreshDue) == [RefreshDue(session=A)]


def test_a_refresh_waits_for_a_change_under_way() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(299)
    scene.wire.command(scene.node, A, SendReoffer(sdp=SDP))
    (again,) = scene.peer.received()
    scene.peer.send(reply(again, 100, tag=None))
    scene.wire.run(5)
    assert scene.peer.received() == []
    scene.peer.send(reply(again, 200, "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP, body=ANSWER.decode()))
    assert scene.node.emitted(ReofferAnswered)
    scene.peer.received()
    scene.wire.run(700)
    assert scene.ends() == []
    """The 200 named no timer, so there is none any more."""


# --- they refresh


def test_the_callers_refreshes_keep_the_call() -> None:
    scene = Scene()
    scene.call_in(KNOWS, "Session-Expires: 600;refresher=uac")
    for number in range(3):
        scene.wire.run(300)
        scene.send("UPDATE", KNOWS, "Session-Expires: 600;refresher=uac", branch=f"z9hG4bKu{number}", cseq=2 + number)
        (said,) = scene.peer.received()
        assert header(said, "Session-Expires") == "600;refresher=uac"
    assert scene.ends() == []
    scene.wire.run(569)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_re_invite_refreshes_and_may_change_the_refresher() -> None:
    scene = Scene()
    scene.call_in(KNOWS, TAKES_UPDATE, "Session-Expires: 600;refresher=uac")
    scene.wire.run(300)
    fields = (WITH_SDP, KNOWS, "Session-Expires: 300;refresher=uas")
    scene.send("INVITE", *fields, branch="z9hG4bKre", cseq=2, body=SDP.decode())
    assert scene.node.emitted(Reoffered)
    scene.wire.command(scene.node, scene.session, AnswerReoffer(sdp=ANSWER))
    said = scene.peer.received()[-1]
    assert header(said, "Session-Expires") == "300;refresher=uas"
    scene.send("ACK", branch="z9hG4bKack2", cseq=2)
    scene.wire.run(150.2)
    (update,) = scene.peer.received()
    assert (update.split(" ")[0], header(update, "Session-Expires")) == ("UPDATE", "300;refresher=uac")


def test_a_refresh_too_short_gets_422() -> None:
    scene = Scene()
    scene.call_in(KNOWS)
    scene.send("UPDATE", KNOWS, "Session-Expires: 20", branch="z9hG4bKu", cseq=2)
    (said,) = scene.peer.received()
    assert said.startswith("SIP/2.0 422")
    assert header(said, "Min-SE") == "90"


def test_the_callee_refreshes_where_it_agreed_to() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600;refresher=uas", "Require: timer")
    scene.wire.run(500)
    assert scene.peer.received() == []
    scene.wire.run(69)
    assert scene.ends() == [(EndCause.LOST, 408)]


# --- OPTIONS


def test_a_silent_peer_that_answers_options_keeps_its_call() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    for status in (200, 501, 401):
        scene.wire.run(60.2)
        (asked,) = scene.peer.received()
        assert asked.startswith("OPTIONS sip:x@10.0.0.3:5060")
        scene.peer.send(reply(asked, status))
    assert scene.ends() == []


def test_a_peer_that_sends_messages_gets_no_options() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_in()
    for number in range(3):
        scene.wire.run(40)
        scene.send("INFO", branch=f"z9hG4bKi{number}", cseq=2 + number)
    assert start_words(scene.peer.received()) == ["SIP/2.0"] * 3
    scene.wire.run(60.2)
    assert start_words(scene.peer.received()) == ["OPTIONS"]


def test_a_peer_that_knows_no_such_call_ends_it() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(61)
    scene.peer.send(reply(scene.peer.received()[0], 481))
    assert scene.ends() == [(EndCause.LOST, 481)]


@pytest.mark.parametrize("status", [None, 408])
def test_a_peer_that_answered_once_and_stops_ends_the_call_within_the_interval_and_32_seconds(
    status: int | None,
) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60.2)
    scene.peer.send(reply(scene.peer.received()[0], 200))
    scene.wire.run(61)
    if status is not None:
        scene.peer.send(reply(scene.peer.received()[0], status))
    else:
        scene.wire.run(30)
        assert scene.ends() == []
        scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.run(60)
    assert (scene.node.agent.transactions(), scene.node.agent.timers()) == (0, 0)


@pytest.mark.parametrize("allow", [TAKES_UPDATE, "Allow: INVITE, ACK, BYE"])
@pytest.mark.parametrize("status", [None, 408])
def test_a_peer_that_never_answered_gets_a_refresh_before_the_call_ends(status: int | None, allow: str) -> None:
    """A phone that holds sends no RTP, and a box on the path may drop OPTIONS."""
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(allow)
    for _ in range(3):
        scene.wire.run(60.2)
        asked = scene.peer.received()[0]
        assert asked.startswith("OPTIONS")
        if status is None:
            scene.wire.run(32)
        else:
            scene.peer.send(reply(asked, status))
        refresh = refreshed(scene)
        body = ANSWER.decode() if refresh.startswith("INVITE") else ""
        kind = [WITH_SDP] if body else []
        scene.peer.send(reply(refresh, 200, "Contact: <sip:x@10.0.0.3:5060>", *kind, body=body))
        scene.peer.received()
        assert scene.ends() == []
    scene.wire.run(93)
    assert refreshed(scene).startswith("UPDATE" if "UPDATE" in allow else "INVITE")
    scene.wire.run(30)
    assert scene.ends() == []
    scene.wire.run(3)
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.run(60)
    assert (scene.node.agent.transactions(), scene.node.agent.timers()) == (0, 0)


def refreshed(scene: Scene) -> str:
    """Refresh as the owner does when it is due, and return the request."""
    for event in scene.node.emitted(RefreshDue):
        assert isinstance(event, RefreshDue)
        scene.wire.command(scene.node, event.session, SendReoffer(sdp=SDP))
        scene.node.events.remove(event)
    sent = [text for text in scene.peer.received() if text.split(" ")[0] in ("UPDATE", "INVITE")]
    return sent[-1]


def test_a_peer_that_never_answers_ends_the_call_even_without_a_refresh() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60 + 32 + 60 + 31)
    assert scene.ends() == []
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_change_in_progress_replaces_the_refresh() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(TAKES_UPDATE)
    scene.wire.run(80)
    scene.wire.command(scene.node, A, SendReoffer(sdp=SDP))
    scene.peer.received()
    scene.wire.run(13)
    assert not any(text.startswith("UPDATE") for text in scene.peer.received())
    scene.wire.run(20)
    assert scene.ends() == [(EndCause.LOST, 408)]


def unreachable(scene: Scene, phone: Address, seconds: int) -> list[str]:
    """Let time pass while each connection to the phone fails after a second; return the methods that were tried."""
    tried = []
    for _ in range(seconds):
        before = len(scene.node.sent)
        scene.wire.run(1)
        tried += start_words([data.decode() for data, to in scene.node.sent[before:] if to == phone])
        if len(scene.node.sent) > before:
            scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    return tried


def connected() -> tuple[Scene, Address]:
    """Return a call of a phone that is reached by TCP, and its address."""
    scene = Scene(keepalive_s=60.0)
    phone = Address("10.0.0.3", 5060, "TCP")
    target = "sip:x@10.0.0.3:5060;transport=tcp"
    scene.peer = Peer(scene.wire, scene.node, phone)
    scene.wire.do(scene.node, scene.node.agent.invite(A, target, now=scene.wire.now, sdp=SDP))
    (scene.invite,) = scene.peer.received()
    scene.peer.send(reply(scene.invite, 200, f"Contact: <{target}>", WITH_SDP, body=ANSWER.decode()))
    assert start_words(scene.peer.received()) == ["ACK"]
    return scene, phone


def test_a_phone_without_a_connection_ends_the_call_as_late_as_by_udp() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 91) == ["OPTIONS"] * 4
    assert scene.ends() == []
    assert unreachable(scene, phone, 3) == ["OPTIONS"]
    assert scene.node.sent[-1][0].startswith(b"BYE")
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.run(60)
    assert (scene.node.agent.transactions(), scene.node.agent.timers()) == (0, 0)


def test_a_phone_that_is_connected_again_in_time_keeps_its_call() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 75) == ["OPTIONS"] * 2
    scene.peer.received()
    scene.wire.run(10)
    (asked,) = scene.peer.received()
    scene.peer.send(reply(asked, 503))
    assert unreachable(scene, phone, 59) == []
    assert unreachable(scene, phone, 30) == ["OPTIONS"] * 3
    assert scene.ends() == []


def test_a_call_that_ends_without_a_connection_gets_no_more_options() -> None:
    scene, phone = connected()
    scene.wire.run(60.5)
    assert start_words(scene.peer.received()) == ["OPTIONS"]
    scene.wire.command(scene.node, A, EndSession())
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 200)]


@pytest.mark.parametrize("status", [None, 408])
def test_a_call_with_audio_goes_on_without_answers(status: int | None) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    for _ in range(3):
        scene.wire.run(60.2)
        asked = scene.peer.received()[0]
        assert asked.startswith("OPTIONS")
        scene.wire.run(20)
        scene.wire.command(scene.node, A, RecordAudio())
        if status is None:
            scene.wire.run(12.1)
        else:
            scene.peer.send(reply(asked, status))
        scene.peer.received()
    assert scene.ends() == []
    scene.wire.run(60 + 32 + 60 + 32 + 1)
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.command(scene.node, A, RecordAudio())
    assert scene.node.agent.sessions() == ()


def test_a_call_with_audio_goes_on_without_a_connection() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    unreachable(scene, phone, 85)
    scene.wire.command(scene.node, A, RecordAudio())
    unreachable(scene, phone, 60)
    assert scene.ends() == []
    unreachable(scene, phone, 60)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_peer_that_knows_no_such_call_ends_it_even_with_audio() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60.2)
    scene.wire.command(scene.node, A, RecordAudio())
    scene.peer.send(reply(scene.peer.received()[0], 481))
    assert scene.ends() == [(EndCause.LOST, 481)]


@pytest.mark.parametrize("status", [None, 408])
@pytest.mark.parametrize("has_audio", [True, False])
def test_a_dropped_update_does_not_end_a_call_with_audio(has_audio: bool, status: int | None) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300.2)
    (update,) = scene.peer.received()
    scene.wire.run(30)
    if has_audio:
        scene.wire.command(scene.node, A, RecordAudio())
    if status is None:
        scene.wire.run(3)
    else:
        scene.peer.send(reply(update, status))
    assert scene.ends() == ([] if has_audio else [(EndCause.LOST, 408)])
    assert len(scene.node.emitted(RefreshDue)) == has_audio
    if has_audio:
        again = refreshed(scene)
        assert again.startswith("INVITE")
        said = ("Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP)
        scene.peer.send(reply(again, 200, *said, body=ANSWER.decode()))
        scene.peer.received()
        scene.wire.run(301)
        assert len(scene.node.emitted(RefreshDue)) == 1, "from now on by re-INVITE"


@pytest.mark.parametrize("status", [None, 408])
@pytest.mark.parametrize("what", ["change", "key", "transfer"])
def test_dropped_options_do_not_end_a_call_with_audio(what: str, status: int | None) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered()
    if what == "change":
        scene.wire.command(scene.node, A, SendReoffer(sdp=SDP))
        scene.wire.command(scene.node, A, SendReoffer(sdp=ANSWER))
    elif what == "key":
        scene.wire.command(scene.node, A, SendDigit(digit="5"))
    else:
        scene.wire.command(scene.node, A, SendRefer(target="sip:carol@10.0.0.9"))
    asked = scene.peer.received()[0]
    scene.wire.run(30)
    scene.wire.command(scene.node, A, RecordAudio())
    scene.node.events.clear()
    scene.peer.received()
    if status is None:
        scene.wire.run(3)
    else:
        scene.peer.send(reply(asked, status))
    assert scene.ends() == []
    if what == "change":
        assert scene.node.events == [ReofferRefused(session=A, status=408, reason="Request Timeout")]
        assert scene.peer.received()[-1].encode().endswith(ANSWER), "the change that waited is tried"
    elif what == "key":
        assert scene.node.events == []
    else:
        assert scene.node.events == [ReferralAnswered(session=A, status=408)]


@pytest.mark.parametrize("what", ["refresh", "transfer", "OPTIONS"])
@pytest.mark.parametrize("status", [None, 408])
def test_a_timeout_after_the_end_has_no_effect(what: str, status: int | None) -> None:
    scene = Scene(keepalive_s=60.0 if what == "OPTIONS" else 0.0)
    scene.call_out()
    scene.answered("Session-Expires: 120", TAKES_UPDATE)
    if what == "transfer":
        scene.wire.command(scene.node, A, SendRefer(target="sip:carol@10.0.0.9"))
    else:
        scene.wire.run(60.2)
    asked = [text for text in scene.peer.received() if what != "OPTIONS" or text.startswith("OPTIONS")][-1]
    scene.wire.command(scene.node, A, EndSession())
    if status is not None:
        scene.peer.send(reply(asked, status))
    scene.wire.run(60)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]


@pytest.mark.parametrize(("status", "due"), [(405, 1), (501, 1), (500, 0)])
def test_any_answer_to_the_refresh_keeps_the_call(status: int, due: int) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(TAKES_UPDATE)
    scene.wire.run(92.5)
    update = scene.peer.received()[-1]
    assert update.startswith("UPDATE")
    scene.peer.send(reply(update, status))
    assert len(scene.node.emitted(RefreshDue)) == due
    scene.wire.run(59)
    assert scene.peer.received() == []
    scene.wire.run(36)
    assert scene.ends() == [], "it was there a short time ago, so a refresh asks again"


def test_a_refresh_for_which_there_is_no_connection_is_no_sign_of_life() -> None:
    scene = Scene(keepalive_s=70.0)
    phone = Address("10.0.0.3", 5060, "TCP")
    target = "sip:x@10.0.0.3:5060;transport=tcp"
    scene.peer = Peer(scene.wire, scene.node, phone)
    scene.wire.do(scene.node, scene.node.agent.invite(A, target, now=scene.wire.now, sdp=SDP))
    (scene.invite,) = scene.peer.received()
    said = (f"Contact: <{target}>", WITH_SDP, TAKES_UPDATE, "Session-Expires: 120")
    scene.peer.send(reply(scene.invite, 200, *said, body=ANSWER.decode()))
    scene.peer.received()
    scene.wire.run(59)
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 13) == ["UPDATE", "OPTIONS", "UPDATE"]


def test_responses_after_the_end_have_no_effect() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered("Session-Expires: 120;refresher=uac", TAKES_UPDATE)
    scene.wire.run(60.2)
    asked = scene.peer.received()
    assert sorted(start_words(asked)) == ["OPTIONS", "UPDATE"]
    scene.wire.command(scene.node, A, EndSession())
    for text in asked:
        scene.peer.send(reply(text, 481))
    scene.wire.run(120)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]


def test_two_agents_keep_a_call_for_a_day() -> None:
    wire = Wire()
    alice, bob = wire.node(ALICE), wire.node(BOB)
    wire.do(alice, alice.agent.invite(A, "sip:bob@10.0.0.2:5060", now=wire.now, sdp=SDP, caller="alice"))
    wire.run(1)
    (session,) = bob.agent.sessions()
    wire.command(bob, session, AcceptInvite(sdp=ANSWER))
    wire.run(86_400)
    assert alice.emitted(Accepted)
    assert sum(data.startswith(b"UPDATE") for data, _ in alice.sent) == 95
    assert alice.agent.sessions() == (A,)
    assert bob.agent.sessions() == (session,)
    del wire.nodes[BOB]
    wire.run(1800)
    assert [(event.cause, event.status) for event in alice.events if isinstance(event, Ended)] == [(EndCause.LOST, 408)]


def test_a_challenged_refresh_is_sent_again_with_our_proof() -> None:
    scene = Scene()
    credentials = DigestCredentials(user="us", password="secret")
    scene.wire.do(
        scene.node,
        scene.node.agent.invite(A, "sip:x@10.0.0.3:5060", now=scene.wire.now, sdp=SDP, credentials=credentials),
    )
    (scene.invite,) = scene.peer.received()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300.2)
    (update,) = scene.peer.received()
    scene.peer.send(reply(update, 401, 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'))
    (again,) = scene.peer.received()
    assert again.startswith("UPDATE")
    assert header(again, "Authorization").startswith("Digest")
    assert header(again, "Session-Expires") == "600;refresher=uac"
    scene.peer.send(reply(again, 200, "Session-Expires: 600;refresher=uac"))
    scene.wire.run(200)
    assert scene.ends() == []


def test_a_call_that_is_ending_is_neither_refreshed_nor_sent_options() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered("Session-Expires: 120;refresher=uac", TAKES_UPDATE)
    scene.wire.run(59)
    assert not scene.node.agent.is_idle()
    scene.wire.command(scene.node, A, EndSession())
    scene.wire.run(60)
    assert set(start_words(scene.peer.received())) == {"BYE"}
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]
    assert scene.node.agent.is_idle()
