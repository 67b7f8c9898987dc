"""How long the service waits for what, in one place."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """Bounds on waiting.

    Units: seconds.
    """

    settle_s: float = 10.0
    """For the account to show that what it accepted has happened."""
    forming_s: float = 3.0
    """For a conference that is still forming: it is made after the document that asks for it was fetched."""
    first_look_s: float = 0.02
    slowest_look_s: float = 0.5
    check_every_s: float = 5.0
    """Between two looks at everything that is held."""
    phones_every_s: float = 1.0
    """Between two looks at phones that hold by themselves."""

    def looks(self, total_s: float) -> Iterator[float]:
        """The pauses between looks: short at first, doubling, `total_s` in all."""
        pause_s, left_s = self.first_look_s, total_s
        while left_s > 0:
            yield min(pause_s, left_s)
            left_s -= pause_s
            pause_s = min(pause_s * 2, self.slowest_look_s)
