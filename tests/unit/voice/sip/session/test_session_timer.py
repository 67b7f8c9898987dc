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
from tests.unit.voice.sip.session.test_invite_server import WITH_SDP
from tests.unit.voice.sip.wire import ALICE, ANSWER, BOB, SDP, Node, Peer, Wire, header, invite, reply

A = SessionId("a")
KNOWS = "Supported: timer"
TAKES_UPDATE = "Allow: INVITE, ACK, BYE, CANCEL, UPDATE"


class Scene:
    """An agent and a scripted far end, and a call between them, made by either."""

    def __init__(self, *, session_expires_s: int = 1800, keepalive_s: float = 0.0) -> None:
        self.wire = Wire()
        numbers = iter(range(10_000))
        settings = AgentSettings(
            address=BOB,
            secret=b"key",
            others=(BOB._replace(transport="TCP"),),
            session_expires_s=session_expires_s,
            keepalive_s=keepalive_s,
        )
        agent = Agent(settings, token=lambda: f"t{next(numbers)}", random=lambda: 0.5)
        self.node = Node(address=BOB, agent=agent)
        self.wire.nodes[BOB] = self.node
        self.peer = Peer(self.wire, self.node)
        self.session = A
        self.invite = ""
        self.tag = ""

    def call_out(self) -> str:
        """Our INVITE."""
        self.wire.do(self.node, self.node.agent.invite(A, "sip:x@10.0.0.3:5060", now=self.wire.now, sdp=SDP))
        (self.invite,) = self.peer.heard()
        return self.invite

    def answered(self, *extra: str) -> None:
        """The far end answers our INVITE."""
        contact = "Contact: <sip:x@10.0.0.3:5060>"
        self.peer.say(reply(self.invite, 200, contact, WITH_SDP, *extra, body=ANSWER.decode()))
        assert self.peer.heard()[0].startswith("ACK")

    def call_in(self, *extra: str) -> str:
        """The far end calls; our response to it."""
        self.peer.say(invite(WITH_SDP, *extra, body=SDP.decode()))
        told = self.node.told(Invited)
        if not told:
            return self.peer.heard()[-1]
        assert isinstance(told[0], Invited)
        self.session = told[0].session
        self.wire.do(self.node, self.node.agent.accept(self.session, ANSWER, now=self.wire.now))
        said = self.peer.heard()[-1]
        self.tag = header(said, "To").partition("tag=")[2]
        self.say("ACK", branch="z9hG4bKack", cseq=1)
        return said

    def say(self, method: str, *extra: str, branch: str, cseq: int, body: str = "") -> None:
        contact = "<sip:peer@10.0.0.3:5060>" if method in ("INVITE", "UPDATE") else ""
        self.peer.say(
            invite(*extra, method=method, branch=branch, cseq=cseq, to_tag=self.tag, body=body, contact=contact)
        )

    def ends(self) -> list[tuple[EndCause, int]]:
        return [(event.cause, event.status) for event in self.node.events if isinstance(event, Ended)]


def words(texts: list[str]) -> list[str]:
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
def test_what_a_caller_asks_for_is_answered_by_the_rfcs_table(fields: tuple[str, ...], said: str | None) -> None:
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
    scene.peer.say(reply(scene.invite, 422, "Min-SE: 3600"))
    ack, again = scene.peer.heard()
    assert ack.startswith("ACK")
    assert (header(again, "Session-Expires"), header(again, "Min-SE")) == ("3600", "3600")
    assert header(again, "CSeq") == "2 INVITE"
    for _ in range(3):
        scene.peer.say(reply(again, 422, "Min-SE: 3600"))
        again = scene.peer.heard()[-1]
    assert scene.node.told(Refused)


def test_a_422_that_says_nothing_refuses_the_call() -> None:
    scene = Scene()
    scene.call_out()
    scene.peer.say(reply(scene.invite, 422))
    assert scene.node.told(Refused)


# --- we refresh


