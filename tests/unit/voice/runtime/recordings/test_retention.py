"""Old recordings: files are deleted after `keep_days`, their records forty days later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

import pytest

from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.model.commands import DeleteRecording, ForgetRecording, RecordingOptions
from holdfast.voice.model.effects import EraseCapture
from holdfast.voice.model.ids import AccountSid, CallSid, RecordingSid
from holdfast.voice.model.ports import JournalEntry, Snapshot
from holdfast.voice.runtime.recordings.retention import KNOWN_DAYS, due_commands, sweep
from holdfast.voice.runtime.switch import Switch
from tests.engine_ports import KeptEffects, make_mailbox

DAY_S = 86400.0
NOW = 1_800_000_000.0
TAPE = RecordingSid("RE" + "1" * 32)


def aged(days: float, status: RecordingStatus = RecordingStatus.COMPLETED) -> Recording:
    """Return a recording that was changed last this many days ago."""
    return Recording(
        sid=TAPE,
        account=AccountSid("AC" + "0" * 32),
        call=CallSid("CA" + "0" * 32),
        room=None,
        options=RecordingOptions(source="OutboundAPI"),
        channels=1,
        status=status,
        created_at=NOW - 1000 * DAY_S,
        updated_at=NOW - days * DAY_S,
    )


@pytest.mark.parametrize("status", [RecordingStatus.COMPLETED, RecordingStatus.ABSENT, RecordingStatus.FAILED])
def test_a_finished_recording_is_deleted_after_its_days(status: RecordingStatus) -> None:
    assert list(due_commands([aged(7.01, status)], now=NOW, keep_days=7)) == [DeleteRecording(recording=TAPE)]
    assert list(due_commands([aged(6.99, status)], now=NOW, keep_days=7)) == []
    assert list(due_commands([aged(0.26, status)], now=NOW, keep_days=0.25)) == [DeleteRecording(recording=TAPE)]


def test_without_keep_days_recordings_stay() -> None:
    assert list(due_commands([aged(36500)], now=NOW, keep_days=None)) == []


@pytest.mark.parametrize(
    "status",
    [RecordingStatus.IN_PROGRESS, RecordingStatus.PAUSED, RecordingStatus.STOPPED, RecordingStatus.PROCESSING],
)
def test_an_unfinished_recording_stays_at_any_age(status: RecordingStatus) -> None:
    assert list(due_commands([aged(100, status)], now=NOW, keep_days=1)) == []


@pytest.mark.parametrize("keep_days", [None, 1.0, 100.0])
def test_a_deleted_recording_is_forgotten_forty_days_later(keep_days: float | None) -> None:
    deleted = RecordingStatus.DELETED
    assert list(due_commands([aged(KNOWN_DAYS - 0.01, deleted)], now=NOW, keep_days=keep_days)) == []
    forgotten = list(due_commands([aged(KNOWN_DAYS + 0.01, deleted)], now=NOW, keep_days=keep_days))
    assert forgotten == [ForgetRecording(recording=TAPE)]


class Notes:
    """A journal that remembers the newest snapshots."""

    def __init__(self) -> None:
        self.kept: dict[str, str] = {}

    async def commit(self, entries: Iterable[JournalEntry], snapshots: Iterable[Snapshot]) -> None:
        self.kept |= {each.sid: each.data for each in snapshots}

    def trouble(self) -> str | None:
        return None

    async def prune(self) -> bool:
        return False

    async def load(self, *, kept: int) -> list[Snapshot]:
        return []

    async def entries(self, call: str, *, after: int = 0, limit: int = 10_000) -> list[JournalEntry]:
        return []


async def test_the_sweep_deletes_the_file_and_later_the_record() -> None:
    """The sweep runs every second day, on a recording of today that is kept seven days."""
    clock = [NOW]
    notes, effects = Notes(), KeptEffects()
    switch = Switch(journal=notes, mailbox=make_mailbox(lambda: clock[0]), effects=effects)
    switch.state.restore([aged(0)])
    running = asyncio.create_task(switch.run(), name="switch")
    seen = []
    while TAPE in switch.state.recordings:
        sweep(switch, keep_days=7)
        seen += [one.status.value for one in switch.state.recordings.values()]
        clock[0] += 2 * DAY_S
    await switch.settled()
    running.cancel()
    assert seen == ["completed"] * 4 + ["deleted"] * 21
    assert (effects.audio, effects.others) == ([], [EraseCapture(recording=TAPE)])
    assert notes.kept == {TAPE: ""}
