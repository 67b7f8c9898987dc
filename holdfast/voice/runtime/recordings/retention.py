"""Delete old recordings: their files after `keep_days`, the records of deleted ones after forty more days."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.model.commands import DeleteRecording, ForgetRecording
from holdfast.voice.runtime.switch import Switch

KNOWN_DAYS: Final = 40.0
"""The days for which a deleted recording stays in lists. Source: Twilio API, Recording, `IncludeSoftDeleted`."""
SWEEP_S: Final = 3600.0
DAY_S: Final = 86400.0


def due_commands(
    recordings: Iterable[Recording], *, now: float, keep_days: float | None
) -> Iterator[DeleteRecording | ForgetRecording]:
    """Yield the commands that delete or forget old recordings.

    The age counts from the last change: the end or the deletion. `keep_days`: None keeps files without limit.
    """
    for recording in recordings:
        age_days = (now - recording.updated_at) / DAY_S
        if recording.status is RecordingStatus.DELETED:
            if age_days > KNOWN_DAYS:
                yield ForgetRecording(recording=recording.sid)
        elif keep_days is not None and age_days > keep_days and not (recording.live or recording.unfinished):
            yield DeleteRecording(recording=recording.sid)


def sweep(switch: Switch, *, keep_days: float | None) -> None:
    """Delete and forget the recordings that are due."""
    for command in list(due_commands(switch.state.recordings.values(), now=switch.now(), keep_days=keep_days)):
        switch.post(command)


async def keep_sweeping(switch: Switch, *, keep_days: float | None) -> None:
    """Sweep now and once an hour, until cancelled."""
    while True:
        sweep(switch, keep_days=keep_days)
        await asyncio.sleep(SWEEP_S)
