"""Two full conferences on real sockets: callers move from one into another, and each phone hears what it should."""

from __future__ import annotations

import asyncio

import pytest
from twilio.rest import Client

from bench.crowd import open_crowd
from bench.requests import redirect_all
from bench.room import conference_document
from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server

pytestmark = pytest.mark.anyio

FIRST, SECOND = "+15550101", "+15550102"
ROWS = 520


async def test_callers_move_between_full_conferences_and_each_phone_hears_its_own() -> None:
    with FileServer() as files:
        numbers = {FIRST: files.put("first", conference_document("first"))}
        numbers |= {SECOND: files.put("second", conference_document("second"))}
        async with (
            Server(numbers=numbers, settings={"rtp_rows": ROWS}) as server,
            Phone("alice", server=server.sip) as alice,
            Phone("bob", server=server.sip) as bob,
            Phone("carol", server=server.sip) as carol,
            open_crowd(server.sip) as crowd,
        ):
            for phone, number in ((alice, FIRST), (carol, FIRST), (bob, SECOND)):
                await (await phone.call(number)).answered()
            first, second = await crowd.call(FIRST, 248), await crowd.call(SECOND, 248)
            await asyncio.gather(crowd.hear(first, "alice", "carol"), crowd.hear(second, "bob"))

            inside = await asyncio.to_thread(participants, server.sdk())
            assert {name: len(calls) for name, calls in inside.items()} == {"first": 250, "second": 249}
            (moving,) = (each.sid for each in server.sdk().calls.list() if "carol" in str(each._from))

            await redirect_all(server, [moving], conference_document("second"))
            await asyncio.gather(carol.hears("bob"), bob.hears("carol"), alice.hears("silence"))
            await asyncio.gather(crowd.hear(first, "alice"), crowd.hear(second, "bob", "carol"))

            await redirect_all(server, inside["first"], conference_document("third"))
            await asyncio.gather(carol.hears("alice"), alice.hears("carol"), bob.hears("silence"))
            await asyncio.gather(crowd.hear(first, "alice", "carol"), crowd.hear(second, "bob"))

            moved = await asyncio.to_thread(participants, server.sdk())
            assert set(moved["third"]) == set(inside["first"])
            assert {name: len(calls) for name, calls in moved.items()} == {"third": 250, "second": 249}
            assert "the media process is away" not in server.log()


def participants(account: Client) -> dict[str, list[str]]:
    """Return the calls in each active conference, by its name."""
    active = account.conferences.list(status="in-progress")
    return {str(each.friendly_name): [str(one.call_sid) for one in each.participants.list()] for each in active}