def test_we_refresh_at_half_time_by_update() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600;refresher=uac", TAKES_UPDATE)
    scene.wire.run(299)
    assert scene.peer.heard() == []
    scene.wire.run(1.2)
    (update,) = scene.peer.heard()
    assert update.startswith("UPDATE")
    assert header(update, "Session-Expires") == "600;refresher=uac"
    assert header(update, "Content-Length") == "0"
    scene.peer.say(reply(update, 200, "Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>"))
    scene.wire.run(299)
    assert scene.peer.heard() == []
    scene.wire.run(1.2)
    assert words(scene.peer.heard()) == ["UPDATE"]


def test_we_refresh_by_re_invite_where_update_is_not_taken() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600")
    scene.wire.run(301)
    assert scene.node.told(RefreshDue) == [RefreshDue(session=A)]
    scene.wire.do(scene.node, scene.node.agent.reoffer(A, SDP, now=scene.wire.now))
    (again,) = scene.peer.heard()
    assert header(again, "Session-Expires") == "600;refresher=uac"
    scene.peer.say(
        reply(again, 200, "Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP, body="x")
    )
    scene.wire.run(295)
    assert len(scene.node.told(RefreshDue)) == 1
    scene.wire.run(10)
    assert len(scene.node.told(RefreshDue)) == 2


def test_a_refresh_nobody_makes_ends_the_call_a_little_early() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600")
    scene.wire.run(567)
    assert scene.ends() == []
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]
    assert words(scene.peer.heard())[0] == "BYE"
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
def test_a_peer_that_lost_the_call_is_found_by_the_refresh(status: int) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(301)
    scene.peer.say(reply(scene.peer.heard()[0], status))
    assert scene.ends() == [(EndCause.LOST, status)]


def test_a_peer_that_is_gone_is_found_by_the_refresh() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300 + 33)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_refresh_that_is_not_taken_now_is_tried_again() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(301)
    scene.peer.say(reply(scene.peer.heard()[0], 500))
    scene.wire.run(10.2)
    (update,) = scene.peer.heard()
    scene.peer.say(reply(update, 422, "Min-SE: 900"))
    (longer,) = scene.peer.heard()
    assert header(longer, "Session-Expires") == "900;refresher=uac"
    scene.peer.say(reply(longer, 501))
    assert scene.node.told(RefreshDue) == [RefreshDue(session=A)]


