"""Serve conferences: list, read and end them, and play announcements. Source: Twilio API, Conference resource."""

from __future__ import annotations

from typing import Final

from holdfast.voice.api import render
from holdfast.voice.api.paging import PAGING, DateRange, date_filters, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, Operation, Resource
from holdfast.voice.control.entities import Room, RoomStatus
from holdfast.voice.model.commands import (
    AnnounceToRoom,
    EndRoom,
)
from holdfast.voice.model.errors import ConferenceNotActive

STATUSES: Final = tuple(status.value for status in RoomStatus)
LIST: Final = PAGING | date_filters("DateCreated") | date_filters("DateUpdated") | {"FriendlyName", "Status"}
UPDATE: Final = frozenset({"Status", "AnnounceUrl", "AnnounceMethod"})


def active(context: ApiContext, name: str) -> Room | None:
    """Return the conference of that name that has not ended. There is at most one."""
    for room in context.switch.state.rooms.values():
        if room.kind == "conference" and room.name == name and room.status is not RoomStatus.COMPLETED:
            return room
    return None


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return one conference. Raises: NotFound."""
    return ApiResponse(body=render.conference(context.conference(request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """End a conference, or play an announcement to all its participants.

    If the conference has ended, the end has no effect and the announcement is refused. Raises: ConferenceNotActive.
    """
    form = request.form
    room = context.conference(request.path_params["Sid"])
    status = form.choice("Status", ("completed",))
    announcement = form.request("AnnounceUrl", "AnnounceMethod")
    if announcement is not None:
        if room.status is RoomStatus.COMPLETED:
            raise ConferenceNotActive(f"Conference {room.sid} is completed")
        await context.switch.execute(AnnounceToRoom(room=room.sid, request=announcement))
    if status is not None and room.status is not RoomStatus.COMPLETED:
        await context.switch.execute(EndRoom(room=room.sid))
    return ApiResponse(body=render.conference(context.switch.state.rooms.get(room.sid, room)))


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the conferences, the newest first. Raises: ParameterInvalid, PageTooLarge."""
    form = request.form
    status, name = form.choice("Status", STATUSES), form.text("FriendlyName")
    created, updated = DateRange.read(form, "DateCreated"), DateRange.read(form, "DateUpdated")
    found = (
        room
        for room in context.switch.state.rooms.values()
        if room.kind == "conference"
        and (status is None or room.status.value == status)
        and (name is None or room.name == name)
        and created.contains(room.created_at)
        and updated.contains(room.updated_at)
    )
    rows = newest_first(found, lambda room: room.created_at)
    return page(
        rows,
        request=request,
        collection="conferences",
        key=lambda room: room.sid,
        render=render.conference,
    )


RESOURCES: Final = (
    Resource(path="/Conferences", get=Operation(run=list_page, parameters=LIST)),
    Resource(
        path="/Conferences/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=UPDATE),
    ),
)
