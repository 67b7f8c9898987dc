"""Recordings in the REST API: shapes, filters, permitted changes, and the audio."""

from __future__ import annotations

import asyncio
import io
from dataclasses import replace
from pathlib import Path
from urllib.request import Request, urlopen

import numpy as np
import pytest
import soundfile

from holdfast.voice.api.twilio import recordings
from holdfast.voice.control.entities import CallStatus, Recording, RecordingStatus
from holdfast.voice.model.commands import Callback, ChangeRecording, CreateCall, RecordCall, RecordingOptions
from holdfast.voice.model.ids import CallSid, RecordingSid, RoomSid
from holdfast.voice.runtime.http.errors import SoundUnplayable
from tests.conformance import facts
from tests.conformance.engine import ACCOUNT, NOON, OURS, VOICE_URL
from tests.conformance.rest_client import BASE, BASIC, Reply, RestApi, new_rest_api, served

ONE = "RE" + "1" * 32
FORMS = {
    "RecordingChannels": "dual",
    "RecordingTrack": "both",
    "Trim": "trim-silence",
    "RecordingStatusCallback": "http://127.0.0.1:9/told",
    "RecordingStatusCallbackEvent": "in-progress completed",
}


def made(api: RestApi, sid: str = ONE, *, call: str | None = None, room: str | None = None, days: int = 0) -> Recording:
    """Add a completed recording."""
    at = NOON + days * 86400
    one = Recording(
        sid=RecordingSid(sid),
        account=ACCOUNT,
        call=None if call is None else CallSid(call),
        room=None if room is None else RoomSid(room),
        options=RecordingOptions(source="Conference" if room else "RecordVerb"),
        channels=1,
        status=RecordingStatus.COMPLETED,
        created_at=at,
        updated_at=at,
        duration_s=4,
        url=f"http://127.0.0.1:9{BASE}/Recordings/{sid}",
    )
    api.engine.state.recordings[one.sid] = one
    return one


def sids(reply: Reply) -> list[str]:
    """Return the SIDs of the listed recordings."""
    return [each["sid"][2] for each in reply.json["recordings"]]


async def test_a_recording_has_the_fields_of_the_reference(api: RestApi) -> None:
    call = api.engine.call()
    begun = await api.post(f"/Calls/{call.sid}/Recordings.json", FORMS)
    assert begun.status == 201
    assert facts.faults(begun.json, facts.CALL_RECORDING) == []
    assert (begun.json["status"], begun.json["channels"], begun.json["duration"]) == ("in-progress", 2, None)
    assert begun.json["source"] == "StartCallRecordingAPI"
    assert (await api.get(f"/Calls/{call.sid}/Recordings/{begun.json['sid']}.json")).json == begun.json
    of_account = (await api.get(f"/Recordings/{begun.json['sid']}.json")).json
    assert facts.faults(of_account, facts.RECORDING) == []
    assert {name: of_account.get(name, "both") for name in begun.json} == begun.json
    command = api.engine.commands[-1]
    assert isinstance(command, RecordCall)
    assert command.options == RecordingOptions(
        source="StartCallRecordingAPI",
        dual=True,
        trim=True,
        callback=Callback(url="http://127.0.0.1:9/told", events=("in-progress", "completed")),
    )


async def test_a_conference_recording_has_no_track(api: RestApi) -> None:
    room = api.engine.room(api.engine.call())
    made(api, room=room.sid)
    body = (await api.get(f"/Conferences/{room.sid}/Recordings/{ONE}.json")).json
    assert facts.faults(body, facts.CONFERENCE_RECORDING) == []
    assert (await api.get(f"/Recordings/{ONE}.json")).json["media_url"].endswith(ONE)


async def test_a_failed_recording_is_absent_with_its_code(api: RestApi) -> None:
    one = made(api)
    api.engine.state.recordings[one.sid] = replace(one, status=RecordingStatus.FAILED, error_code=16100)
    body = (await api.get(f"/Recordings/{ONE}.json")).json
    assert (body["status"], body["error_code"], body["media_url"]) == ("absent", 16100, None)


