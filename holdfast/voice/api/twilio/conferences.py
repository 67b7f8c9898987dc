"""Conferences: list, read, end, announce to. Source: Twilio API, Conference resource."""

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
from holdfast.voice.model.errors import ConferenceNotActive, NotFound
from holdfast.voice.model.ids import RoomSid

STATUSES: Final = tuple(status.value for status in RoomStatus)
LIST: Final = PAGING | date_filters("DateCreated") | date_filters("DateUpdated") | {"FriendlyName", "Status"}
UPDATE: Final = frozenset({"Status", "AnnounceUrl", "AnnounceMethod"})


def find(context: ApiContext, sid: str) -> Room:
    """The conference of that SID; a bridge of two legs is none. Raises: NotFound."""
    room = context.switch.state.rooms.get(RoomSid(sid))
    if room is None or room.kind != "conference":
        raise NotFound(f"there is no conference {sid}")
    return room


def active(context: ApiContext, name: str) -> Room | None:
    """The conference of that name that is not over: there is at most one."""
    for room in context.switch.state.rooms.values():
        if room.kind == "conference" and room.name == name and room.status is not RoomStatus.COMPLETED:
            return room
    return None


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """One conference."""
    return ApiResponse(body=render.conference(find(context, request.path_params["Sid"])))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """End a conference, or play something to everybody in it.

    To end one that is over changes nothing; to announce to one is refused. Raises: ConferenceNotActive.
    """
    form = request.form
    room = find(context, request.path_params["Sid"])
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
    """Conferences, the newest first. Raises: ParameterInvalid, PageTooLarge."""
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
    body = page(
        rows,
        form=form,
        path=request.path,
        collection="conferences",
        key=lambda room: room.sid,
        render=render.conference,
    )
    return ApiResponse(body=body)


RESOURCES: Final = (
    Resource(path="/Conferences", get=Operation(run=list_page, parameters=LIST)),
    Resource(
        path="/Conferences/{Sid}",
        get=Operation(run=fetch),
        post=Operation(run=update, parameters=UPDATE),
    ),
)
