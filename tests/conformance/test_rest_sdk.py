"""The official Twilio SDK, blocking and async, with the REST API over a real socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from holdfast.voice.control.entities import CallStatus
from holdfast.voice.model.commands import CreateCall
from tests.conformance.engine import ACCOUNT, ALSO_OURS, NOON, OURS, TOKEN, VOICE_URL
from tests.conformance.rest_client import BASE, BASIC, RestApi, new_rest_api, served

MUSIC = "http://127.0.0.1:9/music.mp3"
AUTHORIZED = f"Authorization: {BASIC}\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """The API on a socket, and the SDK's blocking client for it."""

    api: RestApi
    url: str
    client: Client


@pytest.fixture
def rest() -> Iterator[Served]:
    """A REST API for each test."""
    api = asyncio.run(new_rest_api())
    with served(api.app) as url:
        http = TwilioHttpClient(timeout=10)
        client = Client(ACCOUNT, TOKEN, http_client=http)
        client.api.base_url = url
        yield Served(api=api, url=url, client=client)
        assert http.session is not None
        http.session.close()


def refused(ask: Callable[[], Any]) -> tuple[int, int | None]:
    """Return the HTTP status and Twilio's code of the SDK's exception."""
    with pytest.raises(TwilioRestException) as caught:
        ask()
    return caught.value.status, caught.value.code


def test_a_call_is_made_read_changed_listed_and_deleted(rest: Served) -> None:
    client = rest.client
    made = client.calls.create(
        to="client:bob",
        from_=OURS,
        url=VOICE_URL,
        status_callback=VOICE_URL,
        status_callback_event=["initiated", "ringing", "answered", "completed"],
        timeout=20,
        record=False,
    )
    assert made.sid is not None
    assert (made.status, made.direction, made.account_sid) == ("queued", "outbound-api", ACCOUNT)
    assert made.date_created == datetime.fromtimestamp(NOON, UTC)
    assert made.start_time is None
    assert client.calls(made.sid).fetch().to == "client:bob"
    assert client.calls(made.sid).update(twiml="<Response/>").sid == made.sid
    assert client.calls(made.sid).update(url=VOICE_URL, method="GET").status == "queued"
    client.calls(made.sid).update(status="canceled")
    assert [each.sid for each in client.calls.list(status="canceled")] == [made.sid]
    assert client.calls(made.sid).delete() is True
    assert refused(lambda: client.calls(str(made.sid)).fetch()) == (404, 20404)


def test_lists_are_paged_as_the_sdk_pages(rest: Served) -> None:
    made = [rest.api.engine.call().sid for _ in range(7)][::-1]
    calls = rest.client.calls
    assert [each.sid for each in calls.list(page_size=3)] == made
    assert [each.sid for each in calls.list(limit=4, page_size=3)] == made[:4]
    assert [each.sid for each in calls.stream(page_size=2, status="in-progress")] == made
    first = calls.page(page_size=3)
    second = first.next_page()
    assert second is not None
    assert [each.sid for each in second] == made[3:6]
    back = second.previous_page()
    assert back is not None
    assert [each.sid for each in back] == made[:3]


def test_dates_as_the_sdk_writes_them_filter_lists(rest: Served) -> None:
    call = rest.api.engine.call()
    noon = datetime.fromtimestamp(NOON, UTC)
    calls = rest.client.calls
    assert [each.sid for each in calls.list(start_time=noon)] == [call.sid]
    assert [each.sid for each in calls.list(start_time_after=noon - timedelta(hours=1))] == [call.sid]
    assert calls.list(start_time_before=noon - timedelta(hours=1)) == []
    room = rest.api.engine.room(call)
    assert [each.sid for each in rest.client.conferences.list(date_created=noon.date())] == [room.sid]


def test_a_participant_is_held_and_resumed_by_the_sdk(rest: Served) -> None:
    call = rest.api.engine.call()
    room = rest.api.engine.room(call, name="desk")
    (conference,) = rest.client.conferences.list(friendly_name="desk", status="in-progress")
    (participant,) = conference.participants.list()
    held = participant.update(hold=True, hold_url=MUSIC, hold_method="GET")
    assert (held.hold, held.muted, held.call_sid) == (True, False, call.sid)
    assert [each.call_sid for each in conference.participants.list(hold=True)] == [call.sid]
    assert participant.update(hold=False).hold is False
    assert participant.delete() is True
    removed = rest.client.conferences(room.sid).participants(call.sid)
    assert refused(lambda: removed.update(hold=False)) == (404, 20404)
    assert conference.update(status="completed").status == "completed"


def test_a_participant_is_called_in_and_found_by_its_label(rest: Served) -> None:
    made = rest.client.conferences("the lobby").participants.create(to="client:bob", from_=OURS, label="a b.c")
    assert (made.status, made.label) == ("queued", "a b.c")
    found = rest.client.conferences(str(made.conference_sid)).participants("a b.c").fetch()
    assert found.call_sid == made.call_sid


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_given_for_a_word_is_that_word(rest: Served, value: bool) -> None:
    """The SDK writes booleans as Python does, `True`, for parameters that are words."""
    room = rest.client.conferences("lobby")
    made = room.participants.create(to="client:bob", from_=OURS, beep=value, conference_record=value)
    assert made.status == "queued"
    placed = rest.api.engine.commands[-1]
    assert isinstance(placed, CreateCall)
    assert placed.reserve is not None
    assert (placed.reserve.admission.beep, placed.reserve.admission.record is not None) == (str(value).lower(), value)