async def test_a_recording_is_paused_resumed_and_stopped_by_sid_or_as_the_current_one(api: RestApi) -> None:
    call = api.engine.call()
    begun = (await api.post(f"/Calls/{call.sid}/Recordings.json")).json["sid"]
    path = f"/Calls/{call.sid}/Recordings/Twilio.CURRENT.json"
    assert (await api.get(path)).json["sid"] == begun
    assert (await api.post(path, {"Status": "paused", "PauseBehavior": "skip"})).json["status"] == "paused"
    assert api.engine.commands[-1] == ChangeRecording(recording=begun, status="paused", skip=True)
    assert (await api.post(path, {"Status": "in-progress"})).json["status"] == "in-progress"
    by_sid = f"/Calls/{call.sid}/Recordings/{begun}.json"
    assert (await api.post(by_sid, {"Status": "stopped"})).json["status"] == "stopped"
    again = await api.post(by_sid, {"Status": "stopped"})
    assert (again.status, again.code) == (400, 21220)
    removed = await api.post(path, {"Status": "paused"})
    assert (removed.status, removed.code) == (404, 20404)


@pytest.mark.parametrize("form", [{}, {"Status": "deleted"}, {"Status": "paused", "PauseBehavior": "loud"}])
async def test_an_invalid_change_of_a_recording_is_refused(api: RestApi, form: dict[str, str]) -> None:
    call = api.engine.call()
    begun = (await api.post(f"/Calls/{call.sid}/Recordings.json")).json["sid"]
    assert (await api.post(f"/Calls/{call.sid}/Recordings/{begun}.json", form)).status == 400


@pytest.mark.parametrize("form", [{"RecordingChannels": "three"}, {"RecordingTrack": "none"}, {"Trim": "hair"}])
async def test_a_recording_with_invalid_parameters_is_refused(api: RestApi, form: dict[str, str]) -> None:
    call = api.engine.call()
    assert (await api.post(f"/Calls/{call.sid}/Recordings.json", form)).status == 400
    assert api.engine.state.recordings == {}


async def test_a_call_that_is_over_is_not_recorded(api: RestApi) -> None:
    call = api.engine.call(status=CallStatus.COMPLETED)
    refused = await api.post(f"/Calls/{call.sid}/Recordings.json")
    assert (refused.status, refused.code) == (400, 21220)


async def test_lists_of_recordings_are_filtered(api: RestApi) -> None:
    call, other = api.engine.call(), api.engine.call()
    room = api.engine.room(call)
    made(api, "RE" + "1" * 32, call=call.sid)
    made(api, "RE" + "2" * 32, call=other.sid, days=1)
    made(api, "RE" + "3" * 32, room=room.sid, days=2)
    assert sids(await api.get("/Recordings.json")) == ["3", "2", "1"]
    assert sids(await api.get(f"/Calls/{call.sid}/Recordings.json")) == ["1"]
    assert sids(await api.get(f"/Conferences/{room.sid}/Recordings.json")) == ["3"]
    assert sids(await api.get("/Recordings.json", f"CallSid={other.sid}")) == ["2"]
    assert sids(await api.get("/Recordings.json", f"ConferenceSid={room.sid}")) == ["3"]
    assert sids(await api.get("/Recordings.json", "DateCreated>=2027-01-16")) == ["3", "2"]
    assert (await api.delete(f"/Recordings/{'RE' + '2' * 32}.json")).status == 204
    assert sids(await api.get("/Recordings.json")) == ["3", "1"]
    assert sids(await api.get("/Recordings.json", "IncludeSoftDeleted=true")) == ["3", "2", "1"]
    assert (await api.get(f"/Recordings/{'RE' + '2' * 32}.json")).status == 404
    known = await api.get(f"/Recordings/{'RE' + '2' * 32}.json", "IncludeSoftDeleted=True")
    assert (known.json["status"], known.json["media_url"]) == ("deleted", None)
    assert (await api.get(f"/Recordings/{'RE' + '2' * 32}.wav", "IncludeSoftDeleted=true")).status == 404


async def test_a_recording_of_another_call_is_not_found_there(api: RestApi) -> None:
    call, other = api.engine.call(), api.engine.call()
    made(api, call=call.sid)
    assert (await api.get(f"/Calls/{other.sid}/Recordings/{ONE}.json")).status == 404
    assert (await api.get(f"/Calls/{'CA' + '9' * 32}/Recordings/{ONE}.json")).status == 404


