"""Notifications: read what was logged, of the account or of one call. Source: Twilio API, Notification resource."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, Between, comparable, page
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.twilio import calls
from holdfast.voice.api.twilio.call_events import EXCHANGE
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.notifications import LoggedNotification

LATER_S: Final = 1.0
"""An exchange is written down when it is over, a moment after what went wrong in it was told."""
LIST: Final = PAGING | comparable("MessageDate") | {"Log"}


def _of(door: ApiContext, asked: ApiRequest) -> list[LoggedNotification]:
    """The notifications the path is about. Raises: NotFound."""
    sid = asked.names.get("CallSid")
    if sid is None:
        return door.notifications.newest()
    return door.notifications.newest(CallSid(calls.find(door, sid).sid))


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Notifications, the newest first. Raises: NotFound, ParameterInvalid, PageTooLarge."""
    level = asked.form.choice("Log", ("0", "1"))
    when = Between.read(asked.form, "MessageDate")
    rows = [
        notice
        for notice in _of(door, asked)
        if (level is None or str(notice.notification.log) == level) and when.lets(notice.logged_at)
    ]
    body = page(
        rows,
        form=asked.form,
        path=asked.path,
        collection="notifications",
        key=lambda notice: notice.sid,
        show=lambda notice: render.notification(door.account, notice),
    )
    return ApiResponse(body=body)


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """One notification. Raises: NotFound."""
    for notice in _of(door, asked):
        if notice.sid == asked.names["Sid"]:
            body = render.whole_notification(door.account, notice) | await _exchange(door, notice)
            return ApiResponse(body=body)
    raise NotFound("there is no such notification")


async def _exchange(door: ApiContext, notice: LoggedNotification) -> Json:
    """What was asked and answered when it went wrong: the newest exchange of the call with that address until then."""
    said = notice.notification
    if said.call is None or not said.url:
        return {}
    entries = [
        json.loads(entry.data)
        for entry in await door.journal.entries(said.call)
        if entry.kind == EXCHANGE and entry.at <= notice.logged_at + LATER_S
    ]
    asked = without_secrets(said.url)  # a GET went there with its form in the query
    seen = next((data for data in reversed(entries) if data["url"].startswith(asked)), None)
    if seen is None:
        return {}
    kind = seen["content_type"]
    return {
        "request_method": seen["method"],
        "request_variables": urlencode([tuple(pair) for pair in seen["form"]]),
        "response_headers": f"Content-Type: {kind}" if kind else "",
        "response_body": seen["body"],
    }


RESOURCES: Final = (
    Resource(path="/Notifications", get=Operation(run=listed, parameters=LIST)),
    Resource(path="/Notifications/{Sid}", get=Operation(run=fetch)),
    Resource(path="/Calls/{CallSid}/Notifications", get=Operation(run=listed, parameters=LIST)),
    Resource(path="/Calls/{CallSid}/Notifications/{Sid}", get=Operation(run=fetch)),
)