def test_a_refresh_waits_for_a_change_under_way() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(299)
    scene.wire.do(scene.node, scene.node.agent.reoffer(A, SDP, now=scene.wire.now))
    (again,) = scene.peer.heard()
    scene.peer.say(reply(again, 100, tag=None))
    scene.wire.run(5)
    assert scene.peer.heard() == []
    scene.peer.say(reply(again, 200, "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP, body=ANSWER.decode()))
    assert scene.node.told(ReofferAnswered)
    scene.peer.heard()
    scene.wire.run(700)
    assert scene.ends() == []
    """The 200 said nothing of a timer, so there is none any more."""


# --- they refresh


def test_the_callers_refreshes_keep_the_call() -> None:
    scene = Scene()
    scene.call_in(KNOWS, "Session-Expires: 600;refresher=uac")
    for number in range(3):
        scene.wire.run(300)
        scene.say("UPDATE", KNOWS, "Session-Expires: 600;refresher=uac", branch=f"z9hG4bKu{number}", cseq=2 + number)
        (said,) = scene.peer.heard()
        assert header(said, "Session-Expires") == "600;refresher=uac"
    assert scene.ends() == []
    scene.wire.run(569)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_a_re_invite_refreshes_and_may_change_who_does() -> None:
    scene = Scene()
    scene.call_in(KNOWS, TAKES_UPDATE, "Session-Expires: 600;refresher=uac")
    scene.wire.run(300)
    fields = (WITH_SDP, KNOWS, "Session-Expires: 300;refresher=uas")
    scene.say("INVITE", *fields, branch="z9hG4bKre", cseq=2, body=SDP.decode())
    assert scene.node.told(Reoffered)
    scene.wire.do(scene.node, scene.node.agent.answer_reoffer(scene.session, ANSWER, now=scene.wire.now))
    said = scene.peer.heard()[-1]
    assert header(said, "Session-Expires") == "300;refresher=uas"
    scene.say("ACK", branch="z9hG4bKack2", cseq=2)
    scene.wire.run(150.2)
    (update,) = scene.peer.heard()
    assert (update.split(" ")[0], header(update, "Session-Expires")) == ("UPDATE", "300;refresher=uac")


def test_a_refresh_too_short_gets_422() -> None:
    scene = Scene()
    scene.call_in(KNOWS)
    scene.say("UPDATE", KNOWS, "Session-Expires: 20", branch="z9hG4bKu", cseq=2)
    (said,) = scene.peer.heard()
    assert said.startswith("SIP/2.0 422")
    assert header(said, "Min-SE") == "90"


def test_the_called_side_refreshes_where_it_agreed_to() -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600;refresher=uas", "Require: timer")
    scene.wire.run(500)
    assert scene.peer.heard() == []
    scene.wire.run(69)
    assert scene.ends() == [(EndCause.LOST, 408)]


# --- OPTIONS


def test_a_silent_peer_is_asked_and_lives() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    for status in (200, 501, 401):
        scene.wire.run(60.2)
        (asked,) = scene.peer.heard()
        assert asked.startswith("OPTIONS sip:x@10.0.0.3:5060")
        scene.peer.say(reply(asked, status))
    assert scene.ends() == []


def test_a_peer_that_talks_is_not_asked() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_in()
    for number in range(3):
        scene.wire.run(40)
        scene.say("INFO", branch=f"z9hG4bKi{number}", cseq=2 + number)
    assert words(scene.peer.heard()) == ["SIP/2.0"] * 3
    scene.wire.run(60.2)
    assert words(scene.peer.heard()) == ["OPTIONS"]


def test_a_peer_that_knows_no_such_call_ends_it() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(61)
    scene.peer.say(reply(scene.peer.heard()[0], 481))
    assert scene.ends() == [(EndCause.LOST, 481)]


@pytest.mark.parametrize("status", [None, 408])
def test_a_peer_that_answered_once_and_is_gone_ends_the_call_within_the_time_and_32_seconds(status: int | None) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60.2)
    scene.peer.say(reply(scene.peer.heard()[0], 200))
    scene.wire.run(61)
    if status is not None:
        scene.peer.say(reply(scene.peer.heard()[0], status))
    else:
        scene.wire.run(30)
        assert scene.ends() == []
        scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.run(60)
    assert (scene.node.agent.transactions(), scene.node.agent.timers()) == (0, 0)


@pytest.mark.parametrize("allow", [TAKES_UPDATE, "Allow: INVITE, ACK, BYE"])
@pytest.mark.parametrize("status", [None, 408])
def test_a_peer_that_never_answered_is_asked_by_a_refresh_before_it_is_given_up(status: int | None, allow: str) -> None:
    """A phone that holds sends no sound, and what is between it and us may drop OPTIONS."""
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(allow)
    for _ in range(3):
        scene.wire.run(60.2)
        asked = scene.peer.heard()[0]
        assert asked.startswith("OPTIONS")
        if status is None:
            scene.wire.run(32)
        else:
            scene.peer.say(reply(asked, status))
        refresh = refreshed(scene)
        body = ANSWER.decode() if refresh.startswith("INVITE") else ""
        kind = [WITH_SDP] if body else []
        scene.peer.say(reply(refresh, 200, "Contact: <sip:x@10.0.0.3:5060>", *kind, body=body))
        scene.peer.heard()
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
    """The owner does what a refresh that is due wants; the refresh."""
    for event in scene.node.told(RefreshDue):
        assert isinstance(event, RefreshDue)
        scene.wire.do(scene.node, scene.node.agent.reoffer(event.session, SDP, now=scene.wire.now))
        scene.node.events.remove(event)
    sent = [text for text in scene.peer.heard() if text.split(" ")[0] in ("UPDATE", "INVITE")]
    return sent[-1]


def test_a_peer_that_never_answers_anything_is_given_up_even_if_nobody_refreshes() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60 + 32 + 60 + 31)
    assert scene.ends() == []
    scene.wire.run(2)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_while_a_change_is_under_way_it_shows_whether_the_peer_is_there() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(TAKES_UPDATE)
    scene.wire.run(80)
    scene.wire.do(scene.node, scene.node.agent.reoffer(A, SDP, now=scene.wire.now))
    scene.peer.heard()
    scene.wire.run(13)
    assert not any(text.startswith("UPDATE") for text in scene.peer.heard())
    scene.wire.run(20)
    assert scene.ends() == [(EndCause.LOST, 408)]


