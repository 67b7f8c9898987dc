"""Beeps and keys by ear: tones that the engine makes, heard by phones over real sockets."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest

from holdfast.testing.audio.ears import SETTLED, Ear
from holdfast.testing.clock import now_s
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import HUMS, Chord
from holdfast.voice.media.mix.beeps import STEPS_HZ
from tests.loopback.shared_server import answers
from tests.loopback.web_server import WebServer, reply

pytestmark = pytest.mark.anyio

OFFICE = "+15550100"
LOW, HIGH = (Chord(name=name, tones_hz=(hz,)) for name, hz in zip(("low", "high"), STEPS_HZ["entry"], strict=True))
ENTRY, EXIT = ["low", "high"], ["high", "low"]
RECORD_BEEP = Chord(name="beep", tones_hz=(850.0,))


def twiml(inside: str) -> str:
    return f"<Response>{inside}</Response>"


APART = 6
"""Windows without a step that part two beeps; fewer are windows in which something else was too loud to tell."""


def beeps(ear: Ear) -> tuple[list[str], list[frozenset[str]]]:
    """The steps of the beeps an ear has heard, in order, and what else was heard in the windows they were heard in."""
    runs: list[tuple[str, int, int]] = []
    under: list[frozenset[str]] = []
    for k, (_, heard) in enumerate(ear.heard()):
        step = heard & {"low", "high"}
        if len(step) == 1:
            under.append(heard - step)
            (name,) = step
            if runs and runs[-1][0] == name and k - runs[-1][2] < APART:
                runs[-1] = name, runs[-1][1] + 1, k
            else:
                runs.append((name, 1, k))
    # A step is five windows; one or two are a voice that broke off, which has something of every tone.
    return [name for name, windows, _ in runs if windows >= SETTLED], under


async def beeped(phone: Phone, steps: list[str]) -> None:
    """Wait until this phone has heard these steps since its ear was born."""
    until_s = now_s() + 20
    while len(beeps(phone.ear)[0]) < len(steps) and now_s() < until_s:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    assert beeps(phone.ear)[0] == steps


async def test_all_hear_a_beep_over_the_talk_when_a_participant_enters_and_leaves(server: Server) -> None:
    sounds = (*HUMS, LOW, HIGH)
    async with WebServer() as web:
        room = twiml('<Dial><Conference waitUrl="">beeps</Conference></Dial>')
        await answers(server, OFFICE, web.on("/room", reply(room)))
        async with (
            Phone("alice", server=server.sip, sounds=sounds) as alice,
            Phone("bob", server=server.sip, sounds=sounds) as bob,
            Phone("carol", server=server.sip, sounds=sounds) as carol,
        ):
            await (await alice.call(OFFICE)).answered()
            await alice.hears("silence")
            await (await bob.call(OFFICE)).answered()
            await asyncio.gather(beeped(alice, ENTRY), beeped(bob, ENTRY))
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            visit = await carol.call(OFFICE)
            await visit.answered()
            await asyncio.gather(beeped(alice, [*ENTRY, *ENTRY]), beeped(bob, [*ENTRY, *ENTRY]), beeped(carol, ENTRY))
            await alice.hears("bob", "carol")
            await asyncio.sleep(0.3)
            await visit.hang_up()
            await asyncio.gather(*(beeped(each, [*ENTRY, *ENTRY, *EXIT]) for each in (alice, bob)))
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            # The other's voice was there under the beeps all the time, but for the one that it came with.
            for ear, other in ((alice.ear, "bob"), (bob.ear, "alice")):
                under = beeps(ear)[1]
                assert sum(other in heard for heard in under) > len(under) / 2


async def test_a_record_begins_with_its_beep(server: Server) -> None:
    async with WebServer() as web:
        await answers(server, OFFICE, web.on("/record", reply(twiml('<Record timeout="0"/>'))))
        async with Phone("alice", server=server.sip, sounds=[RECORD_BEEP]) as alice:
            await (await alice.call(OFFICE)).answered()
            async with asyncio.timeout(20):
                while not any(interval.heard == {"beep"} for interval in alice.ear.intervals()):  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await alice.hears("silence")


async def test_keys_of_a_play_come_as_events_with_their_pauses(server: Server) -> None:
    async with WebServer() as web:
        document = twiml('<Play digits="1w2#"/><Pause length="60"/>')
        await answers(server, OFFICE, web.on("/play", reply(document)))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            async with asyncio.timeout(15):
                while len(call.line.digits) < 3:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            assert "".join(digit for _, digit in call.line.digits) == "12#"
            times_s = [at_s for at_s, _ in call.line.digits]
            waited, followed = (
                len(alice.ear.packets(since_s=one, until_s=next_one)) for one, next_one in pairwise(times_s)
            )
            assert waited > followed + 20, "a w is half a second of pause, which is 25 packets of sound"


async def test_digits_sent_to_a_dialled_phone_are_heard_there_before_the_parties_meet(server: Server) -> None:
    async with WebServer() as web, Phone("bob", user="bob") as bob:
        uri = f"sip:bob@127.0.0.1:{bob.address.port}"
        dial = twiml(f'<Dial><Sip sendDigits="w12#">{uri}</Sip></Dial>')
        await answers(server, OFFICE, web.on("/dial", reply(dial)))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            met = next(packet.at_s for packet, heard in bob.ear.heard() if "alice" in heard)
            assert bob.call_now is not None
            keys = bob.call_now.line.digits
            assert "".join(digit for _, digit in keys) == "12#"
            assert keys[-1][0] < met
            assert len(bob.ear.packets(until_s=keys[0][0])) > 20, "the w comes before the first key"


async def test_a_key_told_by_event_and_by_info_is_one_key(server: Server) -> None:
    async with WebServer() as web:
        web.on("/chosen", reply(twiml('<Pause length="60"/>')))
        menu = web.on("/menu", reply(twiml('<Gather action="/chosen" numDigits="4" timeout="30"/>')))
        await answers(server, OFFICE, menu)
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            await web.came(1)
            call.press("1")
            call.tell("1")
            call.tell("#")
            await web.came(2)
            (chosen,) = web.asked("/chosen")
            assert chosen.form["Digits"] == "1"
            await call.hang_up()


async def test_a_phone_without_events_hears_and_presses_keys_as_tones(server: Server) -> None:
    five = Chord(name="5", tones_hz=(770.0, 1336.0))
    async with WebServer() as web:
        menu = '<Play digits="w5w5"/><Gather action="/chosen" numDigits="3" timeout="30"/>'
        web.on("/chosen", reply(twiml('<Pause length="60"/>')))
        await answers(server, OFFICE, web.on("/menu", reply(twiml(menu))))
        async with Phone("alice", server=server.sip, sounds=[five], events=False) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            async with asyncio.timeout(20):
                while sum(interval.heard == {"5"} for interval in alice.ear.intervals()) < 2:  # noqa: ASYNC110
                    await asyncio.sleep(0.02)
            await alice.hears("silence")
            await asyncio.sleep(0.2)
            call.press("17#")
            await web.came(2)
            (chosen,) = web.asked("/chosen")
            assert chosen.form["Digits"] + chosen.form["FinishedOnKey"] == "17#"
            assert call.line.digits == []
            await call.hang_up()
