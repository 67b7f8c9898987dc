"""Recordings: begin, pause, stop, list, read, download, delete; of the account, of a call, of a conference.

Source: Twilio API, Recording, Call Recording and Conference Recording resources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Literal

from holdfast.voice.api import render
from holdfast.voice.api.call_parameters import RECORDING, read_recording
from holdfast.voice.api.errors import ParameterInvalid
from holdfast.voice.api.paging import PAGING, Between, comparable, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, AudioBody, Operation, Resource
from holdfast.voice.api.sids import new_sid
from holdfast.voice.api.twilio import calls, conferences
from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.model.commands import ChangeRecording, DeleteRecording, RecordCall
from holdfast.voice.model.errors import AskedWrong, NotFound
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.recordings.formats import as_mp3, as_one_channel

CURRENT: Final = "Twilio.CURRENT"
LIST: Final = PAGING | comparable("DateCreated")
LIST_ALL: Final = LIST | {"CallSid", "ConferenceSid", "IncludeSoftDeleted"}
_encoding = asyncio.Semaphore(1)
"""One file is encoded at a time: it is the processor's work, and calls come first."""


class MonoOnly(AskedWrong):
    """Two channels were asked for of a recording that has one."""

    code = 16113


def find(door: ApiContext, asked: ApiRequest, sid: str, *, deleted_too: bool = False) -> Recording:
    """The recording of that SID, of the call or conference in the path. Raises: NotFound."""
    owned = list(_of(door, asked))
    if sid == CURRENT:
        live = [one for one in owned if one.live]
        if len(live) != 1:
            raise NotFound(f"there are {len(live)} recordings under way, not one")
        return live[0]
    one = door.switch.state.recordings.get(RecordingSid(sid))
    if one is None or one not in owned or (one.status is RecordingStatus.DELETED and not deleted_too):
        raise NotFound(f"there is no recording {sid}")
    return one


def _of(door: ApiContext, asked: ApiRequest) -> Iterator[Recording]:
    """The recordings of the call or conference in the path; all when it names neither. Raises: NotFound."""
    call, room = asked.names.get("CallSid"), asked.names.get("ConferenceSid")
    if call is not None:
        calls.find(door, call)
    if room is not None:
        conferences.find(door, room)
    for one in door.switch.state.recordings.values():
        if (call is None or one.call == call) and (room is None or one.room == room):
            yield one


