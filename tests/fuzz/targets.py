"""Targets of hostile packets without a socket: the SIP agent with a call up, descriptions, RTP, RTCP.

Each target returns the faults that it found, in words; the list is empty when there are none.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import fields, is_dataclass, replace

import numpy as np

from holdfast.voice.media.dtmf import event_receiver
from holdfast.voice.media.rtp import rtcp, rtp
from holdfast.voice.model.errors import VoiceError
from holdfast.voice.sip.agent import Agent, AgentSettings
from holdfast.voice.sip.effects import (
    Address,
    Confirmed,
    Effect,
    Ended,
    Invited,
    ReofferAnswered,
    Reoffered,
    SendMessage,
    SessionId,
    StartSipTimer,
    StopSipTimer,
    TimerToken,
)
from holdfast.voice.sip.errors import SipMessageUnreadable
from holdfast.voice.sip.message.codec import decode
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.message import Message, Request, Response
from holdfast.voice.sip.sdp.offer import (
    Negotiation,
    answer_offer,
    apply_answer,
    make_offer,
    withdraw_offer,
)
from holdfast.voice.sip.session_commands import (
    AcceptInvite,
    AnswerReoffer,
    EndSession,
    RefuseInvite,
    RefuseReoffer,
    SendRinging,
)
from tests.fuzz.hostile import Dialog, answered, packet, sip
from tests.unit.voice.sip.wire import FixedRandom

US, CALLER, UNKNOWN = Address("127.0.0.1", 5060), Address("127.0.0.1", 5070), Address("127.0.0.1", 5099)
SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio 4000 RTP/AVP 0 8 101\r\na=rtpmap:101 telephone-event/8000\r\na=sendrecv\r\n"
)
TIMEOUT_S = 4000.0
STATUSES = frozenset({100, 180, 200, 400, 403, 405, 415, 416, 420, 422, 481, 482, 488, 489, 501, 503, 505, 603})
UNREADABLE = frozenset({400, 505})
"""The statuses of unreadable requests from an engine that answers every host.

