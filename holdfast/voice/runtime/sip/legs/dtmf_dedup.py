"""Keys that a phone tells of both by telephone event and by INFO, which count once.

Source: RFC 4733; RFC 6086. Nothing ties the two together but the key and the time.
"""

from __future__ import annotations

from dataclasses import dataclass, field

TOGETHER_S = 0.5
"""How far apart the two may come. An INFO may also wait for the end of the press."""
LONGEST_S = 5.0
"""The longest press that an INFO is believed to tell of."""

MOST_PRESSED = 50
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

    alone: bool = False
    """Whether this phone's last key came by INFO alone: then nothing is waited for, until it is heard to press one."""
    _pressed: list[tuple[str, float]] = field(default_factory=list)
    _told: list[ReportedDigit] = field(default_factory=list)
    _counted: list[ReportedDigit] = field(default_factory=list)
    """Told keys that counted, a short time ago."""

    def press(self, digit: str, now: float) -> bool:
        """A key came as sound: whether it counts. If it does, an INFO of it does not."""
        self.alone = False
        self._counted = self._counted_since(now - TOGETHER_S)
        counted = next((told for told in self._counted if told.digit == digit), None)
        waiting = next((told for told in self._told if told.digit == digit), None)
        if counted is not None:
            self._counted.remove(counted)
        elif waiting is not None:
            self._told.remove(waiting)
        else:
            self._pressed = [*self._recent(now), (digit, now)]
        return counted is None

    def tell(self, digit: str, now: float, *, lasted_s: float) -> ReportedDigit | None:
        """A key came by INFO: None when it is one that came as sound, else what `settle` is to be asked about."""
        self._pressed = self._recent(now)
        since_s = now - TOGETHER_S - min(lasted_s, LONGEST_S)
        same = next(((known, at_s) for known, at_s in self._pressed if known == digit and at_s >= since_s), None)
        if same is not None:
            self._pressed.remove(same)
            return None
        told = ReportedDigit(digit, now)
        self._told.append(told)
        return told

    def settle(self, told: ReportedDigit) -> tuple[str, ...]:
        """Nothing more is waited for: the keys that came by INFO alone and count now, in the order they came.

        One that came as sound meanwhile does not. Those told after it are not waited for either: what this phone does
        is known now.
        """
        if told not in self._told:
            return ()
        count, self._told = self._told, []
        self.alone = True
        self._counted = [*self._counted_since(count[0].at_s - TOGETHER_S), *count][-MOST_PRESSED:]
        return tuple(counted.digit for counted in count)

    def _counted_since(self, since_s: float) -> list[ReportedDigit]:
        return [told for told in self._counted if told.at_s >= since_s]

    def _recent(self, now: float) -> list[tuple[str, float]]:
        recent = [(known, at_s) for known, at_s in self._pressed if now - at_s <= TOGETHER_S + LONGEST_S]
        return recent[-MOST_PRESSED:]