async def begin(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Record a live call from now on. Raises: NotFound, CallNotInProgress."""
    call = calls.find(door, asked.names["CallSid"])
    terms = read_recording(asked.form, door, source="StartCallRecordingAPI", trim=False)
    sid = RecordingSid(new_sid("RE"))
    await door.switch.execute(RecordCall(call=call.sid, recording=sid, terms=terms))
    return ApiResponse(status=201, body=_shown(asked, find(door, asked, sid)))


async def change(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Pause, go on, or stop. Raises: NotFound, ParameterInvalid, RecordingNotActive."""
    one = find(door, asked, asked.names["Sid"])
    status = asked.form.choice("Status", ("paused", "in-progress", "stopped"), wrong=ParameterInvalid)
    behavior = asked.form.choice("PauseBehavior", ("skip", "silence"), wrong=ParameterInvalid)
    if status is None:
        raise ParameterInvalid("Status is required")
    words: dict[str, Literal["paused", "in-progress", "stopped"]] = {
        "paused": "paused",
        "in-progress": "in-progress",
        "stopped": "stopped",
    }
    await door.switch.execute(ChangeRecording(recording=one.sid, status=words[status], skip=behavior == "skip"))
    return ApiResponse(body=_shown(asked, door.switch.state.recordings[one.sid]))


async def fetch(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """What is known of a recording (`.json`), or its sound: WAV, or MP3 when the name ends so.

    Raises: NotFound, MonoOnly.
    """
    sid = asked.names["Sid"]
    wants_json = asked.path.endswith(".json")
    name, _, kind = sid.partition(".") if sid != CURRENT else (sid, "", "")
    if kind not in ("", "wav", "mp3") or (kind and wants_json):
        raise NotFound(f"a recording cannot be had as {kind}")
    one = find(door, asked, name, deleted_too=_deleted_too(asked))
    if wants_json:
        return ApiResponse(body=_shown(asked, one))
    path = None if door.recordings is None else door.recordings.path(one.sid)
    if path is None or one.status is not RecordingStatus.COMPLETED:
        raise NotFound(f"recording {one.sid} has no sound")
    wanted = asked.form.integer("RequestedChannels", low=1, high=2)
    if wanted == 2 and one.channels == 1:
        raise MonoOnly(f"Recording {one.sid} has one channel")
    mixed = one.channels == 2 and wanted == 1
    if kind == "mp3":
        async with _encoding:
            try:
                data = await asyncio.to_thread(as_mp3, path, mixed=mixed)
            except SoundUnplayable as error:
                raise NotFound(error.message) from error
        return ApiResponse(body=None, sound=AudioBody(media_type="audio/mpeg", name=f"{one.sid}.mp3", data=data))
    if mixed:
        async with _encoding:
            data = await asyncio.to_thread(as_one_channel, path)
        return ApiResponse(body=None, sound=AudioBody(media_type="audio/x-wav", name=f"{one.sid}.wav", data=data))
    return ApiResponse(body=None, sound=AudioBody(media_type="audio/x-wav", name=f"{one.sid}.wav", file=path))


async def delete(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Delete the sound. What is known of it stays, for lists that ask for it. Raises: NotFound, RecordNotFinished."""
    await door.switch.execute(DeleteRecording(recording=find(door, asked, asked.names["Sid"]).sid))
    return ApiResponse(status=204, body=None)


async def listed(door: ApiContext, asked: ApiRequest) -> ApiResponse:
    """Recordings, the newest first. Raises: NotFound, ParameterInvalid, PageTooLarge."""
    form = asked.form
    created = Between.read(form, "DateCreated")
    call, room = (form.text("CallSid"), form.text("ConferenceSid")) if _of_account(asked) else (None, None)
    deleted_too = _deleted_too(asked)
    found = (
        one
        for one in _of(door, asked)
        if (call is None or one.call == call)
        and (room is None or one.room == room)
        and (deleted_too or one.status is not RecordingStatus.DELETED)
        and created.lets(one.created_at)
    )
    rows = newest_first(found, lambda one: one.created_at)
    body = page(
        rows,
        form=form,
        path=asked.path,
        collection="recordings",
        key=lambda one: one.sid,
        show=lambda one: _shown(asked, one),
    )
    return ApiResponse(body=body)


def _deleted_too(asked: ApiRequest) -> bool:
    """Whether what is known of deleted recordings is asked for, too: of the account, not of a call or conference."""
    return _of_account(asked) and asked.form.flag("IncludeSoftDeleted") is True


def _of_account(asked: ApiRequest) -> bool:
    """Whether the path is about every recording, not those of one call or conference."""
    return not asked.names.keys() & {"CallSid", "ConferenceSid"}


def _shown(asked: ApiRequest, one: Recording) -> render.Json:
    """A recording as the resource that was asked shows it."""
    if "CallSid" in asked.names:
        return render.recording(one, within="call")
    return render.recording(one, within="conference" if "ConferenceSid" in asked.names else "account")


_LISTED: Final = Operation(run=listed, parameters=LIST)
_FETCH: Final = Operation(run=fetch, parameters=frozenset({"RequestedChannels"}))
_FETCH_ANY: Final = Operation(run=fetch, parameters=frozenset({"RequestedChannels", "IncludeSoftDeleted"}))
_CHANGE: Final = Operation(run=change, parameters=frozenset({"Status", "PauseBehavior"}))
_DELETE: Final = Operation(run=delete)

RESOURCES: Final = (
    Resource(path="/Recordings", get=Operation(run=listed, parameters=LIST_ALL)),
    Resource(path="/Recordings/{Sid}", get=_FETCH_ANY, delete=_DELETE),
    Resource(path="/Calls/{CallSid}/Recordings", get=_LISTED, post=Operation(run=begin, parameters=RECORDING)),
    Resource(path="/Calls/{CallSid}/Recordings/{Sid}", get=_FETCH, post=_CHANGE, delete=_DELETE),
    Resource(path="/Conferences/{ConferenceSid}/Recordings", get=_LISTED),
    Resource(path="/Conferences/{ConferenceSid}/Recordings/{Sid}", get=_FETCH, post=_CHANGE, delete=_DELETE),
)
