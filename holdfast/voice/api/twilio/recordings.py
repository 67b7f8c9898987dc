"""Serve recordings of the account, a call or a conference: start, pause, stop, list, read, download, delete.

Source: Twilio API, Recording, Call Recording and Conference Recording resources.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Final, Literal

from holdfast.voice.api import render
from holdfast.voice.api.call_parameters import RECORDING, read_recording
from holdfast.voice.api.errors import ParameterInvalid
from holdfast.voice.api.paging import PAGING, DateRange, date_filters, newest_first, page
from holdfast.voice.api.resource import ApiContext, ApiRequest, ApiResponse, AudioBody, Operation, Resource, new_sid
from holdfast.voice.api.twilio import calls
from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.model.commands import ChangeRecording, DeleteRecording, RecordCall
from holdfast.voice.model.errors import AskedWrong, NotFound
from holdfast.voice.model.ids import RecordingSid
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.recordings.formats import as_mp3, as_one_channel

CURRENT: Final = "Twilio.CURRENT"
LIST: Final = PAGING | date_filters("DateCreated")
LIST_ALL: Final = LIST | {"CallSid", "ConferenceSid", "IncludeSoftDeleted"}
_encoding = asyncio.Semaphore(1)
"""One file is encoded at a time: encoding uses the processor, and calls have priority."""


class MonoOnly(AskedWrong):
    """A client requests two channels of a recording that has one."""

    code = 16113


def find(context: ApiContext, request: ApiRequest, sid: str, *, include_deleted: bool = False) -> Recording:
    """Return the recording with that SID, of the call or conference in the path. Raises: NotFound."""
    candidates = list(_recordings(context, request))
    if sid == CURRENT:
        live = [recording for recording in candidates if recording.live]
        if len(live) != 1:
            raise NotFound(f"there are {len(live)} live recordings, not one")
        return live[0]
    recording = context.switch.state.recordings.get(RecordingSid(sid))
    if (
        recording is None
        or recording not in candidates
        or (recording.status is RecordingStatus.DELETED and not include_deleted)
    ):
        raise NotFound(f"there is no recording {sid}")
    return recording


def _recordings(context: ApiContext, request: ApiRequest) -> Iterator[Recording]:
    """Yield the recordings of the call or conference in the path, or all. Raises: NotFound."""
    call, room = request.path_params.get("CallSid"), request.path_params.get("ConferenceSid")
    if call is not None:
        calls.find(context, call)
    if room is not None:
        context.conference(room)
    for recording in context.switch.state.recordings.values():
        if (call is None or recording.call == call) and (room is None or recording.room == room):
            yield recording


async def start(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Start a recording of a live call. Raises: NotFound, CallNotInProgress."""
    call = calls.find(context, request.path_params["CallSid"])
    terms = read_recording(request.form, context, source="StartCallRecordingAPI", trim=False)
    sid = RecordingSid(new_sid("RE"))
    await context.switch.execute(RecordCall(call=call.sid, recording=sid, options=terms))
    return ApiResponse(status=201, body=_render(request, find(context, request, sid)))


