"""What the client of the account asks for, request by request, and what it reads from each response."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from twilio.http.response import Response

from holdfast.holds.account.client import Account
from holdfast.holds.account.snapshots import (
    AudioQualitySnapshot,
    CallSnapshot,
    ConferenceSnapshot,
    ParticipantSnapshot,
    PhoneHoldSnapshot,
)
from holdfast.holds.account.transport import Transport
from holdfast.holds.errors import AccountError, AccountRefused, BadInput, ResourceNotFound, WrongCredentials
from holdfast.holds.ids import CallSid, ConferenceSid, QueueSid

pytestmark = pytest.mark.anyio

SID, TOKEN, URL = "AC" + "1" * 32, "a-token", "http://127.0.0.1:9"
CALL, OTHER = CallSid("CA" + "2" * 32), CallSid("CA" + "3" * 32)
ROOM, QUEUE = ConferenceSid("CF" + "3" * 32), QueueSid("QU" + "4" * 32)
BASE = f"/2010-04-01/Accounts/{SID}"
A_CALL = {
    "sid": CALL,
    "status": "in-progress",
    "parent_call_sid": OTHER,
    "from": "+1",
    "to": "+2",
    "direction": "inbound",
}
A_PARTICIPANT = {
    "call_sid": CALL,
    "conference_sid": ROOM,
    "account_sid": SID,
    "hold": True,
    "muted": False,
    "coaching": True,
    "call_sid_to_coach": OTHER,
    "label": "customer",
    "status": "connected",
}


class Wire:
    """A wire records the requests, and responds as it was told."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, str, dict[str, Any]]] = []
        self.responses: list[tuple[int, object]] = []

    async def request(
        self,
        method: str,
        uri: str,
        params: dict[str, Any] | None = None,
        data: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        **_: object,
    ) -> Response:
        assert auth == (SID, TOKEN)
        assert uri.startswith(URL)
        values = {name: value for name, value in {**(params or {}), **(data or {})}.items() if value is not None}
        self.requests.append((method.upper(), urlsplit(uri).path, values))
        status, body = self.responses.pop(0)
        return Response(status, body if isinstance(body, str) else json.dumps(body))


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Wire:
    wire = Wire()

    async def request(_: Transport, *arguments: Any, **named: Any) -> Response:
        return await wire.request(*arguments, **named)

    monkeypatch.setattr(Transport, "request", request)
    return wire


@pytest.fixture
def account() -> Account:
    return Account.engine(url=URL, sid=SID, token=TOKEN)


def page(name: str, *rows: object) -> dict[str, object]:
    return {name: list(rows), "page": 0, "page_size": 500, "next_page_uri": None, "uri": "", "start": 0, "end": 0}


LIST = {"PageSize": 500}
SEEN = ParticipantSnapshot(call=CALL, conference=ROOM, hold=True, coaches=OTHER, label="customer")

Work = Callable[[Account], Awaitable[object]]


