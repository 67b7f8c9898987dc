"""Keys that a phone tells of both by telephone event and by INFO, which count once.

Source: RFC 4733; RFC 6086. Nothing ties the two together but the key and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PAIRING_WINDOW_S = 0.5
"""How far apart the two may come. An INFO may also wait for the end of the press."""
LONGEST_PRESS_S = 5.0
"""The longest press that an INFO is believed to tell of."""

MAX_REMEMBERED = 50
"""Nobody presses more in that time; more are a machine's."""


@dataclass(slots=True, eq=False)
class ReportedDigit:
    """A key told by INFO, whose telephone event may still come."""

    digit: str
    at_s: float


@dataclass(slots=True)
class DtmfDedup:
    """The keys of one leg that may yet come the other way.

    Invariant: each press makes one INFO of the same key nothing, and each INFO that counted one press, whichever comes
    first; no INFO two presses, and no press two INFOs.
    """

    info_only: bool = False
    """Whether this phone's last key came by INFO alone: then nothing is waited for, until it is heard to press one."""
    _audio_digits: list[tuple[str, float]] = field(default_factory=list)
    _waiting: list[ReportedDigit] = field(default_factory=list)
    _reported: list[ReportedDigit] = field(default_factory=list)
    """Told keys that counted, a short time ago."""

    def handle_audio_digit(self, digit: str, now: float) -> bool:
        """A key came as sound: whether it counts. If it does, an INFO of it does not."""
        self.info_only = False
        self._reported = self._reported_since(now - PAIRING_WINDOW_S)
        counted = next((told for told in self._reported if told.digit == digit), None)
        waiting = next((told for told in self._waiting if told.digit == digit), None)
        if counted is not None:
            self._reported.remove(counted)
        elif waiting is not None:
            self._waiting.remove(waiting)
        else:
            self._audio_digits = [*self._recent(now), (digit, now)]
        return counted is None

    def handle_info_digit(self, digit: str, now: float, *, lasted_s: float) -> ReportedDigit | None:
        """A key came by INFO: None when it is one that came as sound, else what `settle` is to be asked about."""
        self._audio_digits = self._recent(now)
        since_s = now - PAIRING_WINDOW_S - min(lasted_s, LONGEST_PRESS_S)
        same = next(((known, at_s) for known, at_s in self._audio_digits if known == digit and at_s >= since_s), None)
        if same is not None:
            self._audio_digits.remove(same)
            return None
        told = ReportedDigit(digit, now)
        self._waiting.append(told)
        return told

    def stop_waiting(self, reported: ReportedDigit) -> tuple[str, ...]:
        """Nothing more is waited for: the keys that came by INFO alone and count now, in the order they came.

        One that came as sound meanwhile does not. Those told after it are not waited for either: what this phone does
        is known now.
        """
        if reported not in self._waiting:
            return ()
        count, self._waiting = self._waiting, []
        self.info_only = True
        self._reported = [*self._reported_since(count[0].at_s - PAIRING_WINDOW_S), *count][-MAX_REMEMBERED:]
        return tuple(counted.digit for counted in count)

    def _reported_since(self, since_s: float) -> list[ReportedDigit]:
        return [told for told in self._reported if told.at_s >= since_s]

    def _recent(self, now: float) -> list[tuple[str, float]]:
        recent = [
            (known, at_s) for known, at_s in self._audio_digits if now - at_s <= PAIRING_WINDOW_S + LONGEST_PRESS_S
        ]
        return recent[-MAX_REMEMBERED:]
