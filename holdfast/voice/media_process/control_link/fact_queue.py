"""A bounded queue of facts for a reader that may be slow or away."""

from __future__ import annotations

from collections import deque

from holdfast.voice.media_process.control_link import protocol as m


class FactQueue:
    """A fact queue is bounded. When it is full the oldest statistics go first, then the oldest facts of any kind.

    The number of dropped facts is reported as `FactsLost` before the next fact that is popped.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._facts: deque[m.Fact] = deque()
        self._lost = 0

    def __len__(self) -> int:
        return len(self._facts) + bool(self._lost)

    def post(self, fact: m.Fact) -> None:
        """Post a fact: add it at the end."""
        self._facts.append(fact)
        if len(self._facts) > self._limit:
            self._make_room()

    def pop(self) -> m.Fact | None:
        """Return and remove the oldest fact; None when there is none."""
        if self._lost:
            lost, self._lost = self._lost, 0
            return m.FactsLost(count=lost)
        return self._facts.popleft() if self._facts else None

    def put_back(self, fact: m.Fact) -> None:
        """Put back a fact that did not reach its reader."""
        self._facts.appendleft(fact)

    def _make_room(self) -> None:
        """Drop all statistics, since newer ones replace them; a tenth of the queue if there are none."""
        before = len(self._facts)
        kept = [fact for fact in self._facts if not isinstance(fact, m.Statistics | m.Load)]
        if len(kept) == before:
            kept = kept[max(1, self._limit // 10) :]
        self._lost += before - len(kept)
        self._facts = deque(kept)
