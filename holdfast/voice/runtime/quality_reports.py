"""Keep the newest audio statistics of each leg and of the media process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.voice.media_process.control_link.protocol import Load, Statistics
from holdfast.voice.model.ids import CallSid

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
        self._unexpected_ended = 0

    @property
    def live(self) -> Mapping[CallSid, Statistics]:
        """The statistics of live legs by call; a leg younger than five seconds may be missing."""
        return self._live

    @property
    def unexpected_source_packets(self) -> int:
        """The number of packets of all legs since the start that came from a source that is not allowed."""
        return self._unexpected_ended + sum(each.strange for each in self._live.values())

    def latest(self, call: CallSid) -> Statistics | None:
        """Return the newest statistics of a call, which may have ended a while ago."""
        return self._live.get(call) or self._ended.get(call)

    def is_silent(self, call: CallSid) -> bool:
        """Return whether a live call's party sent no packet between its last two reports, five seconds apart."""
        return call in self._silent

    def record(self, fact: Statistics | Load) -> None:
        """Record a report of the media process."""
        match fact:
            case Load():
                self.load = fact
                self.ticks_skipped += fact.ticks_skipped
            case Statistics(final=True):
                call = CallSid(fact.leg)
                self._live.pop(call, None)
                self._silent.discard(call)
                self._ended[call] = fact
                self._unexpected_ended += fact.strange
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

    def mark_lost(self, calls: Sequence[CallSid]) -> None:
        """Move these legs to the ended ones, because the media process stopped."""
        for call in calls:
            self._silent.discard(call)
            if (last := self._live.pop(call, None)) is not None:
                self._ended[call] = last
                self._unexpected_ended += last.strange
