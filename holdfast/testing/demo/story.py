"""The phases of an act of the demo, and the check of what each ear heard in them.

Units: seconds of the clock of `holdfast.testing.clock`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from holdfast.testing.audio.ears import Ear
from holdfast.testing.audio.recogniser import describe


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """The time from one request to the next, with the sound that each party should hear by then."""

    title: str
    asked_s: float
    until_s: float
    expected: Mapping[str, str]
    held: str | None = None


class PhoneStatus(Protocol):
    """A phone whose call state can be shown."""

    @property
    def status(self) -> str:
        """Return the state of the call, in a word."""
        ...


@dataclass(slots=True, kw_only=True)
class Act:
    """One call with its parties, their ears, and the phases it went through."""

    title: str
    how: str
    parties: tuple[str, ...]
    listen_s: float = 0.0
    """How long each phase goes on after it is heard as expected."""
    ears: dict[str, Ear] = field(default_factory=dict)
    phones: dict[str, PhoneStatus] = field(default_factory=dict)
    held: str | None = None
    phases: list[Phase] = field(default_factory=list)
    failure: str | None = None
    """Why the act could not go on, if it could not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ActFinding:
    """What one ear heard in one phase, over its whole length.

    `switch_s` is from the request to the first packet of what was expected, None if that never arrived. `leaks` counts
    the packets after it that carry a party who should not be heard.
    """

    act: str
    phase: str
    party: str
    expected: str
    heard: tuple[str, ...]
    switch_s: float | None
    leaks: int

    @property
    def as_expected(self) -> bool:
        """Return whether the ear began to hear what it should, and nothing else from then on."""
        if self.switch_s is None or self.leaks:
            return False
        return set(self.heard[self.heard.index(self.expected) :]) == {self.expected}


def status_of(act: Act, party: str) -> str:
    """Return the state of a party's call, in a word."""
    return act.phones[party].status if party in act.phones else "no phone yet"


def findings(act: Act) -> list[ActFinding]:
    """Return the findings of every phase at every ear of an act."""
    return [_finding(act, phase, party) for phase in act.phases for party in act.parties]


def _finding(act: Act, phase: Phase, party: str) -> ActFinding:
    ear, wanted = act.ears[party], phase.expected[party]
    heard = ear.intervals(since_s=phase.asked_s, until_s=phase.until_s)
    begins_s = next((interval.start_s for interval in heard if interval.heard == frozenset({wanted})), None)
    others = set(act.parties) - {wanted}
    after = [] if begins_s is None else ear.heard(since_s=begins_s, until_s=phase.until_s)
    return ActFinding(
        act=act.title,
        phase=phase.title,
        party=party,
        expected=wanted,
        heard=tuple(describe(interval.heard) for interval in heard),
        switch_s=None if begins_s is None else begins_s - phase.asked_s,
        leaks=sum(1 for _, names in after if names & others),
    )


def as_expected(acts: list[Act]) -> bool:
    """Return the verdict: every act was played to its end, and every phase was heard as it should be at every ear."""
    return all(
        act.failure is None and bool(act.phases) and all(finding.as_expected for finding in findings(act))
        for act in acts
    )
