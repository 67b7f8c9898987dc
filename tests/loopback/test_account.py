"""The client of the account handles responses that are slow, wrong, or missing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable

import pytest

from holdfast.holds.account.client import Account
from holdfast.holds.errors import (
    AccountError,
    AccountRefused,
    AccountUnreachable,
    OutcomeUnknown,
    ResourceNotFound,
    WrongCredentials,
)
from holdfast.holds.ids import CallSid, ConferenceSid, QueueSid
from tests.loopback.test_fetch import drip, endless, nothing, reset
from tests.loopback.web_server import Behaviour, Request, WebServer, raw, reply, to

pytestmark = pytest.mark.anyio

SID, TOKEN = "AC" + "1" * 32, "a-token"
CALL, ROOM, QUEUE = CallSid("CA" + "2" * 32), ConferenceSid("CF" + "3" * 32), QueueSid("QU" + "4" * 32)
SHORT_S, LONG_S = 0.2, 20.0
"""Methods without a response, and with one."""

READS: dict[str, Callable[[Account], Awaitable[object]]] = {
    "call": lambda account: account.call(CALL),
    "calls": lambda account: account.calls(status="in-progress"),
    "conferences": lambda account: account.conferences(),
    "participants": lambda account: account.participants(ROOM),
    "participant": lambda account: account.participant(ROOM, CALL),
    "queues": lambda account: account.queues(),
    "find queue": lambda account: account.find_queue("hold"),
    "members": lambda account: account.members(QUEUE),
    "waits": lambda account: account.is_queued(QUEUE, CALL),
}
CHANGES: dict[str, Callable[[Account], Awaitable[object]]] = {
    "hold": lambda account: account.set_hold(ROOM, CALL, hold=True, url="http://127.0.0.1:1/m"),
    "resume": lambda account: account.set_hold(ROOM, CALL, hold=False),
    "redirect": lambda account: account.redirect(CALL, twiml="<Response/>"),
    "hang up": lambda account: account.hang_up(CALL),
    "open queue": lambda account: account.open_queue("hold"),
    "close queue": lambda account: account.close_queue(QUEUE),
}
ALL = READS | CHANGES


def error_response(status: int, code: int) -> Behaviour:
    """Return an error as Twilio sends it."""
    body = json.dumps({"code": code, "message": "no", "more_info": "", "status": status})
    return reply(body, status=status, kind="application/json")


async def trouble(
    behaviour: Behaviour, work: Callable[[Account], Awaitable[object]], *, timeout_s: float = LONG_S
) -> AccountError:
    async with WebServer(otherwise=behaviour) as server:
        account = Account.engine(url=server.url(""), sid=SID, token=TOKEN, timeout_s=timeout_s)
        with pytest.raises(AccountError) as caught:
            async with asyncio.timeout(LONG_S):
                await work(account)
    return caught.value


@pytest.mark.parametrize("behaviour", [nothing, drip, endless], ids=["nothing", "drip", "endless"])
@pytest.mark.parametrize("work", ["call", "calls", "hold", "redirect"])
async def test_no_response_in_time_is_unknown_for_a_change_and_unreachable_for_a_read(
    work: str, behaviour: Behaviour
) -> None:
    expected = AccountUnreachable if work in READS else OutcomeUnknown
    assert type(await trouble(behaviour, ALL[work], timeout_s=SHORT_S)) is expected


@pytest.mark.parametrize(
    "behaviour",
    [reset, raw(b""), raw(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")],
    ids=["reset", "closed", "half"],
)
@pytest.mark.parametrize("work", ALL)
async def test_half_a_response_is_unknown_for_a_change_and_nothing_for_a_read(work: str, behaviour: Behaviour) -> None:
    expected = AccountUnreachable if work in READS else OutcomeUnknown
    assert type(await trouble(behaviour, ALL[work])) is expected


@pytest.mark.parametrize(
    "behaviour",
    [
        reply("<html>", kind="text/html"),
        reply("", kind="application/json"),
        reply("[]", kind="application/json"),
        reply("7", kind="application/json"),
        reply('{"calls": 7, "conferences": {}, "queues": [7]}', kind="application/json"),
        reply(b"\xff\xfe", kind="application/json"),
        to("http://127.0.0.1:1/elsewhere"),
    ],
    ids=["html", "empty", "list", "number", "wrong shapes", "bytes", "redirect"],
)
@pytest.mark.parametrize("work", [name for name in ALL if name not in ("waits", "close queue", "redirect", "hang up")])
async def test_an_unreadable_response_is_an_account_error(work: str, behaviour: Behaviour) -> None:
    await trouble(behaviour, ALL[work])


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (401, 20003, WrongCredentials),
        (403, 20003, WrongCredentials),
        (400, 21220, ResourceNotFound),
        (404, 20404, ResourceNotFound),
        (429, 20429, AccountRefused),
        (500, 20500, AccountRefused),
    ],
)
@pytest.mark.parametrize("work", ["hold", "redirect", "hang up", "calls", "conferences", "queues"])
async def test_errors_are_translated_by_their_meaning(
    work: str, status: int, code: int, expected: type[AccountRefused]
) -> None:
    error = await trouble(error_response(status, code), ALL[work])
    assert type(error) is expected
    assert isinstance(error, AccountRefused)
    assert (error.status, error.twilio_code) == (status, code)


async def test_an_absent_resource_is_a_valid_response_to_a_read() -> None:
    async with WebServer(otherwise=error_response(404, 20404)) as server:
        account = Account.engine(url=server.url(""), sid=SID, token=TOKEN, timeout_s=LONG_S)
        assert await account.call(CALL) is None
        assert await account.participant(ROOM, CALL) is None
        assert await account.participants(ROOM) == []
        assert await account.members(QUEUE) == []
        assert await account.is_queued(QUEUE, CALL) is False
        await account.close_queue(QUEUE)


async def test_a_port_without_a_listener_is_unreachable() -> None:
    account = Account.engine(url="http://127.0.0.1:1", sid=SID, token=TOKEN, timeout_s=LONG_S)
    for work in ALL.values():
        with pytest.raises(AccountUnreachable, match="no connection"):
            await work(account)


async def test_a_list_whose_pages_never_end_ends() -> None:
    async def again(request: Request, writer: asyncio.StreamWriter) -> None:
        calls = [{"sid": CALL, "status": "in-progress"}] if "full" in request.target else []
        body = json.dumps({"calls": calls, "next_page_uri": request.target, "page": 0, "uri": request.target})
        await reply(body, kind="application/json")(request, writer)

    async with WebServer(otherwise=again) as server:
        account = Account.engine(url=server.url(""), sid=SID, token=TOKEN, timeout_s=SHORT_S)
        with pytest.raises(AccountError):
            async with asyncio.timeout(LONG_S):
                await account.calls()
