"""Requests that come too fast are refused as Twilio refuses them, when the setting says so."""

from __future__ import annotations

from holdfast.voice.api.app import make_api
from holdfast.voice.api.pacing import Bucket
from tests.conformance.asking import BASE, BASIC, Diary, over_asgi
from tests.conformance.engine import ACCOUNT, TOKEN, Engine, new_notifications, open_directory

PATH = BASE.removeprefix("/2010-04-01") + "/Calls.json"


def test_a_bucket_holds_one_seconds_requests_and_at_least_one() -> None:
    now = 0.0
    bucket, slow = Bucket(per_s=3, now=lambda: now), Bucket(per_s=0.5, now=lambda: now)
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]
    assert [slow.take() for _ in range(2)] == [True, False]
    now = 1 / 3
    assert [bucket.take() for _ in range(2)] == [True, False]
    now = 2.0
    assert [slow.take() for _ in range(2)] == [True, False]
    now = 100.0
    assert [bucket.take() for _ in range(4)] == [True, True, True, False]


async def test_what_comes_too_fast_is_429_until_time_has_passed() -> None:
    engine = Engine()
    app = make_api(
        switch=engine,
        directory=await open_directory(),
        notifications=new_notifications(engine),
        journal=Diary(),
        account_sid=ACCOUNT,
        auth_token=TOKEN,
        requests_per_s=2,
    )
    headers = [(b"authorization", BASIC.encode())]

    async def ask(headers: list[tuple[bytes, bytes]]) -> int:
        reply = await over_asgi(app, "GET", PATH, query="", headers=headers, chunks=[b""])
        if reply.status == 429:
            assert (reply.code, reply.headers["retry-after"]) == (20429, "1")
        return reply.status

    assert [await ask([]) for _ in range(5)] == [401] * 5
    assert [await ask(headers) for _ in range(3)] == [200, 200, 429]
    engine.clock += 0.5
    assert [await ask(headers) for _ in range(2)] == [200, 429]
