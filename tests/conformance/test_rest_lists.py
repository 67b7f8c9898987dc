"""Lists: order, filters, pages."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import pytest

from holdfast.voice.control.entities import CallStatus, RoomStatus
from holdfast.voice.model.effects import LogNotification
from tests.conformance.engine import NOON, OURS
from tests.conformance.rest_client import BASE, RestApi

DAY = datetime.fromtimestamp(NOON, UTC).strftime("%Y-%m-%d")
DAY_S = 86400


async def sids(api: RestApi, path: str, **filters: str) -> list[str]:
    """Return the SIDs of a list, in its order."""
    query = urlencode({name.replace("_lt", "<").replace("_gt", ">"): value for name, value in filters.items()})
    body = (await api.get(path, query)).json
    (key,) = [name for name in body if isinstance(body[name], list)]
    return [row["sid"] for row in body[key]]


async def test_calls_come_newest_first(api: RestApi) -> None:
    made = []
    for second in (0, 1, 1, 2):
        api.engine.clock = NOON + second
        made.append(api.engine.call().sid)
    assert await sids(api, "/Calls.json") == made[::-1]


async def test_calls_are_filtered_by_status_party_and_parent(api: RestApi) -> None:
    parent = api.engine.call()
    child = api.engine.call(parent=parent.sid)
    over = api.engine.call(status=CallStatus.COMPLETED)
    assert await sids(api, "/Calls.json", Status="completed") == [over.sid]
    assert await sids(api, "/Calls.json", Status="in-progress") == [child.sid, parent.sid]
    assert await sids(api, "/Calls.json", ParentCallSid=parent.sid) == [child.sid]
    assert len(await sids(api, "/Calls.json", To=OURS)) == 3
    assert len(await sids(api, "/Calls.json", To=f" {OURS[1:]}")) == 3, "a plus that was not encoded is a space"
    assert len(await sids(api, "/Calls.json", To="1 (555) 010-0001")) == 3
    assert await sids(api, "/Calls.json", To="client:bob") == []
    assert await sids(api, "/Calls.json", From=OURS) == []


async def test_calls_are_filtered_by_when_they_started_and_ended(api: RestApi) -> None:
    yesterday = api.engine.call(status=CallStatus.COMPLETED)
    api.engine.clock += DAY_S
    today = api.engine.call()
    waiting = api.engine.call(status=CallStatus.QUEUED)
    api.engine.state.calls[waiting.sid] = replace(waiting, started_at=None)
    next_day = datetime.fromtimestamp(NOON + DAY_S, UTC).strftime("%Y-%m-%d")
    assert await sids(api, "/Calls.json", StartTime=DAY) == [yesterday.sid]
    assert await sids(api, "/Calls.json", StartTime=f"{DAY}T00:00:00Z") == [yesterday.sid]
    assert await sids(api, "/Calls.json", StartTime_lt=next_day) == [yesterday.sid]
    assert await sids(api, "/Calls.json", StartTime_gt=next_day) == [today.sid]
    assert await sids(api, "/Calls.json", StartTime_gt=f"{DAY}T08:00:00Z", StartTime_lt=f"{DAY}T08:00:00Z") == [
        yesterday.sid
    ]
    assert await sids(api, "/Calls.json", EndTime_gt=DAY) == [yesterday.sid]


async def test_conferences_are_filtered_and_bridges_never_shown(api: RestApi) -> None:
    call = api.engine.call()
    over = api.engine.room(call, name="desk", status=RoomStatus.COMPLETED)
    running = api.engine.room(call, name="desk")
    forming = api.engine.room(call, name="lobby", status=RoomStatus.INIT)
    assert await sids(api, "/Conferences.json") == [forming.sid, running.sid, over.sid]
    assert await sids(api, "/Conferences.json", FriendlyName="desk") == [running.sid, over.sid]
    assert await sids(api, "/Conferences.json", FriendlyName="desk", Status="in-progress") == [running.sid]
    assert await sids(api, "/Conferences.json", Status="init") == [forming.sid]
    assert await sids(api, "/Conferences.json", DateCreated_gt="2099-01-01") == []
    assert len(await sids(api, "/Conferences.json", DateUpdated=DAY)) == 3


async def test_participants_are_filtered_by_their_state(api: RestApi) -> None:
    held, free = api.engine.call(), api.engine.call()
    room = api.engine.room(held, free)
    await api.post(f"/Conferences/{room.sid}/Participants/{held.sid}.json", {"Hold": "true", "Muted": "true"})

    async def found(query: str) -> list[str]:
        rows = (await api.get(f"/Conferences/{room.sid}/Participants.json", query)).json["participants"]
        return [row["call_sid"] for row in rows]

    assert await found("") == [free.sid, held.sid]
    assert await found("Hold=true") == [held.sid]
    assert await found("Hold=False") == [free.sid]
    assert await found("Muted=true&Hold=true") == [held.sid]
    assert await found("Coaching=true") == []


async def test_notifications_are_filtered_by_level_and_date(api: RestApi) -> None:
    for level in (0, 1):
        api.notifications.add(LogNotification(call=None, code=11200, log=level, message="x"))
    assert len(await sids(api, "/Notifications.json", Log="0", MessageDate=DAY)) == 1
    assert len(await sids(api, "/Notifications.json", MessageDate_gt=DAY)) == 2
    assert await sids(api, "/Notifications.json", MessageDate_gt="2099-01-01") == []


async def read_all(api: RestApi, query: str) -> list[list[str]]:
    """Return the SIDs of each page, by `next_page_uri` to the last and by `previous_page_uri` back."""
    pages, uri = [], f"{BASE}/Calls.json?{query}"
    last: Any = None
    while uri:
        path, _, query = uri.partition("?")
        body = (await api.request("GET", path, query=query)).json
        assert body["uri"].partition("?")[2].split("&")[:1] == query.split("&")[:1]
        assert body["end"] - body["start"] + 1 == len(body["calls"])
        pages.append([row["sid"] for row in body["calls"]])
        last, uri = body, body["next_page_uri"]
    back = []
    while last["previous_page_uri"]:
        path, _, query = last["previous_page_uri"].partition("?")
        last = (await api.request("GET", path, query=query)).json
        back.append([row["sid"] for row in last["calls"]])
    assert back == pages[-2::-1]
    return pages


@pytest.mark.parametrize(("total", "size"), [(1, 1), (5, 2), (6, 2), (7, 50)])
async def test_pages_hold_every_row_once_and_lead_back(api: RestApi, total: int, size: int) -> None:
    made = [api.engine.call().sid for _ in range(total)][::-1]
    pages = await read_all(api, f"Status=in-progress&PageSize={size}")
    assert [sid for page in pages for sid in page] == made
    assert {len(page) for page in pages[:-1]} <= {size}


async def test_an_empty_list_starts_and_ends_at_zero(api: RestApi) -> None:
    body = (await api.get("/Calls.json")).json
    assert (body["start"], body["end"], body["calls"], body["next_page_uri"]) == (0, 0, [], None)
    beyond = (await api.get("/Calls.json", "Page=7&PageSize=10")).json
    assert (beyond["calls"], beyond["page"]) == ([], 7)


async def test_a_page_does_not_shift_when_a_call_is_made_meanwhile(api: RestApi) -> None:
    made = [api.engine.call().sid for _ in range(4)][::-1]
    first = (await api.get("/Calls.json", "PageSize=2")).json
    api.engine.call()
    path, _, query = first["next_page_uri"].partition("?")
    second = (await api.request("GET", path, query=query)).json
    assert [row["sid"] for row in second["calls"]] == made[2:]


async def test_a_page_after_a_removed_row_uses_its_number(api: RestApi) -> None:
    calls = [api.engine.call(status=CallStatus.COMPLETED).sid for _ in range(4)][::-1]
    first = (await api.get("/Calls.json", "PageSize=2")).json
    await api.delete(f"/Calls/{calls[1]}.json")
    path, _, query = first["next_page_uri"].partition("?")
    assert "PageToken=PA" + calls[1] in query
    second = (await api.request("GET", path, query=query)).json
    assert [row["sid"] for row in second["calls"]] == [calls[3]]


async def test_page_addresses_echo_the_filters(api: RestApi) -> None:
    for _ in range(2):
        api.engine.call()
    body = (await api.get("/Calls.json", "StartTime%3E=2020-01-01&To=%2B15550100001&PageSize=1")).json
    begin = f"{BASE}/Calls.json?StartTime%3E=2020-01-01&To=%2B15550100001&PageSize=1&Page="
    assert body["first_page_uri"] == body["uri"] == begin + "0"
    assert body["next_page_uri"].startswith(begin + "1&PageToken=PACA")