async def update(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Pause, resume or stop a recording. Raises: NotFound, ParameterInvalid, RecordingNotActive."""
    recording = find(context, request, request.path_params["Sid"])
    status = request.form.choice("Status", ("paused", "in-progress", "stopped"), error=ParameterInvalid)
    behavior = request.form.choice("PauseBehavior", ("skip", "silence"), error=ParameterInvalid)
    if status is None:
        raise ParameterInvalid("Status is required")
    statuses: dict[str, Literal["paused", "in-progress", "stopped"]] = {
        "paused": "paused",
        "in-progress": "in-progress",
        "stopped": "stopped",
    }
    await context.switch.execute(
        ChangeRecording(recording=recording.sid, status=statuses[status], skip=behavior == "skip")
    )
    return ApiResponse(body=_render(request, context.switch.state.recordings[recording.sid]))


async def fetch(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Return a recording as JSON (`.json`), or its audio: WAV, or MP3 when the path ends in `.mp3`.

    Raises: NotFound, MonoOnly.
    """
    sid = request.path_params["Sid"]
    wants_json = request.path.endswith(".json")
    name, _, kind = sid.partition(".") if sid != CURRENT else (sid, "", "")
    if kind not in ("", "wav", "mp3") or (kind and wants_json):
        raise NotFound(f"a recording is not available as {kind}")
    recording = find(context, request, name, include_deleted=_includes_deleted(request))
    if wants_json:
        return ApiResponse(body=_render(request, recording))
    path = None if context.recordings is None else context.recordings.path(recording.sid)
    if path is None or recording.status is not RecordingStatus.COMPLETED:
        raise NotFound(f"recording {recording.sid} has no audio")
    wanted = request.form.integer("RequestedChannels", low=1, high=2)
    if wanted == 2 and recording.channels == 1:
        raise MonoOnly(f"Recording {recording.sid} has one channel")
    mixed = recording.channels == 2 and wanted == 1
    if kind == "mp3":
        async with _encoding:
            try:
                data = await asyncio.to_thread(as_mp3, path, mixed=mixed)
            except SoundUnplayable as error:
                raise NotFound(error.message) from error
        return ApiResponse(body=None, audio=AudioBody(media_type="audio/mpeg", name=f"{recording.sid}.mp3", data=data))
    if mixed:
        async with _encoding:
            data = await asyncio.to_thread(as_one_channel, path)
        return ApiResponse(body=None, audio=AudioBody(media_type="audio/x-wav", name=f"{recording.sid}.wav", data=data))
    return ApiResponse(body=None, audio=AudioBody(media_type="audio/x-wav", name=f"{recording.sid}.wav", file=path))


async def delete(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """Delete the audio. The record stays, for lists that include it. Raises: NotFound, RecordNotFinished."""
    await context.switch.execute(DeleteRecording(recording=find(context, request, request.path_params["Sid"]).sid))
    return ApiResponse(status=204, body=None)


async def list_page(context: ApiContext, request: ApiRequest) -> ApiResponse:
    """List the recordings, the newest first. Raises: NotFound, ParameterInvalid, PageTooLarge."""
    form = request.form
    created = DateRange.read(form, "DateCreated")
    call, room = (form.text("CallSid"), form.text("ConferenceSid")) if _is_account_list(request) else (None, None)
    include_deleted = _includes_deleted(request)
    found = (
        recording
        for recording in _recordings(context, request)
        if (call is None or recording.call == call)
        and (room is None or recording.room == room)
        and (include_deleted or recording.status is not RecordingStatus.DELETED)
        and created.contains(recording.created_at)
    )
    rows = newest_first(found, lambda recording: recording.created_at)
    return page(
        rows,
        request=request,
        collection="recordings",
        key=lambda recording: recording.sid,
        render=lambda recording: _render(request, recording),
    )


def _includes_deleted(request: ApiRequest) -> bool:
    """Return whether the request includes deleted recordings, which only the account's own paths can."""
    return _is_account_list(request) and request.form.flag("IncludeSoftDeleted") is True


def _is_account_list(request: ApiRequest) -> bool:
    """Return whether the path is of all recordings, not of one call or conference."""
    return not request.path_params.keys() & {"CallSid", "ConferenceSid"}


def _render(request: ApiRequest, recording: Recording) -> render.Json:
    """Return a recording as the requested resource shows it."""
    if "CallSid" in request.path_params:
        return render.recording(recording, within="call")
    return render.recording(recording, within="conference" if "ConferenceSid" in request.path_params else "account")


_LIST: Final = Operation(run=list_page, parameters=LIST)
_FETCH: Final = Operation(run=fetch, parameters=frozenset({"RequestedChannels"}))
_FETCH_ANY: Final = Operation(run=fetch, parameters=frozenset({"RequestedChannels", "IncludeSoftDeleted"}))
_CHANGE: Final = Operation(run=update, parameters=frozenset({"Status", "PauseBehavior"}))
_DELETE: Final = Operation(run=delete)

RESOURCES: Final = (
    Resource(path="/Recordings", get=Operation(run=list_page, parameters=LIST_ALL)),
    Resource(path="/Recordings/{Sid}", get=_FETCH_ANY, delete=_DELETE),
    Resource(path="/Calls/{CallSid}/Recordings", get=_LIST, post=Operation(run=start, parameters=RECORDING)),
    Resource(path="/Calls/{CallSid}/Recordings/{Sid}", get=_FETCH, post=_CHANGE, delete=_DELETE),
    Resource(path="/Conferences/{ConferenceSid}/Recordings", get=_LIST),
    Resource(path="/Conferences/{ConferenceSid}/Recordings/{Sid}", get=_FETCH, post=_CHANGE, delete=_DELETE),
)