Source: RFC 3261 §8.2; RFC 6665; RFC 4028.
"""
REGISTERED_S, MOST_REGISTERS = 1000.0, 1200
"""A second is the shortest time that a registrar is taken to grant."""


class Line:
    """An engine's agent and its owner, who answers every offer if it can, on a fake clock."""

    def __init__(self) -> None:
        self.agent = Agent(
            AgentSettings(address=US, secret=b"fuzz", max_sessions=200, max_transactions=2000, answer_within_s=30.0),
            FixedRandom(),
        )
        self.now = 1000.0
        self.sent: list[bytes] = []
        self.ended: list[SessionId] = []
        self.wrong: list[str] = []
        self.agreed: dict[SessionId, Negotiation] = {}
        self._timers: dict[TimerToken, float] = {}
        self.dialog = Dialog()
        self.call = SessionId("")

    def take(self, data: bytes, source: Address) -> None:
        self._do(self.agent.receive(data, source, self.now))

    def passes(self, seconds: float) -> None:
        """Let time pass."""
        end = self.now + seconds
        while self._timers and min(self._timers.values()) <= end:
            token = min(self._timers, key=self._timers.__getitem__)
            self.now = max(self.now, self._timers.pop(token))
            self._do(self.agent.fire(token, self.now))
        self.now = end

    def answer_a_call(self, *, tag: str = "caller", call_id: str = "the-call") -> None:
        """Call the agent as a good caller, and let it answer."""
        head = (
            f"Via: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bK{call_id}{{}}\r\nMax-Forwards: 70\r\n"
            f"From: <sip:caller@127.0.0.1>;tag={tag}\r\nCall-ID: {call_id}\r\nContact: <sip:caller@127.0.0.1:5070>\r\n"
        )
        self.take(
            f"INVITE sip:us@127.0.0.1 SIP/2.0\r\n{head.format(1)}To: <sip:us@127.0.0.1>\r\nCSeq: 1 INVITE\r\n"
            f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n\r\n{SDP}".encode(),
            CALLER,
        )
        self.call = self.agent.sessions()[-1]
        ok = next(data.decode() for data in reversed(self.sent) if data.startswith(b"SIP/2.0 200"))
        ours = ok.partition("To: ")[2].partition("tag=")[2].partition("\r\n")[0]
        self.take(
            f"ACK sip:us@127.0.0.1 SIP/2.0\r\n{head.format(2)}To: <sip:us@127.0.0.1>;tag={ours}\r\n"
            f"CSeq: 1 ACK\r\nContent-Length: 0\r\n\r\n".encode(),
            CALLER,
        )
        self.dialog = Dialog(call_id=call_id, ours=ours, theirs=tag, uri="sip:us@127.0.0.1")

    def acknowledge(self, cseq: int) -> None:
        """Acknowledge the answer to the re-INVITE of this number, so that the next one is handled."""
        self.take(
            f"ACK sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKack{cseq}\r\n"
            f"Max-Forwards: 70\r\nFrom: <sip:caller@127.0.0.1>;tag={self.dialog.theirs}\r\n"
            f"To: <sip:us@127.0.0.1>;tag={self.dialog.ours}\r\nCall-ID: {self.dialog.call_id}\r\n"
            f"CSeq: {cseq} ACK\r\nContent-Length: 0\r\n\r\n".encode(),
            CALLER,
        )

    def is_alive(self) -> bool:
        """Return whether a good OPTIONS is answered."""
        self.sent.clear()
        self.take(
            f"OPTIONS sip:us@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKalive{self.now}\r\n"
            f"From: <sip:a@b>;tag=1\r\nTo: <sip:us@127.0.0.1>\r\nCall-ID: alive{self.now}\r\nCSeq: 1 OPTIONS\r\n"
            "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode(),
            CALLER,
        )
        return any(data.startswith((b"SIP/2.0 200", b"SIP/2.0 503")) for data in self.sent)

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case SendMessage():
                    self.sent.append(effect.data)
                    if not 1 <= effect.to.port <= 65535:
                        self.wrong.append(f"a message to port {effect.to.port}")
                case StartSipTimer():
                    self._timers[effect.token] = self.now + effect.after_s
                case StopSipTimer():
                    self._timers.pop(effect.token, None)
                case Invited():
                    self._invited(effect)
                case Reoffered():
                    self._reoffered(effect)
                case Confirmed() | ReofferAnswered():
                    self._answered(effect.session, effect.sdp)
                case Ended():
                    self.ended.append(effect.session)
                case _:
                    pass
            if not isinstance(effect, SendMessage | StartSipTimer | StopSipTimer):
                self.wrong += [
                    f"{type(effect).__name__} tells {text!r}" for text in texts(effect) if not is_clean(text)
                ]

    def _invited(self, event: Invited) -> None:
        state = Negotiation(local=("127.0.0.1", 16384), session_id=1)
        try:
            state, ours = make_offer(state) if event.sdp is None else answer_offer(state, event.sdp)
        except VoiceError as refused:
            self._do(self.agent.command(event.session, RefuseInvite(status=refused.sip), self.now))
            return
        self.agreed[event.session] = state
        self._do(
            self.agent.command(
                event.session, SendRinging(sdp=ours if event.reliable and event.sdp is None else None), self.now
            )
        )
        self._do(self.agent.command(event.session, AcceptInvite(sdp=ours), self.now))

    def _reoffered(self, event: Reoffered) -> None:
        state = self.agreed[event.session]
        try:
            state, ours = make_offer(state) if event.sdp is None else answer_offer(state, event.sdp)
        except VoiceError as refused:
            self._do(self.agent.command(event.session, RefuseReoffer(status=refused.sip), self.now))
            return
        self.agreed[event.session] = state
        self._do(self.agent.command(event.session, AnswerReoffer(sdp=ours), self.now))

    def _answered(self, session: SessionId, answer: bytes | None) -> None:
        state = self.agreed.get(session)
        if state is None or not state.offered:
            return
        try:
            self.agreed[session] = apply_answer(state, answer or b"")
        except VoiceError:
            self.agreed[session] = withdraw_offer(state)


