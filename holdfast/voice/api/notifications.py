"""Notifications: read what was logged, of the account or of one call. Source: Twilio API, Notification resource."""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import calls, render
from holdfast.voice.api.paging import PAGING, Between, comparable, page
from holdfast.voice.api.resource import Answer, Asked, Door, Operation, Resource
from holdfast.voice.model.errors import NotFound
from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.notifications import Notice

LIST: Final = PAGING | comparable("MessageDate") | {"Log"}


def _of(door: Door, asked: Asked) -> list[Notice]:
    """The notifications the path is about. Raises: NotFound."""
    sid = asked.names.get("CallSid")
    if sid is None:
        return door.notifications.of()
    return door.notifications.of(CallSid(calls.find(door, sid).sid))


async def listed(door: Door, asked: Asked) -> Answer:
    """Notifications, the newest first. Raises: NotFound, ParameterInvalid, PageTooLarge."""
    level = asked.form.choice("Log", ("0", "1"))
    when = Between.read(asked.form, "MessageDate")
    rows = [
        notice
        for notice in _of(door, asked)
        if (level is None or str(notice.said.log) == level) and when.lets(notice.at)
    ]
    body = page(
        rows,
        form=asked.form,
        path=asked.path,
        collection="notifications",
        key=lambda notice: notice.sid,
        show=lambda notice: render.notification(door.account, notice),
    )
    return Answer(body=body)


async def fetch(door: Door, asked: Asked) -> Answer:
    """One notification. Raises: NotFound."""
    for notice in _of(door, asked):
        if notice.sid == asked.names["Sid"]:
            return Answer(body=render.whole_notification(door.account, notice))
    raise NotFound("there is no such notification")


RESOURCES: Final = (
    Resource(path="/Notifications", get=Operation(run=listed, parameters=LIST)),
    Resource(path="/Notifications/{Sid}", get=Operation(run=fetch)),
    Resource(path="/Calls/{CallSid}/Notifications", get=Operation(run=listed, parameters=LIST)),
    Resource(path="/Calls/{CallSid}/Notifications/{Sid}", get=Operation(run=fetch)),
)