def test_a_queue_and_its_members(rest: Served) -> None:
    queue = rest.client.queues.create(friendly_name="sales", max_size=7)
    assert (queue.max_size, queue.current_size) == (7, 0)
    assert queue.update(max_size=8).max_size == 8
    assert refused(lambda: rest.client.queues.create(friendly_name="sales")) == (400, 22003)
    assert queue.delete() is True
    call = rest.api.engine.call()
    other = rest.api.engine.queue(call)
    members = rest.client.queues(other.sid).members
    assert [each.call_sid for each in members.list()] == [call.sid]
    assert members("Front").fetch().wait_time == 10
    assert refused(lambda: rest.client.queues(other.sid).delete()) == (400, 20409)
    assert members("Front").update(url=VOICE_URL).call_sid == call.sid
    assert refused(lambda: members("Front").fetch()) == (404, 20404)


def test_numbers_and_applications(rest: Served) -> None:
    client = rest.client
    application = client.applications.create(friendly_name="desk", voice_url=VOICE_URL)
    number = client.incoming_phone_numbers.create(phone_number="+15550100007", voice_application_sid=application.sid)
    assert (number.phone_number, number.voice_application_sid) == ("+15550100007", application.sid)
    assert number.update(voice_url=VOICE_URL, friendly_name="front").friendly_name == "front"
    assert len(client.incoming_phone_numbers.list()) == 3
    assert len(client.incoming_phone_numbers.local.list(phone_number=ALSO_OURS)) == 1
    assert application.update(voice_method="GET").voice_method == "GET"
    assert application.delete() is True
    assert number.delete() is True
    assert len(client.applications.list()) == 0


def test_notifications_recordings_and_the_account(rest: Served) -> None:
    call = rest.api.engine.call()
    rest.client.calls.create(to="client:bob", from_=OURS, url=VOICE_URL, byoc="BY" + "0" * 32)
    (notice,) = rest.client.api.account.notifications.list()
    assert (notice.error_code, notice.log) == ("20001", "1")
    assert notice.fetch().message_text == "Parameters without effect here: Byoc"
    assert rest.client.calls(call.sid).notifications.list() == []
    assert rest.client.recordings.list() == []
    assert rest.client.calls(call.sid).recordings.list() == []
    account = rest.client.api.accounts(ACCOUNT).fetch()
    assert (account.sid, account.status) == (ACCOUNT, "active")
    assert [each.sid for each in rest.client.api.accounts.list()] == [ACCOUNT]


def test_errors_come_out_of_the_sdk_with_status_and_code(rest: Served) -> None:
    client = rest.client
    over = rest.api.engine.call(status=CallStatus.COMPLETED)
    assert refused(lambda: client.calls(over.sid).update(status="completed")) == (400, 21220)
    assert refused(lambda: client.calls.create(to="nobody", from_=OURS, url=VOICE_URL)) == (400, 21211)
    assert refused(lambda: client.calls.create(to="client:bob", from_=OURS)) == (400, 21205)
    unauthenticated = Client(ACCOUNT, "wrong", http_client=TwilioHttpClient(pool_connections=False))
    unauthenticated.api.base_url = rest.url
    assert refused(lambda: unauthenticated.calls(over.sid).fetch()) == (401, 20003)


@pytest.mark.filterwarnings("ignore:BasicAuth is deprecated", "ignore:The 'auth' parameter")  # the SDK's own way
async def test_the_async_client_does_the_same() -> None:
    api = await new_rest_api()
    with served(api.app) as url:
        async with AsyncTwilioHttpClient(timeout=10) as http:
            client = Client(ACCOUNT, TOKEN, http_client=http)
            client.api.base_url = url
            made = await client.calls.create_async(to="client:bob", from_=OURS, url=VOICE_URL)
            assert (await client.calls(str(made.sid)).fetch_async()).status == "queued"
            call = api.engine.call()
            room = api.engine.room(call)
            participant = client.conferences(room.sid).participants(call.sid)
            assert (await participant.update_async(hold=True)).hold is True
            assert (await participant.update_async(hold=False)).hold is False
            assert await participant.delete_async() is True
            sids = [each.sid async for each in await client.calls.stream_async(page_size=1)]
            assert sids == [call.sid, made.sid]
            with pytest.raises(TwilioRestException) as caught:
                await participant.fetch_async()
            assert (caught.value.status, caught.value.code) == (404, 20404)


def test_an_internal_error_is_500_and_the_next_request_works(rest: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    async def broken(command: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(rest.api.engine, "execute", broken)
        assert refused(lambda: rest.client.queues.create(friendly_name="sales")) == (500, 20500)
    assert rest.client.queues.create(friendly_name="sales").friendly_name == "sales"


# --- hostile peers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        b"\x00\xff\x00\xff\r\n\r\n",
        b"POST / HTTP/9.9\r\n\r\n",
        f"POST {BASE}/Calls.json HTTP/1.1\r\nHost: h\r\n{AUTHORIZED}Content-Length: -1\r\n\r\n".encode(),
        f"POST {BASE}/Calls.json HTTP/1.1\r\nHost: h\r\n{AUTHORIZED}Content-Length: 99\r\n\r\nTo".encode(),
        f"POST {BASE}/Calls.json HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n".encode(),
        b"GET /" + b"%ff%00" * 200 + b" HTTP/1.1\r\nHost: h\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"x-%d: y\r\n" % each for each in range(2000)) + b"\r\n",
    ],
)
def test_incomplete_and_invalid_requests_affect_no_other_client(rest: Served, raw: bytes) -> None:
    host, _, port = rest.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=10) as peer:
        peer.sendall(raw)
        peer.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while chunk := peer.recv(65536):
                answer += chunk
        except ConnectionResetError:
            pass
    assert not answer.startswith(b"HTTP/1.1 2")
    assert not answer.startswith(b"HTTP/1.1 5")
    assert rest.client.calls.list() == []
