"""Keep the newest audio statistics of each leg and of the media process, and count what it reports of itself."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import assert_never

from holdfast.voice.media_process.control_link.protocol import (
    FactsLost,
    FirstPacket,
    Load,
    RowAudioStarted,
    Statistics,
    TicksSkipped,
)
from holdfast.voice.model.ids import CallSid

log = logging.getLogger(__name__)

MAX_ENDED = 1000
"""The maximum number of ended legs whose last statistics are kept."""


class Quality:
    """The engine records statistics of the media process here, and the API reads them."""

    def __init__(self) -> None:
        self._live: dict[CallSid, Statistics] = {}
        self._ended: dict[CallSid, Statistics] = {}
        self._silent: set[CallSid] = set()
        self.load: Load | None = None
        """The load of the media process in its last five seconds; None before the first report."""
        self.ticks_skipped = 0
        self.stalls = 0
        """How often the media process could not run in time and skipped ticks."""
        self.facts_lost = 0
        """How many facts the media process dropped because control did not read them."""
        self.sources = 0
        """How many addresses legs latched to: the first of each leg, and each later one."""
        self.sounds_started = 0
        """How many sounds began: their first packet was sent."""
        self._unexpected_ended = self._too_long_ended = 0

    @property
    def live(self) -> Mapping[CallSid, Statistics]:
        """The statistics of live legs by call; a leg younger than five seconds may be missing."""
        return self._live

    @property
    def unexpected_source_packets(self) -> int:
        """The number of packets of all legs since the start that came from a source that is not allowed."""
        return self._unexpected_ended + sum(each.strange for each in self._live.values())

    @property
    def too_long_packets(self) -> int:
        """The number of packets of all legs since the start that held more audio than is taken."""
        return self._too_long_ended + sum(each.packets_too_long for each in self._live.values())

    def latest(self, call: CallSid) -> Statistics | None:
        """Return the newest statistics of a call, which may have ended a while ago."""
        return self._live.get(call) or self._ended.get(call)

    def is_silent(self, call: CallSid) -> bool:
        """Return whether a live call's party sent no packet between its last two reports, five seconds apart."""
        return call in self._silent

    def record(self, fact: Statistics | Load | TicksSkipped | FactsLost | FirstPacket | RowAudioStarted) -> None:
        """Record a report of the media process. Skipped ticks are logged once for each `Load`."""
        match fact:
            case Load():
                self.load = fact
                self.ticks_skipped += fact.ticks_skipped
                if fact.ticks_skipped:
                    log.warning(
                        "the media process skipped %d of %d ticks", fact.ticks_skipped, fact.ticks_skipped + fact.ticks
                    )
            case TicksSkipped():
                self.stalls += 1
            case FactsLost(count=count):
                self.facts_lost += count
                log.error("fact=FactsLost the media process dropped %d facts that control did not read", count)
            case FirstPacket(leg=leg, source=(host, port)):
                self.sources += 1
                log.info("call=%s fact=FirstPacket source=%s:%d", leg, host, port)
            case RowAudioStarted(leg=leg, token=token):
                self.sounds_started += 1
                log.debug("call=%s fact=RowAudioStarted token=%s", leg, token)
            case Statistics(final=True):
                call = CallSid(fact.leg)
                self._live.pop(call, None)
                self._silent.discard(call)
                self._keep_ended(call, fact)
                if len(self._ended) > MAX_ENDED:
                    del self._ended[next(iter(self._ended))]
            case Statistics():
                call = CallSid(fact.leg)
                last = self._live.get(call)
                if last is not None and last.packets_received == fact.packets_received:
                    self._silent.add(call)
                else:
                    self._silent.discard(call)
                self._live[call] = fact
            case _:
                assert_never(fact)

    def mark_lost(self, calls: Sequence[CallSid]) -> None:
        """Move these legs to the ended ones, because the media process stopped."""
        for call in calls:
            self._silent.discard(call)
            if (last := self._live.pop(call, None)) is not None:
                self._keep_ended(call, last)

    def _keep_ended(self, call: CallSid, last: Statistics) -> None:
        self._ended[call] = last
        self._unexpected_ended += last.strange
        self._too_long_ended += last.packets_too_long
