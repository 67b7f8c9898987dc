"""Measure how long a hold, and a resume, takes to be heard, by REST and through the holds API."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from rich.console import Console

from bench.figures import Figure, percentiles
from bench.room import AGENT, MUSIC, Room, first_packet, open_room, pause
from holdfast.testing.signals import FRAME_S

WARM_UP = 3
Ask = Callable[[], Awaitable[float]]
"""A function that sends a request; it returns when the request was sent, in seconds."""


async def measure(console: Console, *, holds: int) -> list[Figure]:
    """Hold and resume so many times each way."""
    async with open_room() as room:
        console.print(f"{holds} holds and resumes by REST …")
        held, resumed = await rounds(room, holds, *by_rest(room))
        console.print(f"{holds} holds and resumes through POST /holds …")
        held_too, resumed_too = await rounds(room, holds, *by_holds(room))
    floor = [
        Figure(
            what="the tick's own floor, mean", value=FRAME_S / 2 * 1000, unit="ms", note="a request meets any phase"
        ),
        Figure(what="the tick's own floor, longest", value=FRAME_S * 1000, unit="ms"),
    ]
    return [
        *floor,
        *percentiles("hold by REST → first packet of the music", held, p50_ms=20, p99_ms=45),
        *percentiles("resume by REST → first packet of the other party", resumed, p50_ms=20, p99_ms=45),
        *percentiles("hold by POST /holds → first packet of the music", held_too, p50_ms=40, p99_ms=90),
        *percentiles("resume by POST /holds → the other party", resumed_too, p50_ms=40, p99_ms=90),
    ]


async def rounds(room: Room, number: int, hold: Ask, resume: Ask) -> tuple[list[float], list[float]]:
    """Hold and resume so many times; return how long each took to be heard. Units: seconds."""
    held: list[float] = []
    resumed: list[float] = []
    ear = room.customer.ear
    for each in range(WARM_UP + number):
        await pause()
        sent_s = await hold()
        held_s = await first_packet(ear, MUSIC, since_s=sent_s) - sent_s
        await pause()
        sent_s = await resume()
        resumed_s = await first_packet(ear, {AGENT}, since_s=sent_s) - sent_s
        if each >= WARM_UP:
            held.append(held_s)
            resumed.append(resumed_s)
    return held, resumed


def by_rest(room: Room) -> tuple[Ask, Ask]:
    """Return what holds, and what resumes, by an update of the participant."""

    async def hold() -> float:
        sent_s, _ = await room.rest.post_form(room.participant, Hold="true", HoldUrl=room.music_url, HoldMethod="GET")
        return sent_s

    async def resume() -> float:
        sent_s, _ = await room.rest.post_form(room.participant, Hold="false")
        return sent_s

    return hold, resume


def by_holds(room: Room) -> tuple[Ask, Ask]:
    """Return what holds, and what resumes, through the holds API."""
    current: list[str] = []

    async def hold() -> float:
        sent_s, made = await room.rest.post_json("/holds", {"call": room.customer_sid, "music": room.music_url})
        current.append(str(made["id"]))
        return sent_s

    async def resume() -> float:
        sent_s, _ = await room.rest.post_json(f"/holds/{current.pop()}/resume", {})
        return sent_s

    return hold, resume
