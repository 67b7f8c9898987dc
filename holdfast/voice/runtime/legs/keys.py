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
class Told:
    """A key told by INFO whose telephone event may still come."""

    digit: str


@dataclass(slots=True)
class Keys:
    """The keys of one leg that may yet come the other way.

    Invariant: each press makes one INFO of the same key nothing, whichever comes first, and no INFO two presses.
    """

    _pressed: list[tuple[str, float]] = field(default_factory=list)
    _told: list[Told] = field(default_factory=list)

    def press(self, digit: str, now: float) -> None:
        """A key came as sound: it counts, and an INFO of it does not."""
        waiting = next((told for told in self._told if told.digit == digit), None)
        if waiting is not None:
            self._told.remove(waiting)
        else:
            self._pressed = [*self._recent(now), (digit, now)]

    def tell(self, digit: str, now: float, *, lasted_s: float) -> Told | None:
        """A key came by INFO: None when it is one that came as sound, else what `settle` is to be asked about."""
        self._pressed = self._recent(now)
        since_s = now - TOGETHER_S - min(lasted_s, LONGEST_S)
        same = next(((known, at_s) for known, at_s in self._pressed if known == digit and at_s >= since_s), None)
        if same is not None:
            self._pressed.remove(same)
            return None
        told = Told(digit)
        self._told.append(told)
        return told

    def _recent(self, now: float) -> list[tuple[str, float]]:
        recent = [(known, at_s) for known, at_s in self._pressed if now - at_s <= TOGETHER_S + LONGEST_S]
        return recent[-MOST_PRESSED:]

    def settle(self, told: Told) -> bool:
        """Nothing more is waited for: whether the key came by INFO alone, and counts."""
        if told not in self._told:
            return False
        self._told.remove(told)
        return True
