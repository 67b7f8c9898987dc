"""Some thousands of hostile packets at the machines themselves; `make fuzz` throws as many as there is time for."""

from __future__ import annotations

from pathlib import Path

import pytest

from holdfast.voice.sip.effects import Address
from holdfast.voice.sip.sdp import sdp
from holdfast.voice.sip.sdp.sdp import Media
from tests.fuzz.__main__ import attempt
from tests.fuzz.hostile import KINDS, kept, packet
from tests.fuzz.targets import TARGETS, Line

PACKETS = {"the registrar": 100}
"""An hour with a registrar takes dozens of answers for each number; all other targets get 400 numbers."""
SEEDS = Path(__file__).parents[3] / "fuzz" / "seeds.txt"


@pytest.mark.parametrize("name", TARGETS)
def test_hostile_packets_do_no_harm(name: str) -> None:
    seeds = [number for target, number in kept(SEEDS.read_text("utf-8").splitlines()) if target == name]
    for first in range(0, PACKETS.get(name, 400), 50):
        assert TARGETS[name](range(first, first + 50)) == []
    assert TARGETS[name](seeds) == []


def test_a_packet_is_its_number() -> None:
    for kind in KINDS:
        assert packet(kind, 7) == packet(kind, 7)
        assert packet(kind, 7) != packet(kind, 8)


def test_seeds_are_read_with_any_name_of_their_target() -> None:
    assert kept(["# words", "the peer 12  # what it found", "audio 7", ""]) == [("the peer", 12), ("audio", 7)]
    assert {target for target, _ in kept(SEEDS.read_text("utf-8").splitlines())} <= TARGETS.keys()


def test_the_generator_reaches_deep_branches() -> None:
    """Of a thousand packets some begin calls and some are refused for every kind of reason."""
    line = Line()
    line.answer_a_call()
    for number in range(1000):
        line.take(packet("sip", number), line_source(number))
    statuses = {data[8:11] for data in line.sent if data.startswith(b"SIP/2.0")}
    assert {b"100", b"200", b"400", b"405", b"415", b"416", b"481", b"488", b"501"} <= statuses


def line_source(number: int) -> Address:
    return Address("127.0.0.1", 5080 + number % 7)


def test_a_fault_that_is_put_in_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A description parser that trusts its numbers must be found."""

    def trusting(value: str) -> Media:
        kind, port, proto, *formats = value.split()
        return Media(kind=kind, port=int(port), proto=proto, formats=tuple(formats))

    monkeypatch.setattr(sdp, "_media_line", trusting)
    found = attempt("descriptions", range(300))
    assert len(found) == 1
    assert found[0].startswith("ValueError")
