"""Count each digit once when a phone reports it both by telephone event and by INFO.

Source: RFC 4733; RFC 6086. Only the digit and the time connect the two reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field

PAIRING_WINDOW_S = 0.5
"""How far apart the two reports may be. An INFO may also wait for the end of the press."""
LONGEST_PRESS_S = 5.0
"""The longest duration of a press that an INFO may report."""

MAX_REMEMBERED = 50
"""How many digits are remembered; no person presses more in that time."""


@dataclass(slots=True, eq=False)
class ReportedDigit:
    """A digit reported by INFO, whose telephone event may still arrive."""

    digit: str
    at_s: float


@dataclass(slots=True)
class DtmfDedup:
    """The digits of one leg that may be reported a second time.

    Invariant: each press cancels one INFO of the same digit, and each INFO that counted cancels one press, in either
    order; no report cancels two.
    """

    info_only: bool = False
    """Whether the phone's last digit came by INFO alone: then the next is not delayed, until one is detected in RTP."""
    _audio_digits: list[tuple[str, float]] = field(default_factory=list)
    _waiting: list[ReportedDigit] = field(default_factory=list)
    _reported: list[ReportedDigit] = field(default_factory=list)
    """The digits by INFO that counted a short time ago."""

    def handle_audio_digit(self, digit: str, now: float) -> bool:
        """Return whether a digit detected in RTP counts. If it does, an INFO for it does not."""
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
        """Handle a digit reported by INFO; return it for `stop_waiting`, or None if it was detected in RTP."""
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
        """Return the digits that came by INFO alone and count now, in order of arrival.

        A digit detected in RTP meanwhile is not among them. Digits reported after this one are not waited for either:
        by now it is known what this phone does.
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
