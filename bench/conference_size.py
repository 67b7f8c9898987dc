"""Measure what one hold costs in conferences of 2 to 250, and how long it takes to be heard there.

Decision, bytes to the media process, journal and routing are measured on the engine's state and the arrays of the
media process by themselves, without sockets: a hold and a resume of one participant, many times. The bar of a size is
three times the figure of a conference of 10. What is heard, and what the holds service stores, is measured on a server
with that many phones, which in the end are all redirected into another conference.
"""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from rich.console import Console

from bench.crowd import open_crowd
from bench.figures import Figure, percentiles
from bench.hold_latency import by_holds, by_rest, rounds
from bench.requests import redirect_all
from bench.room import NUMBER, Room, conference_document, open_room
from holdfast.testing.world import World, twiml
from holdfast.voice.control.serialization import entries_of, snapshots
from holdfast.voice.media.tick import MixEngine
from holdfast.voice.media_process.control_link.packing import pack
from holdfast.voice.media_process.legs.seating import Seating
from holdfast.voice.model.commands import ChangeParticipant
from holdfast.voice.model.effects import DetectSpeech, DropUnheard, RouteAudio
from holdfast.voice.model.ids import RoomSid

SIZES = (2, 10, 50, 100, 250)
ROWS = 500
TIMES = 3
STORE_BAR_BYTES = 8000
SERVER_ROWS = 260
REDIRECTS_BAR_S = 5
PAGE = "https://app.example/room"


@dataclass(slots=True)
class Costs:
    """What holds and resumes cost in one conference, each. Units: seconds, bytes."""

    decision_s: list[float] = field(default_factory=list)
    journal_s: list[float] = field(default_factory=list)
    media_s: list[float] = field(default_factory=list)
    wire: int = 0
    stored: int = 0


def costs(size: int, *, holds: int) -> Costs:
    """Hold and resume one participant of a conference of this size."""
    world = World(pages={PAGE: twiml("<Dial><Conference>bench</Conference></Dial>")})
    calls = [world.calls_in(f"phone-{number}", PAGE) for number in range(size)]
    mix_engine, rows = MixEngine(rows=ROWS, clip_frames=10), {str(call): row for row, call in enumerate(calls)}
    seating = Seating(mix_engine.seats, rows)
    for row in rows.values():
        mix_engine.open(row, ssrc=row, sequence=0, timestamp=0)
    room = next(iter(world.state.rooms))
    seating.route(RouteAudio(room=room, seats=tuple(seat for _, seat in world.seats.values())))
    found = Costs()
    for number in range(2 * holds):
        _change(world, seating, mix_engine, found, room=room, hold=number % 2 == 0)
    return found


def _change(world: World, seating: Seating, mix_engine: MixEngine, found: Costs, *, room: RoomSid, hold: bool) -> None:
    call = world.state.rooms[room].participants[-1].call
    began = time.perf_counter()
    step = world.state.apply(ChangeParticipant(room=room, call=call, hold=hold), world.now)
    decided = time.perf_counter()
    entries, states = list(entries_of(step, world.now)), list(snapshots(step))
    written = time.perf_counter()
    audio = [each for each in step.effects if isinstance(each, RouteAudio | DropUnheard | DetectSpeech)]
    found.wire = max(found.wire, sum(len(pack(each)) for each in audio))
    found.stored = max(found.stored, sum(len(each.data) for each in entries) + sum(len(each.data) for each in states))
    routed = time.perf_counter()
    for each in audio:
        if isinstance(each, RouteAudio):
            seating.route(each)
            mix_engine.reroute()
    mix_engine.routing(ROWS)
    found.decision_s.append(decided - began)
    found.journal_s.append(written - decided)
    found.media_s.append(time.perf_counter() - routed)


def median_ms(seconds: Sequence[float]) -> float:
    """Return the median of some times. Units: seconds in, ms out."""
    return round(sorted(seconds)[len(seconds) // 2] * 1000, 3)


async def measure(console: Console, *, holds: int = 200, heard: int = 30, sizes: Sequence[int] = SIZES) -> list[Figure]:
    """Measure every size, 10 among them; a cost is the median of its holds and resumes."""
    console.print(f"{holds} holds in conferences of {', '.join(map(str, sizes))} …")
    by_size = {size: costs(size, holds=holds) for size in sizes}
    ten = by_size[10]
    figures: list[Figure] = []
    for size, found in by_size.items():
        what = f"hold in a conference of {size}"
        timed = (
            ("decision", found.decision_s, ten.decision_s),
            ("journal", found.journal_s, ten.journal_s),
            ("routing in the media process", found.media_s, ten.media_s),
        )
        for part, seconds, of_ten in timed:
            bar = round(TIMES * median_ms(of_ten), 3)
            figures.append(Figure(what=f"{what}: {part}", value=1000 * median_ms(seconds), unit="µs", bar=1000 * bar))
        figures.append(
            Figure(what=f"{what}: to the media process", value=found.wire, unit="bytes", bar=TIMES * ten.wire)
        )
    console.print(f"{heard} holds in each, heard by phones …")
    return [*figures, *await _heard({size: found.stored for size, found in by_size.items()}, holds=heard)]


async def _heard(stored_by_engine: Mapping[int, int], *, holds: int) -> list[Figure]:
    """Measure holds on a server whose conference grows, and at its largest a redirect of all who are in it."""
    figures: list[Figure] = []
    async with open_room(rows=SERVER_ROWS) as room, open_crowd(room.server.sip) as crowd:
        inside = 2
        for size, stored in stored_by_engine.items():
            what = f"hold in a conference of {size}"
            await crowd.call(NUMBER, size - inside)
            inside = size
            room.rest.close()  # idle since the last size, so that the server may have closed it; it opens by itself
            held, _ = await rounds(room, holds, *by_rest(room))
            figures += percentiles(f"{what}: asked by REST → first packet of the music", held, p50_ms=20, p99_ms=45)
            figures.append(
                Figure(
                    what=f"{what}: to the store",
                    value=stored + await _stored_by_service(room),
                    unit="bytes",
                    bar=STORE_BAR_BYTES,
                    note=f"{stored} of them by the engine",
                )
            )
        participants = room.server.sdk().conferences(room.conference_sid).participants
        calls = [str(each.call_sid) for each in await asyncio.to_thread(participants.list)]
        seconds = await redirect_all(room.server, calls, conference_document("other"))
        await asyncio.gather(room.customer.hears("bob"), room.agent.hears("alice"))
    what = f"{len(calls)} redirects by REST into another conference"
    return [*figures, Figure(what=what, value=seconds, unit="s", bar=REDIRECTS_BAR_S)]


async def _stored_by_service(room: Room) -> int:
    """Hold through the holds API, and return how many bytes the service wrote: its row with each event, and those."""
    hold, resume = by_holds(room)
    await hold()
    with closing(sqlite3.connect(f"file:{room.server.store}?mode=ro", uri=True)) as store:
        (record,) = store.execute("SELECT record FROM holds ORDER BY asked_at DESC LIMIT 1").fetchone()
        events = store.execute("SELECT * FROM hold_events WHERE hold = ?", (json.loads(record)["id"],)).fetchall()
    await resume()
    return sum(len(record) + len(json.dumps(event)) for event in events)