@pytest.mark.parametrize(
    ("work", "request_", "response", "result"),
    [
        (
            lambda account: account.call(CALL),
            ("GET", f"{BASE}/Calls/{CALL}.json", {}),
            A_CALL,
            CallSnapshot(sid=CALL, status="in-progress", parent=OTHER, from_="+1", to="+2", direction="inbound"),
        ),
        (
            lambda account: account.call(CALL),
            ("GET", f"{BASE}/Calls/{CALL}.json", {}),
            {"sid": CALL, "status": "ringing", "parent_call_sid": ""},
            CallSnapshot(sid=CALL, status="ringing"),
        ),
        (
            lambda account: account.calls(status="ringing"),
            ("GET", f"{BASE}/Calls.json", {"Status": "ringing", **LIST}),
            page("calls", {"sid": CALL, "status": "ringing"}, {"sid": OTHER, "status": "ringing"}),
            [CallSnapshot(sid=CALL, status="ringing"), CallSnapshot(sid=OTHER, status="ringing")],
        ),
        (
            lambda account: account.calls(parent=OTHER),
            ("GET", f"{BASE}/Calls.json", {"ParentCallSid": OTHER, **LIST}),
            page("calls"),
            [],
        ),
        (lambda account: account.calls(), ("GET", f"{BASE}/Calls.json", LIST), page("calls"), []),
        (
            lambda account: account.participants(ROOM),
            ("GET", f"{BASE}/Conferences/{ROOM}/Participants.json", LIST),
            page("participants", A_PARTICIPANT),
            [SEEN],
        ),
        (
            lambda account: account.participant(ROOM, CALL),
            ("GET", f"{BASE}/Conferences/{ROOM}/Participants/{CALL}.json", {}),
            {**A_PARTICIPANT, "coaching": False, "muted": True, "hold": False, "status": None},
            ParticipantSnapshot(call=CALL, conference=ROOM, hold=False, muted=True, label="customer"),
        ),
        (
            lambda account: account.participant(ROOM, CALL),
            ("GET", f"{BASE}/Conferences/{ROOM}/Participants/{CALL}.json", {}),
            {**A_PARTICIPANT, "call_sid_to_coach": "", "status": "ringing"},
            ParticipantSnapshot(call=CALL, conference=ROOM, hold=True, label="customer", status="ringing"),
        ),
        (
            lambda account: account.queues(),
            ("GET", f"{BASE}/Queues.json", LIST),
            page(
                "queues",
                {"sid": QUEUE, "friendly_name": "hold", "current_size": 1},
                {"sid": QUEUE, "friendly_name": None, "current_size": 2},
                {"sid": QUEUE, "friendly_name": "empty", "current_size": 0},
            ),
            [(QUEUE, "hold"), (QUEUE, "")],
        ),
        (
            lambda account: account.find_queue("hold"),
            ("GET", f"{BASE}/Queues.json", LIST),
            page(
                "queues", {"sid": "QU" + "5" * 32, "friendly_name": "another"}, {"sid": QUEUE, "friendly_name": "hold"}
            ),
            QUEUE,
        ),
        (
            lambda account: account.find_queue("hold"),
            ("GET", f"{BASE}/Queues.json", LIST),
            page("queues", {"sid": QUEUE, "friendly_name": "another"}),
            None,
        ),
        (
            lambda account: account.members(QUEUE),
            ("GET", f"{BASE}/Queues/{QUEUE}/Members.json", LIST),
            page("queue_members", {"call_sid": CALL}, {"call_sid": OTHER}),
            [CALL, OTHER],
        ),
        (
            lambda account: account.is_queued(QUEUE, CALL),
            ("GET", f"{BASE}/Queues/{QUEUE}/Members/{CALL}.json", {}),
            {"call_sid": CALL},
            True,
        ),
        (
            lambda account: account.set_hold(ROOM, CALL, hold=True),
            ("POST", f"{BASE}/Conferences/{ROOM}/Participants/{CALL}.json", {"Hold": "true"}),
            A_PARTICIPANT,
            SEEN,
        ),
        (
            lambda account: account.set_hold(ROOM, CALL, hold=True, url="https://x/m"),
            (
                "POST",
                f"{BASE}/Conferences/{ROOM}/Participants/{CALL}.json",
                {"Hold": "true", "HoldUrl": "https://x/m", "HoldMethod": "GET"},
            ),
            A_PARTICIPANT,
            SEEN,
        ),
        (
            lambda account: account.set_hold(ROOM, CALL, hold=False, url="https://x/m"),
            ("POST", f"{BASE}/Conferences/{ROOM}/Participants/{CALL}.json", {"Hold": "false"}),
            A_PARTICIPANT,
            SEEN,
        ),
        (
            lambda account: account.redirect(CALL, twiml="<Response/>"),
            ("POST", f"{BASE}/Calls/{CALL}.json", {"Twiml": "<Response/>"}),
            A_CALL,
            None,
        ),
        (
            lambda account: account.hang_up(CALL),
            ("POST", f"{BASE}/Calls/{CALL}.json", {"Status": "completed"}),
            A_CALL,
            None,
        ),
        (
            lambda account: account.open_queue("hold"),
            ("POST", f"{BASE}/Queues.json", {"FriendlyName": "hold"}),
            {"sid": QUEUE},
            QUEUE,
        ),
        (
            lambda account: account.close_queue(QUEUE),
            ("DELETE", f"{BASE}/Queues/{QUEUE}.json", {}),
            "",
            None,
        ),
        (
            lambda account: account.phone_holds(),
            ("GET", "/engine/phone-holds", {}),
            {"holds": [{"call": CALL, "since": 7}]},
            [PhoneHoldSnapshot(call=CALL, since=7.0)],
        ),
        (
            lambda account: account.audio_quality(),
            ("GET", "/engine/quality", {}),
            {
                "calls": [
                    {"call": CALL, "mos": 4, "packets_lost": 1, "packets_received": 3, "jitter_ms": 2},
                    {"call": OTHER, "mos": None, "packets_lost": 0, "packets_received": 0, "jitter_ms": 0},
                ]
            },
            [
                AudioQualitySnapshot(call=CALL, mos=4.0, loss=0.25, jitter_ms=2.0),
                AudioQualitySnapshot(call=OTHER, mos=None, loss=0.0, jitter_ms=0.0),
            ],
        ),
    ],
)
async def test_one_method_is_one_request(
    wire: Wire,
    account: Account,
    work: Work,
    request_: tuple[str, str, dict[str, Any]],
    response: object,
    result: object,
) -> None:
    wire.responses = [(204 if request_[0] == "DELETE" else 200, response)]
    assert await work(account) == result
    assert wire.requests == [request_]


