"""This module finds rows that no version of ours wrote, at the start, before any other read, and sets them aside.

Without it a row that cannot be read would end every start. A few are a damaged place on a disk, or a mistake in an
edit: each is moved into a table of its own, whole, and logged. Many have another cause: then nothing is touched.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.holds.history.serialization import hold_from_record, pair_from_record
from holdfast.store.row_types import MAX_TIME_S, find_mismatch
from holdfast.voice.model.errors import VoiceError

log = logging.getLogger(__name__)

MAX_UNREADABLE = 100
MAX_UNREADABLE_SHARE = 0.1
"""So many rows, or this share of all that are read at a start, may be unreadable, whichever is more."""
MAX_LOGGED = 20
"""How many are logged one by one."""
LOCKED_S = 5.0

READ_ERRORS = (VoiceError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a reader may raise at a text that it did not write."""


class TooManyUnreadable(Exception):
    """So many rows cannot be read that the file is damaged, or not ours. The message says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """Readers make values of stored texts, as later reads do: of a noun and its SID; of a kind and its key.

    Each raises one of `READ_ERRORS` for a text it did not write. `kept`: how many nouns that are over are read.
    """

    noun: Callable[[str, str, str], object]
    key_values: Mapping[str, Callable[[str, str], object]]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadableRow:
    """An unreadable row: where it is, and what is lost with it."""

    table: str
    rowid: int
    what: str
    why: str


def set_aside_unreadable(path: Path, readers: Readers) -> None:
    """Move every row that cannot be read into the table `set_aside`. Raises: TooManyUnreadable, sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)) as connection:
        connection.text_factory = bytes
        checked = 0
        found: list[UnreadableRow] = []
        for row in _all_rows(connection, readers):
            checked += 1
            if row is not None:
                found.append(row)
        if not found:
            return
        command = f'sqlite3 {path} "SELECT * FROM set_aside"'
        if len(found) > max(MAX_UNREADABLE, int(checked * MAX_UNREADABLE_SHARE)):
            raise TooManyUnreadable(
                f"{path}: {len(found)} of {checked} rows cannot be read, the first is {found[0].what} "
                f"({found[0].why}): the file is damaged, and was not touched. Put a copy that is whole in its place "
                f"(or what `sqlite3 {path} .recover` saves), or give another file by --store."
            )
        _move(connection, found)
    for row in found[:MAX_LOGGED]:
        log.error("the store could not read %s, and continues without it: %s", row.what, row.why)
    if len(found) > MAX_LOGGED:
        log.error("the store could not read %d more", len(found) - MAX_LOGGED)
    log.error("%d rows were set aside, whole; look at them by: %s", len(found), command)


def _all_rows(connection: sqlite3.Connection, readers: Readers) -> Iterator[UnreadableRow | None]:
    """Yield for every row that is read at a start what is wrong with it, or None."""
    columns_of = "SELECT rowid, noun, sid, data, over_at FROM snapshots"
    over = f"SELECT * FROM ({columns_of} WHERE over_at IS NOT NULL ORDER BY over_at DESC LIMIT {readers.kept:d})"
    nouns = f"{columns_of} WHERE over_at IS NULL UNION ALL {over}"  # each by the index: the rest is not read
    for rowid, *columns in connection.execute(nouns):
        yield _check_row("snapshots", rowid, columns, lambda texts: _read_noun(readers, *texts), ("{} {}", 2))
    for rowid, *columns in connection.execute("SELECT rowid, kind, key, value FROM key_values"):
        yield _check_row("key_values", rowid, columns, lambda texts: _read_value(readers, *texts), ("{} {}", 2))
    for rowid, *columns in connection.execute(
        "SELECT rowid, id, asked_at, active, record FROM holds WHERE active <> 0"
    ):
        yield _check_row(
            "holds", rowid, columns, lambda texts: _read_hold(*texts), ("the hold {}, whose party may wait", 1)
        )
    for rowid, *columns in connection.execute("SELECT rowid, parent, record FROM pairs"):
        yield _check_row("pairs", rowid, columns, lambda texts: _read_pair(*texts), ("the two legs of {}", 1))


def _check_row(
    table: str, rowid: int, columns: list[Any], read: Callable[[list[Any]], object], named: tuple[str, int]
) -> UnreadableRow | None:
    """Return what is wrong with a row, if anything is."""
    try:
        texts = [value.decode() if isinstance(value, bytes) else value for value in columns]
        why = find_mismatch(read(texts))
    except UnicodeDecodeError:
        why = "it is no UTF-8"
    except json.JSONDecodeError as error:
        why = f"it is no JSON from character {error.pos} on"
    except READ_ERRORS as error:
        why = str(error) if isinstance(error, _RowMismatch) else f"it is no record of ours ({type(error).__name__})"
    if why is None:
        return None
    form, names = named
    shown = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in columns[:names]]
    return UnreadableRow(
        table=table, rowid=rowid, what=form.format(*(repr(each)[1:-1][:100] for each in shown)), why=why
    )


class _RowMismatch(ValueError):
    """The columns of a row contradict its record."""


def _require(so: bool, why: str) -> None:
    if not so:
        raise _RowMismatch(why)


def _read_noun(readers: Readers, noun: Any, sid: Any, data: Any, over_at: Any) -> object:
    _require(all(isinstance(each, str) for each in (noun, sid, data)), "its columns are no texts")
    _require(
        over_at is None or (isinstance(over_at, int | float) and abs(over_at) <= MAX_TIME_S), "it ended at no time"
    )
    value = readers.noun(noun, sid, data)
    _require(getattr(value, "sid", sid) == sid, "its record is of another")
    return value


def _read_value(readers: Readers, kind: Any, key: Any, value: Any) -> object:
    _require(all(isinstance(each, str) for each in (kind, key, value)), "its columns are no texts")
    read = readers.key_values.get(kind)
    return None if read is None else read(key, value)


def _read_hold(id: Any, asked_at: Any, active: Any, record: Any) -> object:
    _require(isinstance(record, str) and isinstance(asked_at, int | float) and active == 1, "its columns are no hold's")
    hold = hold_from_record(json.loads(record))
    _require(hold.id == id and hold.active, "its record is of another")
    return hold


def _read_pair(parent: Any, record: Any) -> object:
    _require(isinstance(record, str), "its columns are no texts")
    pair = pair_from_record(json.loads(record))
    _require(pair.parent.call == parent, "its record is of another")
    return pair


def _move(connection: sqlite3.Connection, found: list[UnreadableRow]) -> None:
    """Move the rows into their own table, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    for unreadable in found:
        table, rowid = unreadable.table, unreadable.rowid
        cursor = connection.execute(f"SELECT * FROM {table} WHERE rowid = ?", (rowid,))  # a name of ours
        row = cursor.fetchone()
        record = {column[0]: _plain(value) for column, value in zip(cursor.description, row, strict=True)}
        connection.execute(
            "INSERT INTO set_aside (at, from_table, what, why, record) VALUES (?, ?, ?, ?, ?)",
            (time.time(), table, unreadable.what, unreadable.why, json.dumps(record)),
        )
        connection.execute(f"DELETE FROM {table} WHERE rowid = ?", (rowid,))
    connection.execute("COMMIT")


def _plain(value: object) -> object:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