def unreachable(scene: Scene, phone: Address, seconds: int) -> list[str]:
    """Time passes, and each connection to the phone fails after a second; what was tried to be sent."""
    tried = []
    for _ in range(seconds):
        before = len(scene.node.sent)
        scene.wire.run(1)
        tried += words([data.decode() for data, to in scene.node.sent[before:] if to == phone])
        if len(scene.node.sent) > before:
            scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    return tried


def connected() -> tuple[Scene, Address]:
    """A call of a phone that is reached by TCP, and where."""
    scene = Scene(keepalive_s=60.0)
    phone = Address("10.0.0.3", 5060, "TCP")
    target = "sip:x@10.0.0.3:5060;transport=tcp"
    scene.peer = Peer(scene.wire, scene.node, phone)
    scene.wire.do(scene.node, scene.node.agent.invite(A, target, now=scene.wire.now, sdp=SDP))
    (scene.invite,) = scene.peer.heard()
    scene.peer.say(reply(scene.invite, 200, f"Contact: <{target}>", WITH_SDP, body=ANSWER.decode()))
    assert words(scene.peer.heard()) == ["ACK"]
    return scene, phone


def test_a_phone_to_which_no_connection_can_be_had_ends_the_call_as_late_as_by_udp() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 91) == ["OPTIONS"] * 4
    assert scene.ends() == []
    assert unreachable(scene, phone, 3) == ["OPTIONS"]
    assert scene.node.sent[-1][0].startswith(b"BYE")
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.wire.run(60)
    assert (scene.node.agent.transactions(), scene.node.agent.timers()) == (0, 0)


def test_a_phone_that_can_be_connected_to_again_in_time_is_there() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 75) == ["OPTIONS"] * 2
    scene.peer.heard()
    scene.wire.run(10)
    (asked,) = scene.peer.heard()
    scene.peer.say(reply(asked, 503))
    assert unreachable(scene, phone, 59) == []
    assert unreachable(scene, phone, 30) == ["OPTIONS"] * 3
    assert scene.ends() == []


def test_a_call_that_ends_while_no_connection_can_be_had_is_asked_no_more() -> None:
    scene, phone = connected()
    scene.wire.run(60.5)
    assert words(scene.peer.heard()) == ["OPTIONS"]
    scene.wire.do(scene.node, scene.node.agent.bye(A, now=scene.wire.now))
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 200)]


@pytest.mark.parametrize("status", [None, 408])
def test_who_does_not_answer_but_is_heard_keeps_the_call_for_as_long(status: int | None) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    for _ in range(3):
        scene.wire.run(60.2)
        asked = scene.peer.heard()[0]
        assert asked.startswith("OPTIONS")
        scene.wire.run(20)
        scene.node.agent.record_audio(A, now=scene.wire.now)
        if status is None:
            scene.wire.run(12.1)
        else:
            scene.peer.say(reply(asked, status))
        scene.peer.heard()
    assert scene.ends() == []
    scene.wire.run(60 + 32 + 60 + 32 + 1)
    assert scene.ends() == [(EndCause.LOST, 408)]
    scene.node.agent.record_audio(A, now=scene.wire.now)
    assert scene.node.agent.sessions() == ()