async def test_running_conferences_are_read_last_and_shown_once(wire: Wire, account: Account) -> None:
    second = "CF" + "6" * 32
    wire.responses = [
        (
            200,
            page(
                "conferences", {"sid": ROOM, "friendly_name": "a", "status": "init"}, {"sid": second, "status": "init"}
            ),
        ),
        (
            200,
            page(
                "conferences",
                {"sid": ROOM, "friendly_name": "a", "status": "in-progress"},
                {"sid": "CF" + "7" * 32, "friendly_name": "b", "status": "completed"},
            ),
        ),
    ]
    assert await account.conferences() == [
        ConferenceSnapshot(sid=ROOM, name="a", status="in-progress"),
        ConferenceSnapshot(sid=ConferenceSid(second), name="", status="init"),
    ]
    path = f"{BASE}/Conferences.json"
    assert wire.requests == [("GET", path, {"Status": status, **LIST}) for status in ("init", "in-progress")]


@pytest.mark.parametrize(
    ("work", "result"),
    [
        (lambda account: account.call(CALL), None),
        (lambda account: account.participants(ROOM), []),
        (lambda account: account.participant(ROOM, CALL), None),
        (lambda account: account.members(QUEUE), []),
        (lambda account: account.is_queued(QUEUE, CALL), False),
        (lambda account: account.close_queue(QUEUE), None),
    ],
)
async def test_a_resource_that_does_not_exist_is_nothing(
    wire: Wire, account: Account, work: Work, result: object
) -> None:
    wire.responses = [(404, {"code": 20404, "message": "not found", "status": 404})]
    assert await work(account) == result


@pytest.mark.parametrize(
    ("status", "code", "error"),
    [
        (404, None, ResourceNotFound),
        (400, 21220, ResourceNotFound),
        (400, 20404, ResourceNotFound),
        (401, 20003, WrongCredentials),
        (403, None, WrongCredentials),
        (429, 20429, AccountRefused),
        (500, None, AccountRefused),
    ],
)
async def test_a_refusal_is_told_by_its_status_and_code(
    wire: Wire, account: Account, status: int, code: int | None, error: type[AccountRefused]
) -> None:
    wire.responses = [(status, {"code": code, "message": "the reason", "status": status})]
    with pytest.raises(AccountRefused) as caught:
        await account.hang_up(CALL)
    found = caught.value
    assert (type(found), found.status, found.twilio_code) == (error, status, code)
    assert "the reason" in found.message
    assert found.message.startswith("the account refused: ")
    assert found.message.endswith(f"(HTTP {status}, code {code})" if code else f"(HTTP {status})")
    help_ = "Check TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN; `holdfast account` prints the engine's."
    assert found.fix == (help_ if error is WrongCredentials else None)


