"""Phones that speak PCMA or G.722, negotiated by SIP: all hear each other; what need not be transcoded is not."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import ALICE, BOB, Chord
from holdfast.voice.media.codec.g711 import PAYLOAD_TYPE, decode, encode
from holdfast.voice.model.payload_types import Codec
from tests.loopback.shared_server import PASSWORD, answers, client

pytestmark = pytest.mark.anyio

NUMBER, ROOM = "+15550100", "+15550101"
DIAL = '<?xml version="1.0" encoding="UTF-8"?><Response><Dial><Client>bob</Client></Dial></Response>'
CONFERENCE = (
    '<?xml version="1.0" encoding="UTF-8"?><Response><Dial><Conference beep="false" waitUrl="">room</Conference>'
    "</Dial></Response>"
)


@pytest.fixture(scope="module")
def files() -> Iterator[FileServer]:
    with FileServer() as files:
        yield files


def as_it_comes(hum: Chord, *, spoken: int, heard: int) -> bytes:
    """A frame of a hum that is spoken in one law and heard in another: of the same law, not a bit is changed."""
    said = encode(hum.frame(), PAYLOAD_TYPE.index(spoken))
    return said if spoken == heard else encode(decode(said, PAYLOAD_TYPE.index(spoken)), PAYLOAD_TYPE.index(heard))


async def hears_in_a_row(phone: Phone, frame: bytes, count: int = 20) -> None:
    """Wait for so many packets in a row with this frame, however busy the machine. Raises: TimeoutError."""
    async with asyncio.timeout(20):
        while True:
            latest = [packet.payload for packet in phone.ear.packets()[-count:]]
            if latest == [frame] * count:
                return
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    ("alices", "bobs", "types"),
    [
        (("PCMA",), ("PCMA",), (8, 8)),
        (("PCMU",), ("PCMA",), (0, 8)),
        (("PCMA", "PCMU"), ("PCMU", "PCMA"), (0, 0)),
        (("G722",), ("PCMA",), (9, 8)),
        (("G722", "PCMU"), ("PCMU", "G722"), (9, 9)),
        (("G722", "PCMU"), ("PCMA", "PCMU"), (9, 8)),
    ],
)
async def test_two_phones_hear_each_other_with_every_pair_of_codecs(
    server: Server, files: FileServer, alices: tuple[Codec, ...], bobs: tuple[Codec, ...], types: tuple[int, int]
) -> None:
    await answers(server, NUMBER, files.put("dial.xml", DIAL))
    async with (
        Phone("alice", server=server.sip, codecs=alices) as alice,
        Phone("bob", server=server.sip, user="bob", password=PASSWORD, codecs=bobs) as bob,
    ):
        await bob.register()
        await (await alice.call(NUMBER)).answered()
        await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
        invite = next(seen.data.decode() for seen in bob.messages if seen.start_line.startswith("INVITE"))
        assert f" RTP/AVP {types[0]} " in invite, "what the caller speaks is offered first"
        for phone, hum, spoken, kind in ((alice, BOB, types[1], types[0]), (bob, ALICE, types[0], types[1])):
            if 9 not in types:
                await hears_in_a_row(phone, as_it_comes(hum, spoken=spoken, heard=kind))
            assert {packet.payload_type for packet in phone.ear.packets()} == {kind}


async def test_three_codecs_in_one_conference_and_how_they_sound(server: Server, files: FileServer) -> None:
    await answers(server, ROOM, files.put("room.xml", CONFERENCE))
    async with (
        Phone("alice", server=server.sip, codecs=("PCMU",)) as alice,
        Phone("bob", server=server.sip, codecs=("PCMA",)) as bob,
        Phone("carol", server=server.sip, codecs=("G722",)) as carol,
    ):
        for phone in (alice, bob, carol):
            await (await phone.call(ROOM)).answered()
        await asyncio.gather(alice.hears("bob", "carol"), bob.hears("alice", "carol"), carol.hears("alice", "bob"))
        ask = client(server)
        async with asyncio.timeout(20):
            while True:
                calls = ask.get("/engine/quality")["calls"]
                if len(calls) == 3 and all(each["packets_received"] for each in calls):
                    break
                await asyncio.sleep(0.1)
        assert sorted(each["codec"] for each in calls) == ["G722", "PCMA", "PCMU"]
        assert all(each["packets_lost"] == 0 for each in calls)
        assert "holdfast_media_mos" in ask.text("/metrics")
        assert [call["sound"]["loss"] for call in ask.get("/calls")["calls"]] == [0.0] * 3
