"""This module checks that the store's file is still the one that was opened: not moved, replaced or overwritten.

SQLite continues in a file that has lost its name, and what it writes there is gone when it ends. A file that was copied
over keeps its identity: so the main file carries a mark, and a new one after each checkpoint. Marks only go forward.

Source: SQLite, "How To Corrupt An SQLite Database File", 1.2 and 4.
"""

from __future__ import annotations

import secrets
import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

CONFIRMING_READS = 2
"""How many checks in a row must show an unknown mark."""

_REMEDY = (
    "nothing that happens from now on is kept in it. "
    "Stop Holdfast, put the file you want in its place while it is stopped, and start it again"
)


class FileWatch:
    """A file watch knows the file, its -wal and its -shm as they were when opened, and the marks of the first."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._files = {file: _identity(file) for file in (path, Path(f"{path}-wal"), Path(f"{path}-shm"))}
        self._marks = [_mark(path)]
        """The mark that the main file shows, and those that are written and not in it yet."""
        self.next_mark: int | None = _new_mark()
        """The mark to be written next; None when there is nothing to mark."""
        self._mismatches = 0

    def confirm_mark(self) -> None:
        """Record that the next mark is written."""
        if self.next_mark is not None:
            self._marks.append(self.next_mark)
            self.next_mark = None

    def checkpoint(self) -> None:
        """Move what is written into the main file, as far as no reader is in the way."""
        with closing(sqlite3.connect(self._path, timeout=0.0)) as connection:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    def check(self) -> str | None:
        """Return what is wrong with the file, in a sentence; None when nothing is."""
        for file, known in self._files.items():
            now = _identity(file)
            if now != known:
                what = "was removed or moved away" if now is None else "was replaced by another file"
                return f"the store's file {file} {what} while it was open: {_REMEDY}"
        mark = _mark(self._path)
        known_marks = [*self._marks, self.next_mark]  # the next mark may be in the file already
        if mark is not None and mark in known_marks:
            self._mismatches = 0
            if mark in self._marks:
                del self._marks[: self._marks.index(mark)]
            if len(self._marks) == 1 and self.next_mark is None:
                self.next_mark = _new_mark()
            return None
        self._mismatches += 1
        if self._mismatches < CONFIRMING_READS:
            return None
        return f"the store's file {self._path} was written over while it was open: {_REMEDY}"


def _identity(file: Path) -> tuple[int, int] | None:
    """Return the identity of the file with this name; None when there is none."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def _mark(path: Path) -> int | None:
    """Return the mark in the main file itself, past its log; None when it is no database.

    SQLite reads it: closing a file of our own would remove SQLite's locks on it.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro&immutable=1", uri=True)) as connection:
            (mark,) = connection.execute("PRAGMA application_id").fetchone()
            return int(mark)
    except sqlite3.Error:
        return None


def _new_mark() -> int:
    return secrets.randbelow(1 << 31)
