"""Where each leg sits in the audio: its room, whether that room hears it, and what it hears itself.

Which leg hears which follows from the seats (`routing`) and is stored nowhere.
"""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.frames import Mask, Numbers

NO_ROOM = -1
EVERY_LISTENER = -1
OWN_AUDIO = -1
NO_ROW = -2
"""In place of a row that is not open: it is heard by no leg, and says nothing."""


class Seats:
    """Seats hold the place of each leg by row. A leg without a room hears its own player.

    Shape: one value per row. `room` is the number of a room, 0 or more.
    """

    def __init__(self, rows: int) -> None:
        self.in_use: Mask = np.zeros(rows, dtype=np.bool_)
        self.sending: Mask = np.ones(rows, dtype=np.bool_)
        """Whether the leg is sent anything."""
        self.room: Numbers = np.full(rows, NO_ROOM, dtype=np.intp)
        self.held: Mask = np.zeros(rows, dtype=np.bool_)
        self.heard: Mask = np.zeros(rows, dtype=np.bool_)
        """Whether the leg is heard in its room."""
        self.listens: Mask = np.zeros(rows, dtype=np.bool_)
        """Whether the leg hears its room, and not its own player."""
        self.coached: Numbers = np.full(rows, EVERY_LISTENER, dtype=np.intp)
        """The only row that hears the leg, or every listener of its room."""
        self.instead: Numbers = np.full(rows, OWN_AUDIO, dtype=np.intp)
        """The row that the leg hears in place of its room and its player, if any."""

    def open(self, row: int) -> None:
        """Open a row: it has no room, and hears its own player."""
        self.leave(row)
        self.in_use[row] = self.sending[row] = True

    def close(self, row: int) -> None:
        """Close a row: no leg hears it, whatever leg has the row next."""
        self.leave(row)
        self.in_use[row] = False
        self.coached[self.coached == row] = NO_ROW
        self.instead[self.instead == row] = NO_ROW

    def leave(self, row: int) -> None:
        """Take a leg out of its room: it hears its own player."""
        self.room[row] = NO_ROOM
        self.held[row] = self.heard[row] = self.listens[row] = False
        self.coached[row], self.instead[row] = EVERY_LISTENER, OWN_AUDIO

    def plays_own(self, row: int) -> bool:
        """Return whether a leg hears its own player."""
        return self.instead[row] == OWN_AUDIO and not (self.room[row] != NO_ROOM and self.listens[row])

    def heard_in(self, room: int) -> Numbers:
        """Return the rows that every listener of a room hears. Shape: `[k]`, sorted."""
        return np.flatnonzero(self.in_use & self.heard & (self.room == room) & (self.coached == EVERY_LISTENER))

    def unheld_in(self, room: int) -> Numbers:
        """Return the rows of a room that are not on hold. Shape: `[k]`, sorted."""
        return np.flatnonzero(self.in_use & ~self.held & (self.room == room))