async def test_calls_and_participants_are_placed_with_their_recording(api: RestApi) -> None:
    form = {"To": "client:bob", "From": OURS, "Url": VOICE_URL, "Record": "true", **FORMS}
    await api.post("/Calls.json", form)
    placed = api.engine.commands[-1]
    assert isinstance(placed, CreateCall)
    assert placed.record is not None
    assert (placed.record.source, placed.record.dual) == ("OutboundAPI", True)
    await api.post("/Calls.json", form | {"Record": "false"})
    placed = api.engine.commands[-1]
    assert isinstance(placed, CreateCall)
    assert placed.record is None
    form = {"To": "client:bob", "From": OURS, "Record": "true", "ConferenceRecord": "record-from-start"}
    await api.post("/Conferences/lobby/Participants.json", form | {"ConferenceTrim": "do-not-trim"})
    placed = api.engine.commands[-1]
    assert isinstance(placed, CreateCall)
    assert placed.reserve is not None
    assert placed.reserve.admission.record == RecordingOptions(source="Conference")
    assert placed.record == RecordingOptions(source="OutboundAPI", trim=True)
    assert api.warnings() == []


# --- the sound --------------------------------------------------------------------------------------------


class Folder:
    """Finds the files of recordings."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def path(self, recording: RecordingSid) -> Path | None:
        path = self._path / f"{recording}.wav"
        return path if path.exists() else None


@pytest.fixture
async def loud(tmp_path: Path) -> RestApi:
    """A REST API that knows the files of its recordings."""
    api = await new_rest_api(sounds=Folder(tmp_path))
    wave = np.stack([np.full(8000, 0.5), np.full(8000, -0.25)], axis=1)
    soundfile.write(tmp_path / f"{ONE}.wav", wave, 8000, subtype="PCM_16")
    api.engine.state.recordings[RecordingSid(ONE)] = replace(made(api), channels=2)
    return api


@pytest.mark.parametrize("suffix", ["", ".wav"])
async def test_the_audio_is_downloaded(loud: RestApi, suffix: str) -> None:
    with served(loud.app) as url:
        request = Request(f"{url}{BASE}/Recordings/{ONE}{suffix}", headers={"Authorization": BASIC})
        with await asyncio.to_thread(urlopen, request, timeout=10) as response:
            assert response.headers["Content-Type"] == "audio/x-wav"
            samples, rate = soundfile.read(io.BytesIO(response.read()))
    assert (rate, samples.shape) == (8000, (8000, 2))


async def test_two_channels_are_mixed_to_one_on_request(loud: RestApi) -> None:
    reply = await loud.get(f"/Recordings/{ONE}.wav", "RequestedChannels=1")
    samples, _ = soundfile.read(io.BytesIO(reply.body))
    assert samples.shape == (8000,)
    assert abs(samples.mean() - 0.125) < 0.01


async def test_a_recording_is_downloaded_as_mp3(loud: RestApi) -> None:
    reply = await loud.get(f"/Recordings/{ONE}.mp3")
    assert (reply.status, reply.headers["content-type"]) == (200, "audio/mpeg")
    assert soundfile.info(io.BytesIO(reply.body)).format == "MP3"


async def test_mp3_is_not_found_where_it_cannot_be_encoded(loud: RestApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def cannot(path: Path, *, mixed: bool) -> bytes:
        raise SoundUnplayable("no encoder")

    monkeypatch.setattr(recordings, "as_mp3", cannot)
    assert (await loud.get(f"/Recordings/{ONE}.mp3")).status == 404


@pytest.mark.parametrize("name", [f"{ONE}.ogg", f"{ONE}.wav.json", f"{ONE}.mp3.wav", "RE" + "7" * 32, "..%2F..%2Fx"])
async def test_other_formats_are_not_found(loud: RestApi, name: str) -> None:
    assert (await loud.get(f"/Recordings/{name}")).status == 404


async def test_a_mono_recording_has_no_two_channels(loud: RestApi) -> None:
    loud.engine.state.recordings[RecordingSid(ONE)] = made(loud)
    reply = await loud.get(f"/Recordings/{ONE}.wav", "RequestedChannels=2")
    assert (reply.status, reply.code) == (400, 16113)


async def test_a_removed_file_is_not_found(api: RestApi) -> None:
    made(api)
    assert (await api.get(f"/Recordings/{ONE}.wav")).status == 404


async def test_only_the_account_downloads_a_recording(loud: RestApi) -> None:
    assert (await loud.request("GET", f"{BASE}/Recordings/{ONE}.wav", authorization="")).status == 401
