"""Serve the notifications of the account or of one call. Source: Twilio API, Notification resource."""

from __future__ import annotations

import json
from typing import Final
from urllib.parse import urlencode

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, DateRange, date_filters, page
from holdfast.voice.api.render import Json
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.api.twilio import calls
from holdfast.voice.api.twilio.call_events import EXCHANGE
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.destination import without_secrets
from holdfast.voice.runtime.notification_log import LoggedNotification

EXCHANGE_DELAY_S: Final = 1.0
"""Units: seconds. An exchange is recorded when it ends, shortly after the error in it was logged."""
LIST: Final = PAGING | date_filters("MessageDate") | {"Log"}


def _notifications(context: ApiContext, request: ApiRequest) -> list[LoggedNotification]:
    """Return the notifications of the call in the path, or of the account. Raises: NotFound."""
    sid = request.path_params.get("CallSid")
    if sid is None:
        return context.notifications.newest()
    return context.notifications.newest(CallSid(calls.find(context, sid).sid))


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the notifications, the newest first. Raises: NotFound, ParameterInvalid, PageTooLarge."""
    level = request.form.choice("Log", ("0", "1"))
    when = DateRange.read(request.form, "MessageDate")
    rows = [
        notice
        for notice in _notifications(context, request)
        if (level is None or str(notice.notification.log) == level) and when.contains(notice.logged_at)
    ]
    return page(
        rows,
        request=request,
        collection="notifications",
        key=lambda notice: notice.sid,
        render=lambda notice: render.notification(context.account, notice),
    )


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one notification. Raises: NotFound."""
    for notice in _notifications(context, request):
        if notice.sid == request.path_params["Sid"]:
            body = render.full_notification(context.account, notice) | await _exchange(context, notice)
            return ApiResponse(body=body)
    raise NotFound("there is no such notification")


async def _exchange(context: ApiContext, notice: LoggedNotification) -> Json:
    """Return the request and response of the error: the call's newest exchange with that URL until then."""
    logged = notice.notification
    if logged.call is None or not logged.url:
        return {}
    entries = [
        json.loads(entry.data)
        for entry in await context.journal.entries(logged.call)
        if entry.kind == EXCHANGE and entry.at <= notice.logged_at + EXCHANGE_DELAY_S
    ]
    url = without_secrets(logged.url)  # a GET has its form in the query
    exchange = next((data for data in reversed(entries) if data["url"].startswith(url)), None)
    if exchange is None:
        return {}
    kind = exchange["content_type"]
    return {
        "request_method": exchange["method"],
        "request_variables": urlencode([tuple(pair) for pair in exchange["form"]]),
        "response_headers": f"Content-Type: {kind}" if kind else "",
        "response_body": exchange["body"],
    }


RESOURCES: Final = (
    Resource(path="/Notifications", get=Operation(run=list_page, parameters=LIST)),
    Resource(path="/Notifications/{Sid}", get=Operation(run=fetch)),
    Resource(path="/Calls/{CallSid}/Notifications", get=Operation(run=list_page, parameters=LIST)),
    Resource(path="/Calls/{CallSid}/Notifications/{Sid}", get=Operation(run=fetch)),
)
