"""End calls when the engine stops, close those that an earlier run left open, and prune old records."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from holdfast.voice.control.state import MAX_FINISHED
from holdfast.voice.model.commands import EndCall
from holdfast.voice.model.errors import StoreFailed, VoiceError
from holdfast.voice.model.facts import LegEnded
from holdfast.voice.model.ports import Journal
from holdfast.voice.runtime.recordings.recorder import Recorder
from holdfast.voice.runtime.switch import Switch

log = logging.getLogger(__name__)

PRUNE_PAUSE_S: Final = 0.05
"""The pause between two prunings, in which current events are written to the store."""
RETRY_S: Final = 10.0


def hang_up_all(switch: Switch) -> None:
    """End every live call."""
    for call in [call.sid for call in switch.state.calls.values() if call.live]:
        try:
            switch.post(EndCall(call=call))
        except VoiceError as error:
            log.warning("call=%s could not be ended: %s", call, error.message)


async def end_calls_of_earlier_run(switch: Switch, journal: Journal, recorder: Recorder) -> None:
    """End the calls of an earlier run, whose SIP dialogs ended with it. Raises: StoreFailed."""
    switch.restore(await journal.load(kept=MAX_FINISHED))
    for call in [call.sid for call in switch.state.calls.values() if call.live]:
        switch.post(LegEnded(call=call, cause="lost", sip_code=503))
    for recording in [each for each in switch.state.recordings.values() if each.unfinished]:
        recorder.report_earlier(recording.sid)
    await switch.settled()


async def prune_journal(journal: Journal) -> None:
    """Delete calls and conferences that are too old, a few at a time, until none is left."""
    while True:
        try:
            if not await journal.prune():
                return
            await asyncio.sleep(PRUNE_PAUSE_S)
        except StoreFailed as error:
            log.warning("old calls could not be deleted yet: %s", error.message)
            await asyncio.sleep(RETRY_S)