def texts(event: object) -> Iterator[str]:
    """Yield every text in an event."""
    if isinstance(event, str):
        yield event
    elif isinstance(event, tuple):
        for each in event:
            yield from texts(each)
    elif is_dataclass(event):
        for item in fields(event):
            yield from texts(getattr(event, item.name))


def is_clean(text: str) -> bool:
    """Return whether a store, a webhook and a terminal can take the text."""
    return (text.isascii() and text.isprintable()) or not re.search(r"[\ud800-\udfff\x00-\x1f\x7f-\x9f]", text)


def unauthenticated(numbers: Iterable[int]) -> list[str]:
    """Send packets from outside: the call goes on, good requests are answered, and in the end nothing is left."""
    line = Line()
    line.answer_a_call()
    for number in numbers:
        asked, before = packet("sip", number), len(line.sent)
        line.take(asked, UNKNOWN)
        line.wrong += [f"sip {number}: {why}" for why in wrong_answers(asked, line.sent[before:])]
        line.passes(0.05)
    return _verdict(line, call_lives=True)


def wrong_answers(asked: bytes, said: Iterable[bytes]) -> Iterator[str]:
    """Yield the faults of our responses to a packet: an unexpected status, or the names of another request."""
    try:
        request = decode(asked)
    except SipMessageUnreadable:
        request = None
    for data in said:
        if not data.startswith(b"SIP/2.0"):
            continue
        status = int(data[8:11])
        if status not in (STATUSES if isinstance(request, Request) else UNREADABLE):
            yield f"a {status}"
        elif isinstance(request, Request):
            answer = decode(data)
            if not isinstance(answer, Response) or named(answer) != named(request):
                yield f"a {status} to somebody else"


def named(message: Message) -> tuple[str | None, ...]:
    """Return the fields that name the transaction of a message. Source: RFC 3261 §8.2.6.2."""
    return message.via.branch, *(message.first(name) for name in ("From", "Call-ID", "CSeq"))


def the_peer(numbers: Iterable[int]) -> list[str]:
    """Send packets inside the dialog, as its peer: the peer may lose the call, and nothing more."""
    line = Line()
    line.answer_a_call(call_id="other", tag="other")
    bystander = line.call
    line.answer_a_call()
    cseq = 1
    for number in numbers:
        said = replace(line.dialog, cseq=(cseq := cseq + 1))
        line.take(sip(random.Random(f"dialog {number}"), said, via="127.0.0.1:5070"), CALLER)
        line.acknowledge(cseq)
        line.passes(0.05)
    other_ended = bystander in line.ended
    wrong = _verdict(line, call_lives=False)
    return [*wrong, "another call ended"] if other_ended else wrong


def _verdict(line: Line, *, call_lives: bool) -> list[str]:
    wrong = list(line.wrong)
    if call_lives and (line.call in line.ended or line.call not in line.agent.sessions()):
        wrong.append("the call ended")
    line.passes(40.0)
    if not line.is_alive():
        wrong.append("a good OPTIONS was not answered")
    for session in line.agent.sessions():
        line._do(line.agent.command(session, EndSession(), line.now))
    line.passes(TIMEOUT_S)
    if (left := (line.agent.sessions(), line.agent.transactions(), line.agent.timers())) != ((), 0, 0):
        wrong.append(f"left behind: {left}")
    return wrong