def test_who_cannot_be_connected_to_but_is_heard_keeps_the_call() -> None:
    scene, phone = connected()
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    unreachable(scene, phone, 85)
    scene.node.agent.record_audio(A, now=scene.wire.now)
    unreachable(scene, phone, 60)
    assert scene.ends() == []
    unreachable(scene, phone, 60)
    assert scene.ends() == [(EndCause.LOST, 408)]


def test_who_knows_no_such_call_ends_it_though_it_is_heard() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered()
    scene.wire.run(60.2)
    scene.node.agent.record_audio(A, now=scene.wire.now)
    scene.peer.say(reply(scene.peer.heard()[0], 481))
    assert scene.ends() == [(EndCause.LOST, 481)]


@pytest.mark.parametrize("status", [None, 408])
@pytest.mark.parametrize("heard", [True, False])
def test_an_update_that_is_dropped_on_the_way_costs_no_call_that_is_heard(heard: bool, status: int | None) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300.2)
    (update,) = scene.peer.heard()
    scene.wire.run(30)
    if heard:
        scene.node.agent.record_audio(A, now=scene.wire.now)
    if status is None:
        scene.wire.run(3)
    else:
        scene.peer.say(reply(update, status))
    assert scene.ends() == ([] if heard else [(EndCause.LOST, 408)])
    assert len(scene.node.told(RefreshDue)) == heard
    if heard:
        again = refreshed(scene)
        assert again.startswith("INVITE")
        said = ("Session-Expires: 600;refresher=uac", "Contact: <sip:x@10.0.0.3:5060>", WITH_SDP)
        scene.peer.say(reply(again, 200, *said, body=ANSWER.decode()))
        scene.peer.heard()
        scene.wire.run(301)
        assert len(scene.node.told(RefreshDue)) == 1, "from now on by re-INVITE"


@pytest.mark.parametrize("status", [None, 408])
@pytest.mark.parametrize("what", ["change", "key", "transfer"])
def test_what_is_dropped_on_the_way_costs_no_call_that_is_heard(what: str, status: int | None) -> None:
    scene = Scene()
    scene.call_out()
    scene.answered()
    agent, now = scene.node.agent, scene.wire.now
    if what == "change":
        scene.wire.do(scene.node, agent.reoffer(A, SDP, now=now))
        scene.wire.do(scene.node, agent.reoffer(A, ANSWER, now=now))
    elif what == "key":
        scene.wire.do(scene.node, agent.send_digit(A, "5", now=now))
    else:
        scene.wire.do(scene.node, agent.refer(A, "sip:carol@10.0.0.9", now=now))
    asked = scene.peer.heard()[0]
    scene.wire.run(30)
    agent.record_audio(A, now=scene.wire.now)
    scene.node.events.clear()
    scene.peer.heard()
    if status is None:
        scene.wire.run(3)
    else:
        scene.peer.say(reply(asked, status))
    assert scene.ends() == []
    if what == "change":
        assert scene.node.events == [ReofferRefused(session=A, status=408, reason="Request Timeout")]
        assert scene.peer.heard()[-1].encode().endswith(ANSWER), "the change that waited is tried"
    elif what == "key":
        assert scene.node.events == []
    else:
        assert scene.node.events == [ReferralAnswered(session=A, status=408)]


@pytest.mark.parametrize("what", ["refresh", "transfer", "OPTIONS"])
@pytest.mark.parametrize("status", [None, 408])
def test_what_goes_unanswered_after_the_end_is_nothing(what: str, status: int | None) -> None:
    scene = Scene(keepalive_s=60.0 if what == "OPTIONS" else 0.0)
    scene.call_out()
    scene.answered("Session-Expires: 120", TAKES_UPDATE)
    if what == "transfer":
        scene.wire.do(scene.node, scene.node.agent.refer(A, "sip:carol@10.0.0.9", now=scene.wire.now))
    else:
        scene.wire.run(60.2)
    asked = [text for text in scene.peer.heard() if what != "OPTIONS" or text.startswith("OPTIONS")][-1]
    scene.wire.do(scene.node, scene.node.agent.bye(A, now=scene.wire.now))
    if status is not None:
        scene.peer.say(reply(asked, status))
    scene.wire.run(60)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]


