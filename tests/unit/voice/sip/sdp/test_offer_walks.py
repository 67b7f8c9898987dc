"""Sessions at random: offers, answers, holds and refreshes of both sides, against a model of RFC 3264.

The model reads descriptions by expressions of its own, and knows nothing of how a negotiation keeps its state.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.voice.sip.errors import NotAcceptableHere, SdpUnreadable
from holdfast.voice.sip.sdp.offer import (
    Negotiation,
    answer_offer,
    apply_answer,
    make_offer,
    repeat_offer,
    withdraw_offer,
)

US = Negotiation(local=("127.0.0.1", 16384), session_id=7)
STATIC = {"PCMU": "0", "PCMA": "8", "G722": "9"}
EVENTS = "TELEPHONE-EVENT"
DYNAMIC = ["96", "97", "101", "102", "110", "127", "35"]

OUR_ANSWER = {
    **{"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"},
}
"""The direction of our answer for each of an offer; RFC 3264 §6.1, for a side that wants both."""
PEER_ANSWERS = {
    "sendrecv": ("sendrecv", "sendonly", "recvonly", "inactive"),
    "sendonly": ("recvonly", "inactive"),
    "recvonly": ("sendonly", "inactive"),
    "inactive": ("inactive",),
}
"""The directions that may answer each of an offer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """The audio of a description: its version, direction, and what each number means, in order."""

    text: str
    version: int
    direction: str
    numbers: dict[str, str]
    place: int
    lines: int

    @classmethod
    def read(cls, body: bytes) -> Described:
        text = body.decode()
        sections = text.split("m=")[1:]
        place = next((k for k, section in enumerate(sections) if re.match(r"audio [1-9]", section)), 0)
        formats = sections[place].split("\r\n")[0].split()[3:]
        mapped = {number: name.upper() for number, name in re.findall(r"a=rtpmap:(\d+) ([\w-]+)/8000", sections[place])}
        static = {number: name for name, number in STATIC.items()}
        return cls(
            text=text,
            version=int(re.findall(r"^o=- \d+ (\d+)", text, re.M)[0]),
            direction=re.findall(r"^a=(sendrecv|sendonly|recvonly|inactive)\r", text, re.M)[-1],
            numbers={number: mapped.get(number) or static.get(number, "?") for number in formats},
            place=place,
            lines=len(sections),
        )

    @property
    def content(self) -> str:
        """Its text without `o=`."""
        return re.sub(r"^o=.*\r\n", "", self.text, flags=re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class PeersLine:
    """What the peer writes: its numbers in order, its direction, and how many lines stand before its audio."""

    numbers: tuple[tuple[str, str], ...]
    direction: str
    before: int = 0
    nowhere: bool = False

    def text(self) -> bytes:
        maps = "".join(
            f"a=rtpmap:{number} {name.lower() if name == EVENTS else name}/8000\r\n"
            for number, name in self.numbers
            if STATIC.get(name) != number
        )
        address = "0.0.0.0" if self.nowhere else "127.0.0.2"
        return (
            f"v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 {address}\r\nt=0 0\r\n"
            + "m=video 0 RTP/AVP 96\r\n" * self.before
            + f"m=audio 4000 RTP/AVP {' '.join(number for number, _ in self.numbers)}\r\n{maps}a={self.direction}\r\n"
        ).encode()

    @property
    def meant(self) -> str:
        """The direction that the peer means: with `c=0.0.0.0` it receives nothing."""
        return (
            {"sendrecv": "sendonly", "recvonly": "inactive"}.get(self.direction, self.direction)
            if (self.nowhere)
            else self.direction
        )

    def number_of(self, name: str) -> str | None:
        return next((number for number, each in self.numbers if each == name), None)


@dataclass(slots=True)
class Model:
    """What RFC 3264 says of the session so far."""

    state: Negotiation = US
    in_force: Described | None = None
    peer: PeersLine | None = None
    contents: dict[int, str] = field(default_factory=dict)
    """The content of each version that we ever sent."""
    bound: dict[str, set[str]] = field(default_factory=dict)
    """What each dynamic number was ever given, by either side."""

    def bind(self, numbers: dict[str, str]) -> None:
        for number, name in numbers.items():
            if number in DYNAMIC:
                self.bound.setdefault(number, set()).add(name)

    def sent(self, body: bytes) -> Described:
        """Check a description of ours as such."""
        ours = Described.read(body)
        assert self.contents.setdefault(ours.version, ours.content) == ours.content, "one version, one content"
        assert ours.version <= max(self.contents) == len(self.contents), "each new version is one more"
        if self.in_force is not None:
            assert (ours.content == self.in_force.content) == (ours.version == self.in_force.version)
            assert ours.lines >= self.in_force.lines
        return ours

    def offered(self, body: bytes) -> Described:
        """Check a new offer of ours."""
        ours = self.sent(body)
        for number, name in ours.numbers.items():
            assert self.bound.get(number, {name}) == {name}, "no number changes its codec, whichever side bound it"
        for name, number in STATIC.items():
            assert name in ours.numbers.values()
            assert ours.numbers.get(number, name) == name
        if self.state.agreed is not None:
            assert next(iter(ours.numbers.values())) == self.state.agreed.codec, "the agreed codec is first"
        self.bind(ours.numbers)
        return ours

    def agreed(self, peer: PeersLine, ours: Described, *, direction: str) -> None:
        """Check what is agreed; `direction` is ours after the exchange."""
        self.peer, self.in_force = peer, ours
        agreed = self.state.agreed
        assert agreed is not None
        assert (agreed.send, agreed.receive) == ("send" in direction, direction in ("sendrecv", "recvonly"))
        assert agreed.remote == (None if peer.nowhere else ("127.0.0.2", 4000))
        codecs = (agreed.codec, *agreed.other_codecs)
        received = {
            str(n): name for n, name in agreed.payload_types.receiving(codecs, agreed.dtmf_payload_type).items()
        }
        for name in codecs:
            assert str(agreed.payload_types.sending(name)) == peer.number_of(name), "sent by their number"
        both = peer.number_of(EVENTS) is not None and EVENTS in ours.numbers.values()
        assert (agreed.dtmf_payload_type is not None) is both
        if both:
            assert str(agreed.dtmf_payload_type) == peer.number_of(EVENTS)
        for number, meaning in ours.numbers.items():
            if meaning in codecs or (both and meaning == EVENTS):
                assert received[number].upper() == meaning, "received by our number"


NAMES = ["PCMU", "PCMA", "G722", EVENTS, "OPUS"]


@st.composite
def lines(draw: st.DrawFn, numbers: dict[str, str]) -> PeersLine:
    """Return a line of a peer with these dynamic numbers; some codecs go by their static ones."""
    codecs = draw(st.lists(st.sampled_from(["PCMU", "PCMA", "G722"]), min_size=1, max_size=3, unique=True))
    others = draw(st.lists(st.sampled_from([EVENTS, "OPUS"]), max_size=2, unique=True))
    by_static = draw(st.booleans())
    return PeersLine(
        numbers=tuple(
            ((STATIC[name] if by_static and name in STATIC else numbers[name]), name)
            for name in draw(st.permutations([*codecs, *others]))
        ),
        direction=draw(st.sampled_from(list(PEER_ANSWERS))),
        nowhere=draw(st.sampled_from([False, False, True])),
    )


STEPS = ("peer offers", "we offer", "we refresh", "we are refused", "unusable offer", "unusable answer", "peer repeats")
UNUSABLE = (b"", b"v=0\r\nm=audio 4000 RTP/AVP 18\r\n", b"v=0\r\nm=audio $ RTP/AVP 0\r\nc=IN IP4 127.0.0.2\r\n")


@given(data=st.data(), steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=14))
def test_numbers_directions_and_versions_are_those_of_the_rfc(data: st.DataObject, steps: list[str]) -> None:
    numbers = dict(zip(NAMES, data.draw(st.permutations(DYNAMIC)), strict=False))
    model, lines_before = Model(), data.draw(st.integers(0, 2))
    for step in ["peer offers" if data.draw(st.booleans()) else "we offer", *steps]:
        peer = data.draw(lines(numbers))
        if data.draw(st.sampled_from([False] * 9 + [True])):
            numbers = dict(zip(NAMES, data.draw(st.permutations(DYNAMIC)), strict=False))  # another device takes over
        place = 0 if model.in_force is None else model.in_force.place
        match step:
            case "peer offers" | "peer repeats":
                before = model.in_force
                if step == "peer repeats" and model.peer is not None:
                    peer = model.peer
                peer = replace(peer, before=lines_before if before is None else place)
                repeats = peer == model.peer and before is not None and before.direction == OUR_ANSWER[peer.meant]
                model.state, body = answer_offer(model.state, peer.text())
                ours = model.sent(body)
                assert ours.direction == OUR_ANSWER[peer.meant]
                assert ours.numbers.items() <= dict(peer.numbers).items(), "an answer has the offer's numbers"
                if repeats and before is not None and set(ours.numbers) == set(before.numbers):
                    assert ours.text == before.text
                model.bind(dict(peer.numbers))
                model.agreed(peer, ours, direction=ours.direction)
                assert model.state.agreed is not None
                assert model.state.agreed.peer_holds is (peer.meant in ("sendonly", "inactive"))
            case "we offer" | "we refresh" | "we are refused" | "unusable answer":
                asked, refreshes = model.state, step == "we refresh" or data.draw(st.booleans())
                if refreshes and model.in_force is not None:
                    model.state, body = repeat_offer(asked)
                    ours = Described.read(body)
                    assert ours.text == model.in_force.text, "a refresh repeats the description in force"
                else:
                    model.state, body = make_offer(asked)
                    ours = model.offered(body)
                    assert ours.direction == "sendrecv"
                if step in ("we are refused", "unusable answer") and model.in_force is not None:
                    if step == "unusable answer":
                        with pytest.raises((NotAcceptableHere, SdpUnreadable)):
                            apply_answer(model.state, data.draw(st.sampled_from(UNUSABLE)))
                    model.state = withdraw_offer(model.state)
                    assert model.state.agreed == asked.agreed
                    continue
                direction = data.draw(st.sampled_from(PEER_ANSWERS[ours.direction]))
                if model.state.agreed is not None and len(ours.numbers) <= 2:
                    # Our offer may have one codec alone: so has the answer, by any of the peer's numbers.
                    (codec,) = [name for name in ours.numbers.values() if name != EVENTS]
                    names = [codec, *(name for _, name in peer.numbers if name == EVENTS)]
                    peer = replace(peer, numbers=tuple((peer.number_of(name) or numbers[name], name) for name in names))
                peer = replace(peer, direction=direction, before=ours.place, nowhere=False)
                held = asked.agreed is not None and asked.agreed.peer_holds
                model.state = apply_answer(model.state, peer.text())
                model.bind(dict(peer.numbers))
                model.agreed(peer, ours, direction=OUR_ANSWER[direction])
                assert model.state.agreed is not None
                first = next(name for _, name in peer.numbers if name in ours.numbers.values() and name in STATIC)
                assert model.state.agreed.codec == first, "what the answer names first is sent"
                told = direction in ("sendonly", "inactive") if "send" in ours.direction else held
                assert model.state.agreed.peer_holds is told
            case "unusable offer":
                if model.in_force is not None:
                    with pytest.raises((NotAcceptableHere, SdpUnreadable)):
                        answer_offer(model.state, data.draw(st.sampled_from(UNUSABLE)))
