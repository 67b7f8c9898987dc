"""How long recordings stay: their sound `keep_days`, what is known of a deleted one forty days more."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from holdfast.voice.control.entities import Recording, RecordingStatus
from holdfast.voice.model.commands import DeleteRecording, ForgetRecording
from holdfast.voice.runtime.switch import Switch

KNOWN_DAYS: Final = 40.0
"""How long a deleted recording is still in lists. Source: Twilio API, Recording, `IncludeSoftDeleted`."""
SWEEP_S: Final = 3600.0
DAY_S: Final = 86400.0


def due_commands(
    recordings: Iterable[Recording], *, now: float, keep_days: float | None
) -> Iterator[DeleteRecording | ForgetRecording]:
    """What is to be deleted or forgotten now. Age counts from the last change: the end, or the deletion.

    `keep_days`: None keeps sound for ever.
    """
    for one in recordings:
        age_days = (now - one.updated_at) / DAY_S
        if one.status is RecordingStatus.DELETED:
            if age_days > KNOWN_DAYS:
                yield ForgetRecording(recording=one.sid)
        elif keep_days is not None and age_days > keep_days and not (one.live or one.unfinished):
            yield DeleteRecording(recording=one.sid)


def sweep(switch: Switch, *, keep_days: float | None) -> None:
    """Delete and forget what is due."""
    for command in list(due_commands(switch.state.recordings.values(), now=switch.now(), keep_days=keep_days)):
        switch.post(command)


async def keep_sweeping(switch: Switch, *, keep_days: float | None) -> None:
    """Sweep now and once an hour, until cancelled."""
    while True:
        sweep(switch, keep_days=keep_days)
        await asyncio.sleep(SWEEP_S)