@pytest.mark.parametrize(("status", "due"), [(405, 1), (501, 1), (500, 0)])
def test_whatever_answers_the_refresh_that_asked_is_there(status: int, due: int) -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered(TAKES_UPDATE)
    scene.wire.run(92.5)
    update = scene.peer.heard()[-1]
    assert update.startswith("UPDATE")
    scene.peer.say(reply(update, status))
    assert len(scene.node.told(RefreshDue)) == due
    scene.wire.run(59)
    assert scene.peer.heard() == []
    scene.wire.run(36)
    assert scene.ends() == [], "it was there a short time ago, so a refresh asks again"


def test_a_refresh_for_which_there_is_no_connection_is_no_sign_of_life() -> None:
    scene = Scene(keepalive_s=70.0)
    phone = Address("10.0.0.3", 5060, "TCP")
    target = "sip:x@10.0.0.3:5060;transport=tcp"
    scene.peer = Peer(scene.wire, scene.node, phone)
    scene.wire.do(scene.node, scene.node.agent.invite(A, target, now=scene.wire.now, sdp=SDP))
    (scene.invite,) = scene.peer.heard()
    said = (f"Contact: <{target}>", WITH_SDP, TAKES_UPDATE, "Session-Expires: 120")
    scene.peer.say(reply(scene.invite, 200, *said, body=ANSWER.decode()))
    scene.peer.heard()
    scene.wire.run(59)
    scene.wire.do(scene.node, scene.node.agent.handle_disconnect(phone, scene.wire.now))
    assert unreachable(scene, phone, 13) == ["UPDATE", "OPTIONS", "UPDATE"]


def test_answers_that_come_after_the_end_are_nothing() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered("Session-Expires: 120;refresher=uac", TAKES_UPDATE)
    scene.wire.run(60.2)
    asked = scene.peer.heard()
    assert sorted(words(asked)) == ["OPTIONS", "UPDATE"]
    scene.wire.do(scene.node, scene.node.agent.bye(A, now=scene.wire.now))
    for text in asked:
        scene.peer.say(reply(text, 481))
    scene.wire.run(120)
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]


def test_two_agents_keep_a_call_for_a_day() -> None:
    wire = Wire()
    alice, bob = wire.node(ALICE), wire.node(BOB)
    wire.do(alice, alice.agent.invite(A, "sip:bob@10.0.0.2:5060", now=wire.now, sdp=SDP, caller="alice"))
    wire.run(1)
    (session,) = bob.agent.sessions()
    wire.do(bob, bob.agent.accept(session, ANSWER, now=wire.now))
    wire.run(86_400)
    assert alice.told(Accepted)
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
    (scene.invite,) = scene.peer.heard()
    scene.answered("Session-Expires: 600", TAKES_UPDATE)
    scene.wire.run(300.2)
    (update,) = scene.peer.heard()
    scene.peer.say(reply(update, 401, 'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"'))
    (again,) = scene.peer.heard()
    assert again.startswith("UPDATE")
    assert header(again, "Authorization").startswith("Digest")
    assert header(again, "Session-Expires") == "600;refresher=uac"
    scene.peer.say(reply(again, 200, "Session-Expires: 600;refresher=uac"))
    scene.wire.run(200)
    assert scene.ends() == []


def test_a_call_that_is_ending_is_neither_refreshed_nor_asked() -> None:
    scene = Scene(keepalive_s=60.0)
    scene.call_out()
    scene.answered("Session-Expires: 120;refresher=uac", TAKES_UPDATE)
    scene.wire.run(59)
    assert not scene.node.agent.is_idle()
    scene.wire.do(scene.node, scene.node.agent.bye(A, now=scene.wire.now))
    scene.wire.run(60)
    assert set(words(scene.peer.heard())) == {"BYE"}
    assert scene.ends() == [(EndCause.WE_HUNG_UP, 408)]
    assert scene.node.agent.is_idle()
