"""Requests above the rate are refused, and calls wait to be placed, as on Twilio, if the settings say so."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from holdfast.voice.api.app import make_api
from holdfast.voice.api.entry import request_bucket
from holdfast.voice.api.errors import BacklogFull
from holdfast.voice.api.rate_limit import MAX_WAIT_S, CallPacing
from holdfast.voice.model.commands import CreateCall
from tests.conformance.engine import (
    ACCOUNT,
    OURS,
    TOKEN,
    VOICE_URL,
    Engine,
    KeptWebEffects,
    new_messages,
    new_notifications,
    open_directory,
)
from tests.conformance.rest_client import BASE, BASIC, FORM, MemoryJournal, asgi_request

PATH = BASE.removeprefix("/2010-04-01") + "/Calls.json"


def test_a_bucket_holds_one_seconds_requests_and_at_least_one() -> None:
    now = 0.0
    bucket, slow = request_bucket(3), request_bucket(0.5)
    assert [bucket.consume(ACCOUNT, now) for _ in range(4)] == [True, True, True, False]
    assert [slow.consume(ACCOUNT, now) for _ in range(2)] == [True, False]
    now = 1 / 3
    assert [bucket.consume(ACCOUNT, now) for _ in range(2)] == [True, False]
    now = 2.0
    assert [slow.consume(ACCOUNT, now) for _ in range(2)] == [True, False]
    now = 100.0
    assert [bucket.consume(ACCOUNT, now) for _ in range(4)] == [True, True, True, False]


async def test_requests_above_the_rate_are_429_until_time_has_passed() -> None:
    engine = Engine()
    app = make_api(
        switch=engine,
        directory=await open_directory(),
        notifications=new_notifications(engine),
        messages=await new_messages(KeptWebEffects(new_notifications(engine))),
        journal=MemoryJournal(),
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        requests_per_s=2,
    )
    headers = [(b"authorization", BASIC.encode())]

    async def request(headers: list[tuple[bytes, bytes]]) -> int:
        reply = await asgi_request(app, "GET", PATH, query="", headers=headers, chunks=[b""])
        if reply.status == 429:
            assert (reply.code, reply.headers["retry-after"]) == (20429, "1")
        return reply.status

    assert [await request([]) for _ in range(5)] == [401] * 5
    assert [await request(headers) for _ in range(3)] == [200, 200, 429]
    engine.clock += 0.5
    assert [await request(headers) for _ in range(2)] == [200, 429]


def test_calls_are_placed_in_order_and_at_most_a_day_ahead() -> None:
    now = 0.0
    turns = CallPacing(per_s=2, now=lambda: now)
    assert [turns.reserve() for _ in range(3)] == [0.0, 0.5, 1.0]
    now = 1.25
    assert turns.reserve() == 0.25
    now = 10.0
    assert [turns.reserve() for _ in range(2)] == [0.0, 0.5]
    rare = CallPacing(per_s=1 / 1000, now=lambda: now)
    assert [rare.reserve() for _ in range(87)][-1] == 86_000.0 <= MAX_WAIT_S
    with pytest.raises(BacklogFull, match="87 calls wait"):
        rare.reserve()
    daily = CallPacing(per_s=1 / MAX_WAIT_S, now=lambda: 0.0)
    assert [daily.reserve() for _ in range(2)] == [0.0, MAX_WAIT_S]


def test_without_a_rate_no_call_waits() -> None:
    turns = CallPacing(per_s=None, now=lambda: 0.0)
    assert [turns.reserve() for _ in range(3)] == [0.0, 0.0, 0.0]


async def test_calls_and_participants_share_one_rate() -> None:
    """`queue_time` is the wait. Units: milliseconds. Source: Twilio API, Call resource."""
    engine = Engine()
    app = make_api(
        switch=engine,
        directory=await open_directory(),
        notifications=new_notifications(engine),
        messages=await new_messages(KeptWebEffects(new_notifications(engine))),
        journal=MemoryJournal(),
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        calls_per_s=1 / 50_000,
    )
    headers = [(b"authorization", BASIC.encode()), (b"content-type", FORM.encode())]

    async def request(path: str, form: dict[str, str]) -> tuple[int, object]:
        body = urlencode(form).encode()
        where = BASE.removeprefix("/2010-04-01") + path
        reply = await asgi_request(app, "POST", where, query="", headers=headers, chunks=[body])
        return reply.status, reply.json["queue_time"] if reply.status == 201 else reply.code

    call = {"To": "client:bob", "From": OURS, "Url": VOICE_URL}
    assert await request("/Calls.json", call | {"Timeout": "never"}) == (400, 21208)
    assert await request("/Calls.json", call) == (201, "0")
    engine.clock += 30_000
    assert await request("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS}) == (
        201,
        "20000000",
    )
    assert await request("/Calls.json", call) == (201, "70000000")
    assert await request("/Calls.json", call) == (429, 22005)
    placed = [command.wait_s for command in engine.commands if isinstance(command, CreateCall)]
    assert placed == [0.0, 20_000.0, 70_000.0]
