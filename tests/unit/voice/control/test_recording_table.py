"""Each cell of the recording's table: a listed message leads to a listed status, any other is refused untouched."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from holdfast.testing.world import ACCOUNT, START
from holdfast.voice.control import recording as machine
from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.control.read_only_state import Transition
from holdfast.voice.control.statuses import RECORDING_STARTS, RECORDING_TRANSITIONS, RecordingMessage
from holdfast.voice.model.commands import Callback, ChangeRecording, DeleteRecording, RecordingOptions
from holdfast.voice.model.effects import (
    ChangeCapture,
    EraseCapture,
    LogNotification,
    LogRefusal,
    PostCallback,
    StartCapture,
    StopCapture,
)
from holdfast.voice.model.errors import RecordingNotActive, RecordNotFinished
from holdfast.voice.model.facts import CaptureBegan, CaptureEnded, CaptureQuiet, RecordingFinished, RecordingQuiet
from holdfast.voice.model.ids import CallSid, RecordingSid
from holdfast.voice.model.internal_commands import BeginRecording, EndRecording
from scripts.diagrams import PAGE, draw_events

SID, CALL = RecordingSid("RE" + "1" * 32), CallSid("CA" + "1" * 32)
EVENTS = ("in-progress", "completed", "absent", "failed")
KINDS: tuple[type[RecordingMessage], ...] = get_args(RecordingMessage)
S = RecordingStatus
SAMPLES: tuple[RecordingMessage, ...] = (
    CaptureBegan(recording=SID, url="https://engine.example/1"),
    CaptureQuiet(recording=SID),
    CaptureEnded(recording=SID, duration_s=3.2),
    EndRecording(recording=SID),
    ChangeRecording(recording=SID, status="stopped"),
    DeleteRecording(recording=SID),
)
SAMPLE: dict[type[RecordingMessage], RecordingMessage] = {type(each): each for each in SAMPLES}


def recording(status: RecordingStatus, *, trim: bool = False) -> Recording:
    callback = Callback(url="https://app.example/recordings", events=EVENTS)
    return Recording(
        sid=SID,
        account=ACCOUNT,
        call=CALL,
        room=None,
        options=RecordingOptions(source="RecordVerb", trim=trim, callback=callback),
        for_verb=True,
        channels=1,
        status=status,
        created_at=START,
        updated_at=START,
    )


def step(before: Recording, message: RecordingMessage) -> Transition[Recording]:
    return machine.handle(before, message, START + 10.0)


Arrow = tuple[RecordingStatus, type[RecordingMessage], RecordingStatus]
ENDED = {
    S.COMPLETED: CaptureEnded(recording=SID, duration_s=3.2),
    S.ABSENT: CaptureEnded(recording=SID, duration_s=0.0),
    S.FAILED: CaptureEnded(recording=SID, duration_s=0.0, error="no space left on device"),
}
CHANGED: dict[RecordingStatus, RecordingMessage] = {
    S.PAUSED: ChangeRecording(recording=SID, status="paused"),
    S.IN_PROGRESS: ChangeRecording(recording=SID, status="in-progress"),
    S.STOPPED: ChangeRecording(recording=SID, status="stopped"),
}
LIVE, FINISHED = (S.IN_PROGRESS, S.PAUSED), (S.COMPLETED, S.ABSENT, S.FAILED)
ARROWS: dict[Arrow, RecordingMessage] = {
    **{
        (status, CaptureEnded, follower): message
        for status in (*LIVE, S.STOPPED, S.PROCESSING)
        for follower, message in ENDED.items()
    },
    **{(status, ChangeRecording, follower): message for status in LIVE for follower, message in CHANGED.items()},
    **{(status, EndRecording, S.PROCESSING): SAMPLE[EndRecording] for status in LIVE},
    **{(status, DeleteRecording, S.DELETED): SAMPLE[DeleteRecording] for status in FINISHED},
}


def named(cell: tuple[object, ...]) -> str:
    return " ".join(str(getattr(each, "__name__", each)) for each in cell)


def test_the_page_shows_the_table_with_its_conditions() -> None:
    drawn = draw_events("A recording", "holdfast/voice/control/statuses.py", RECORDING_TRANSITIONS, RECORDING_STARTS)
    assert drawn in PAGE.read_text("utf-8"), "run: make diagrams"


def test_there_is_a_sample_of_each_message() -> None:
    assert set(SAMPLE) == set(KINDS)


def test_each_change_and_each_choice_of_the_table_is_walked() -> None:
    listed = {
        (status, kind, follower)
        for (status, kind), followers in RECORDING_TRANSITIONS.items()
        for follower in followers
        if len(followers) > 1 or follower is not status
    }
    assert set(ARROWS) == listed


@pytest.mark.parametrize("arrow", ARROWS, ids=named)
def test_a_listed_message_leads_to_its_status(arrow: Arrow) -> None:
    status, _, follower = arrow
    moved = step(recording(status), ARROWS[arrow])
    assert moved.noun.status is follower
    assert not any(isinstance(each, LogRefusal) for each in moved.emitted)
    assert moved.noun.updated_at == (START if follower is status else START + 10.0)


@pytest.mark.parametrize(
    "cell", [cell for cell, followers in RECORDING_TRANSITIONS.items() if list(followers) == [cell[0]]], ids=named
)
def test_a_message_after_which_the_status_stays_is_taken(cell: tuple[RecordingStatus, type[RecordingMessage]]) -> None:
    status, kind = cell
    before = recording(status)
    moved = step(before, SAMPLE[kind])
    assert moved.noun.status is status
    assert not any(isinstance(each, LogRefusal) for each in moved.emitted)
    if not before.live and kind is not CaptureBegan:
        assert moved == (before, ())


@pytest.mark.parametrize(
    "cell", [cell for cell in product(RecordingStatus, KINDS) if cell not in RECORDING_TRANSITIONS], ids=named
)
def test_a_message_that_is_not_listed_is_refused_untouched(
    cell: tuple[RecordingStatus, type[RecordingMessage]],
) -> None:
    status, kind = cell
    before, message = recording(status), SAMPLE[kind]
    if kind is ChangeRecording:
        with pytest.raises(RecordingNotActive, match=status.value):
            step(before, message)
    elif kind is DeleteRecording:
        with pytest.raises(RecordNotFinished, match="cannot be deleted"):
            step(before, message)
    else:
        moved = step(before, message)
        assert moved.noun is before
        assert moved.emitted == (LogRefusal(noun=SID, status=status.value, message=kind.__name__),)


def test_a_recording_starts_in_progress() -> None:
    options = RecordingOptions(source="RecordVerb")
    begin = BeginRecording(recording=SID, account=ACCOUNT, options=options, call=CALL)
    begun = machine.begin(begin, START)
    assert [begun.noun.status] == [*RECORDING_STARTS[BeginRecording]]
    assert begun.emitted == (StartCapture(recording=SID, channels=(((CALL, "says"), (CALL, "hears")),)),)


# --- what each change emits -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("skip", "mode"), [(False, "silent"), (True, "off")])
def test_a_pause_captures_silence_or_nothing(skip: bool, mode: str) -> None:
    pause = ChangeRecording(recording=SID, status="paused", skip=skip)
    assert step(recording(S.IN_PROGRESS), pause).emitted == (
        ChangeCapture(recording=SID, mode=mode),  # type: ignore[arg-type]  # one of the literals above
    )


@pytest.mark.parametrize("skip", [False, True])
def test_a_continued_recording_captures_again(skip: bool) -> None:
    change = ChangeRecording(recording=SID, status="in-progress", skip=skip)
    assert step(recording(S.PAUSED), change).emitted == (ChangeCapture(recording=SID, mode="on"),)


@pytest.mark.parametrize("status", LIVE)
@pytest.mark.parametrize("trim", [False, True])
def test_an_end_and_a_stop_complete_the_file_with_or_without_silence(status: RecordingStatus, trim: bool) -> None:
    for message in (EndRecording(recording=SID), CHANGED[S.STOPPED]):
        assert step(recording(status, trim=trim), message).emitted == (StopCapture(recording=SID, trim=trim),)


def test_a_second_deletion_erases_nothing() -> None:
    assert step(recording(S.COMPLETED), SAMPLE[DeleteRecording]).emitted == (EraseCapture(recording=SID),)
    assert step(recording(S.DELETED), SAMPLE[DeleteRecording]).emitted == ()


def test_a_paused_recording_reports_no_silence_to_its_verb() -> None:
    assert step(recording(S.IN_PROGRESS), SAMPLE[CaptureQuiet]).emitted == (RecordingQuiet(call=CALL, recording=SID),)
    assert step(recording(S.PAUSED), SAMPLE[CaptureQuiet]).emitted == ()


@pytest.mark.parametrize(
    ("duration_s", "error", "status", "duration", "code", "verb_duration"),
    [
        (0.0, "", S.ABSENT, 0, 16101, 0),
        (0.2, "", S.COMPLETED, 1, 0, 1),
        (3.49, "", S.COMPLETED, 3, 0, 3),
        (3.5, "", S.COMPLETED, 4, 0, 4),
        (3.2, "disk full", S.COMPLETED, 3, 16100, 3),
        (0.0, "disk full", S.FAILED, 0, 16100, 0),
    ],
)
def test_the_end_of_a_capture_decides_status_duration_and_code(
    duration_s: float, error: str, status: RecordingStatus, duration: int, code: int, verb_duration: int
) -> None:
    moved = step(recording(S.PROCESSING), CaptureEnded(recording=SID, duration_s=duration_s, error=error))
    found = moved.noun
    assert (found.status, found.duration_s, found.error_code) == (status, duration, code)
    (callback,) = (each for each in moved.emitted if isinstance(each, PostCallback))
    form = dict(callback.request.form)
    assert (form["RecordingStatus"], form["RecordingDuration"], form["ErrorCode"]) == (
        status.value,
        str(duration),
        str(code),
    )
    notes = [each for each in moved.emitted if isinstance(each, LogNotification)]
    assert [(each.code, each.log) for each in notes] == ([(16100, 0)] if error else [])
    finished = RecordingFinished(call=CALL, recording=SID, duration_s=verb_duration)
    assert [each for each in moved.emitted if isinstance(each, RecordingFinished)] == [finished]


def test_a_capture_that_ended_early_is_kept_with_an_error_in_the_log() -> None:
    command = BeginRecording(
        recording=SID, account=ACCOUNT, options=RecordingOptions(source="StartCallRecordingAPI"), call=CALL
    )
    fact = CaptureEnded(recording=SID, duration_s=2.6, error="the disk is full")
    ended = machine.handle(machine.begin(command, START).noun, fact, START + 3)
    assert (ended.noun.status, ended.noun.duration_s, ended.noun.error_code) == (RecordingStatus.COMPLETED, 3, 16100)
    (logged,) = (each for each in ended.emitted if isinstance(each, LogNotification))
    assert (logged.call, logged.code, logged.log) == (CALL, 16100, 0)