def the_callee(numbers: Iterable[int]) -> list[str]:
    """Answer our calls as hostile phones: each session ends once and nothing is left."""
    line = Line()
    for number in numbers:
        rng, session = random.Random(f"called {number}"), SessionId(f"out {number}")
        line.sent.clear()
        line._do(line.agent.invite(session, "sip:bob@127.0.0.1:5070", now=line.now, sdp=SDP.encode(), caller="us"))
        asked = next(data for data in line.sent if data.startswith(b"INVITE"))
        for _ in range(rng.randrange(1, 5)):
            line.take(answered(rng, asked), CALLER)
            line.passes(rng.choice((0.0, 1.0, 40.0)))
        if session in line.agent.sessions():
            line._do(line.agent.command(session, EndSession(), line.now))
        line.passes(200.0)
    return _verdict(line, call_lives=False)


def the_registrar(numbers: Iterable[int]) -> list[str]:
    """Answer as a hostile registrar: the agent goes on trying, does not flood it, and leaves when it should."""
    line = Line()
    for number in numbers:
        rng, name = random.Random(f"registrar {number}"), f"trunk {number}"
        line.sent.clear()
        good = DigestCredentials(user="us", password="secret")
        line._do(
            line.agent.register(name, CALLER, "us", now=line.now, credentials=good, expires_s=300, keep_trying=True)
        )
        began, asked = line.now, 0
        while line.now < began + REGISTERED_S:
            for each in [each for each in line.sent if each.startswith(b"REGISTER")]:
                asked += 1
                line.take(answered(rng, each), CALLER)
                line.sent.remove(each)
                if asked > MOST_REGISTERS:
                    break
            line.passes(rng.choice((0.1, 10.0, 100.0)))
        if asked > MOST_REGISTERS:
            line.wrong.append(f"registrar {number}: asked {asked} times in {line.now - began:.0f} s")
        line._do(line.agent.unregister(name, now=line.now))
        line.passes(TIMEOUT_S)
    return _verdict(line, call_lives=False)


def descriptions(numbers: Iterable[int]) -> list[str]:
    """Pass descriptions as offers and as answers: they are accepted, or refused by an error with a status."""
    wrong = []
    fresh = Negotiation(local=("127.0.0.1", 16384), session_id=1)
    offered, _ = make_offer(fresh)
    for number in numbers:
        body = packet("sdp", number)
        for is_offer in (True, False):
            try:
                agreed = (answer_offer(fresh, body)[0] if is_offer else apply_answer(offered, body)).agreed
            except VoiceError as refused:
                if not 400 <= refused.sip <= 499:
                    wrong.append(f"sdp {number}: refused with {refused.sip}")
                continue
            if agreed is not None and agreed.remote is not None and not 1 <= agreed.remote[1] <= 65535:
                wrong.append(f"sdp {number}: audio to port {agreed.remote[1]}")
    return wrong


def audio(numbers: Iterable[int]) -> list[str]:
    """Parse RTP and RTCP: each packet is refused, or its parsed parts lie within the packet."""
    wrong = []
    for number in numbers:
        data = packet("rtp", number)[:1500]
        rows = np.zeros((1, 2048), dtype=np.uint8)
        rows[0, : len(data)] = np.frombuffer(data, dtype=np.uint8)
        read = rtp.parse(rows, np.array([len(data)]))
        if read.valid[0]:
            start, size = int(read.start[0]), int(read.size[0])
            if size < 0 or start < 12 or start + size > len(data):
                wrong.append(f"rtp {number}: {size} bytes from {start} of {len(data)}")
            event_receiver.receive(None, data[start : start + size], timestamp=0, marker=False, ssrc=7)
        rtcp.parse(packet("rtcp", number), our_ssrc=1)
    return wrong


TARGETS: dict[str, Callable[[Iterable[int]], list[str]]] = {
    "unauthenticated": unauthenticated,
    "the peer": the_peer,
    "the callee": the_callee,
    "the registrar": the_registrar,
    "descriptions": descriptions,
    "audio": audio,
}
