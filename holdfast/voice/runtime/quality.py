"""How the calls sound: the newest figures of each leg, and of the media process itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from holdfast.voice.media_process.control_link.protocol import Load, Statistics
from holdfast.voice.model.ids import CallSid

MAX_ENDED = 1000
"""Legs that are over whose last figures can still be asked for."""


class Quality:
    """Told by the engine what the media process tells; asked by the API."""

    def __init__(self) -> None:
        self._live: dict[CallSid, Statistics] = {}
        self._ended: dict[CallSid, Statistics] = {}
        self._quiet: set[CallSid] = set()
        self.load: Load | None = None
        """What the process did in its last five seconds; None before."""
        self.ticks_skipped = 0
        self._strange_ended = 0

    @property
    def live(self) -> Mapping[CallSid, Statistics]:
        """Legs that have a row, by call. One that is younger than five seconds may be missing."""
        return self._live

    @property
    def unexpected_source_packets(self) -> int:
        """How many packets of all legs since the start came from where their rule lets none in."""
        return self._strange_ended + sum(each.strange for each in self._live.values())

    def latest(self, call: CallSid) -> Statistics | None:
        """The newest figures of a call, ended ones too for a while."""
        return self._live.get(call) or self._ended.get(call)

    def is_silent(self, call: CallSid) -> bool:
        """Whether a live call's party sent no packet between its last two figures, which are five seconds apart."""
        return call in self._quiet

    def record(self, fact: Statistics | Load) -> None:
        """Figures came."""
        match fact:
            case Load():
                self.load = fact
                self.ticks_skipped += fact.ticks_skipped
            case Statistics(final=True):
                call = CallSid(fact.leg)
                self._live.pop(call, None)
                self._quiet.discard(call)
                self._ended[call] = fact
                self._strange_ended += fact.strange
                if len(self._ended) > MAX_ENDED:
                    del self._ended[next(iter(self._ended))]
            case Statistics():
                call = CallSid(fact.leg)
                last = self._live.get(call)
                if last is not None and last.packets_received == fact.packets_received:
                    self._quiet.add(call)
                else:
                    self._quiet.discard(call)
                self._live[call] = fact

    def mark_lost(self, calls: Sequence[CallSid]) -> None:
        """The media process ended, and these legs with it."""
        for call in calls:
            self._quiet.discard(call)
            if (last := self._live.pop(call, None)) is not None:
                self._ended[call] = last
                self._strange_ended += last.strange