@pytest.mark.parametrize("body", ["{", "[]", '{"code": "x"}', ""])
async def test_a_list_that_is_refused_without_a_reason_says_so(wire: Wire, account: Account, body: str) -> None:
    wire.responses = [(500, body)]
    with pytest.raises(AccountRefused) as caught:
        await account.calls()
    assert caught.value.message == "the account refused: it gave no reason (HTTP 500)"
    assert (caught.value.status, caught.value.twilio_code) == (500, None)


async def test_a_queue_that_exists_is_found_by_its_name(wire: Wire, account: Account) -> None:
    exists = (400, {"code": 22003, "message": "exists", "status": 400})
    wire.responses = [exists, (200, page("queues", {"sid": QUEUE, "friendly_name": "hold"}))]
    assert await account.open_queue("hold") == QUEUE
    wire.responses = [exists, (200, page("queues"))]
    with pytest.raises(AccountRefused, match="exists"):
        await account.open_queue("hold")
    for status, error in ((401, WrongCredentials), (404, ResourceNotFound)):
        wire.responses = [(status, {"code": None, "message": "no", "status": status})]
        with pytest.raises(error):
            await account.open_queue("hold")
    assert len(wire.requests) == 6


async def test_a_response_without_a_sid_cannot_be_read(wire: Wire, account: Account) -> None:
    for work in (lambda: account.call(CALL), lambda: account.open_queue("hold")):
        wire.responses = [(200, {"sid": None, "status": "ringing"})]
        with pytest.raises(AccountError) as caught:
            await work()
        assert caught.value.message == "the account's response lacks a SID"


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"holds": [{}]}', '{"holds": [{"call": "CA", "since": "x"}]}'])
async def test_a_report_of_the_engine_that_cannot_be_read_is_an_error(wire: Wire, account: Account, body: str) -> None:
    wire.responses = [(200, body)]
    with pytest.raises(AccountError, match="the engine's response cannot be read"):
        await account.phone_holds()


async def test_data_that_another_account_does_not_report_is_asked_once(wire: Wire, account: Account) -> None:
    wire.responses = [(404, "not here"), (404, "not here")]
    for _ in range(2):
        assert await account.phone_holds() == []
        assert await account.audio_quality() == []
    assert [path for _, path, _ in wire.requests] == ["/engine/phone-holds", "/engine/quality"]


async def test_the_cloud_is_not_asked_for_data_that_only_the_engine_reports(wire: Wire) -> None:
    for url in ("https://api.twilio.com", "https://api.ie1.twilio.com", "https://twilio.com"):
        cloud = Account.engine(url=url, sid=SID, token=TOKEN)
        assert await cloud.phone_holds() == []
    assert wire.requests == []


@pytest.mark.parametrize(
    ("url", "private"),
    [
        ("https://holds.example.com", False),
        ("https://8.8.8.8/x", False),
        ("https://[2606:4700::1]/", False),
        ("http://localhost:8080", True),
        ("http://a.localhost", True),
        ("http://printer.local", True),
        ("http://intranet", True),
        ("http://10.0.0.1", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:80", True),
    ],
)
def test_the_cloud_reaches_public_hosts_and_an_engine_all(account: Account, url: str, private: bool) -> None:
    cloud = Account.engine(url="https://api.twilio.com", sid=SID, token=TOKEN)
    assert cloud.can_reach(url) is not private
    assert account.can_reach(url)
    for host in ("https://nottwilio.com", "https://twilio.com.example.com"):
        assert Account.engine(url=host, sid=SID, token=TOKEN).can_reach(url)
    assert not account.can_reach("/path")


@pytest.mark.parametrize("url", ["ftp://x", "api.twilio.com", "http://"])
def test_an_address_that_is_no_api_is_refused(url: str) -> None:
    with pytest.raises(BadInput) as caught:
        Account.engine(url=url, sid=SID, token=TOKEN)
    assert caught.value.message.endswith("is not the address of an API")
    assert caught.value.fix == "Say http://host:port."


def test_an_account_shows_its_server_and_its_sid(account: Account) -> None:
    assert (account.sid, account.token, account.base_url) == (SID, TOKEN, URL)
