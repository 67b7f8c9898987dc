"""Measure what a held ear receives, packet by packet: one stream through many holds, without holes or foreign bytes."""

from __future__ import annotations

from rich.console import Console

from bench.figures import Figure
from bench.idle_ticker import IdleTicker
from bench.room import AGENT, MUSIC, SILENCE, first_packet, open_room, pause
from holdfast.testing.audio.ears import Packet, foreign, stream

CYCLES = 50
GAP_BAR_MS = 40.0


def cycles(holds: int) -> int:
    """Return how many holds are inspected when so many are timed: 50 to 100."""
    return max(CYCLES, min(holds, 2 * CYCLES))


async def measure(console: Console, *, cycles: int) -> list[Figure]:
    """Hold and resume, and inspect every packet that reached the customer."""
    console.print(f"{cycles} holds and resumes, every packet inspected …")
    held: list[Packet] = []
    with IdleTicker() as idle:
        async with open_room() as room:
            ear, began_s = room.customer.ear, room.customer.ear.packets()[-1].at_s
            for _ in range(cycles):
                sent_s, _ = await room.rest.post_form(
                    room.participant, Hold="true", HoldUrl=room.music_url, HoldMethod="GET"
                )
                music_s = await first_packet(ear, MUSIC, since_s=sent_s)
                await pause()
                sent_s, _ = await room.rest.post_form(room.participant, Hold="false")
                held += ear.packets(since_s=music_s, until_s=sent_s)
                await first_packet(ear, {AGENT}, since_s=sent_s)
                await pause()
            whole = stream(ear.packets(since_s=began_s))
    stall_ms = idle.longest_stall_s * 1000
    return [
        Figure(
            what="packets with foreign bytes at the held ear",
            value=len(foreign(held, MUSIC | {SILENCE})),
            unit="",
            bar=0,
            note=f"{len(held)} packets in {cycles} holds",
        ),
        Figure(what="SSRCs", value=whole.sources, unit="", bar=1, note=f"{whole.packets} packets, held or not"),
        Figure(what="holes in the sequence", value=whole.holes, unit="", bar=0),
        Figure(what="the longest stall of an idle ticker in this run", value=stall_ms, unit="ms"),
        Figure(
            what="the longest gap between two packets",
            value=whole.longest_gap_s * 1000,
            unit="ms",
            bar=GAP_BAR_MS + stall_ms,
        ),
    ]
