"""How calls end with a run: with this one at its end, with an earlier one at our start; and when their records go."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from holdfast.voice.control.state import KEPT
from holdfast.voice.model.commands import EndCall
from holdfast.voice.model.errors import StoreFailed, VoiceError
from holdfast.voice.model.facts import LegEnded
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.recordings.recorder import Recorder
from holdfast.voice.runtime.switch import Switch

log = logging.getLogger(__name__)

PRUNE_PAUSE_S: Final = 0.05
"""Between two prunings, so that what happens now is written in between."""
RETRY_S: Final = 10.0


def hang_up_all(switch: Switch) -> None:
    """End every call that lives."""
    for call in [call.sid for call in switch.state.calls.values() if call.live]:
        try:
            switch.post(EndCall(call=call))
        except VoiceError as error:
            log.warning("call=%s could not be ended: %s", call, error.message)


async def end_calls_of_earlier_run(switch: Switch, journal: Journal, recorder: Recorder) -> None:
    """End the calls of an earlier run: their phones' dialogs ended with it. Raises: StoreFailed."""
    switch.restore(await journal.load(kept=KEPT))
    for call in [call.sid for call in switch.state.calls.values() if call.live]:
        switch.post(LegEnded(call=call, cause="lost", sip_code=503))
    for recording in [one for one in switch.state.recordings.values() if one.unfinished]:
        recorder.report_earlier(recording.sid)
    await switch.settled()


async def prune_journal(journal: Journal) -> None:
    """Delete what is too old to be kept, a little at a time, until nothing is left of it."""
    while True:
        try:
            if not await journal.prune():
                return
            await asyncio.sleep(PRUNE_PAUSE_S)
        except StoreFailed as error:
            log.warning("calls that are too old could not be deleted yet: %s", error.message)
            await asyncio.sleep(RETRY_S)
