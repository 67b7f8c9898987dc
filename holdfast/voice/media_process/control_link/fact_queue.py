"""Facts on their way to somebody who may be slow, or away."""

from __future__ import annotations

from collections import deque

from holdfast.voice.media_process.control_link import protocol as m


class FactQueue:
    """A bounded line of facts. When it is full the oldest statistics go first, then the oldest facts of any kind;
    how many went is told, as `FactsLost`, before the next fact that is taken.
    """

    def __init__(self, *, limit: int) -> None:
        self._limit = limit
        self._facts: deque[m.Fact] = deque()
        self._lost = 0

    def __len__(self) -> int:
        return len(self._facts) + bool(self._lost)

    def post(self, fact: m.Fact) -> None:
        """Add a fact at the end."""
        self._facts.append(fact)
        if len(self._facts) > self._limit:
            self._make_room()

    def pop(self) -> m.Fact | None:
        """The oldest fact, or None."""
        if self._lost:
            lost, self._lost = self._lost, 0
            return m.FactsLost(count=lost)
        return self._facts.popleft() if self._facts else None

    def put_back(self, fact: m.Fact) -> None:
        """Undo a `take`: the fact did not reach its reader."""
        self._facts.appendleft(fact)

    def _make_room(self) -> None:
        """Drop all statistics, since newer ones say the same and more; a tenth of the line if there are none."""
        before = len(self._facts)
        kept = [fact for fact in self._facts if not isinstance(fact, m.Statistics | m.Load)]
        if len(kept) == before:
            kept = kept[max(1, self._limit // 10) :]
        self._lost += before - len(kept)
        self._facts = deque(kept)
