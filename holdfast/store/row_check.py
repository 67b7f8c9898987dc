"""Rows that no version of ours wrote: found at the start, before anything reads them, and set aside.

A row that cannot be read would else end every start, for ever. A few are a damaged place on a disk, or a hand that
slipped: each is put into a table of its own, whole, and said. Many are another matter: then nothing is touched.
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

from holdfast.holds.history.serialization import hold_of, pair_of
from holdfast.store.row_types import FARTHEST, misfit
from holdfast.voice.model.errors import VoiceError

log = logging.getLogger(__name__)

MOST = 100
SHARE = 0.1
"""So many rows, or this share of all that are read at a start, may be unreadable, whichever is more."""
SAID = 20
"""How many are told of one by one."""
LOCKED_S = 5.0

UNREADABLE = (VoiceError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError)
"""What a reader may raise at a text that it did not write."""


class TooManyUnreadable(Exception):
    """So much cannot be read that the file is damaged, or not ours. The message says so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Readers:
    """What makes values of stored texts, as it is done after this: of a noun and its SID; of a kind and its key.

    Each raises one of `UNREADABLE` for a text it did not write. `kept`: how many nouns that are over are read.
    """

    noun: Callable[[str, str, str], object]
    key_values: Mapping[str, Callable[[str, str], object]]
    kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """One such row: where it stands, and what is lost with it."""

    table: str
    rowid: int
    what: str
    why: str


def set_aside_unreadable(path: Path, readers: Readers) -> None:
    """Put every row that cannot be read into the table `set_aside`. Raises: TooManyUnreadable, sqlite3.Error."""
    with closing(sqlite3.connect(path, timeout=LOCKED_S, isolation_level=None)) as connection:
        connection.text_factory = bytes
        looked_at = 0
        found: list[Unreadable] = []
        for one in _all_rows(connection, readers):
            looked_at += 1
            if one is not None:
                found.append(one)
        if not found:
            return
        how = f'sqlite3 {path} "SELECT * FROM set_aside"'
        if len(found) > max(MOST, int(looked_at * SHARE)):
            raise TooManyUnreadable(
                f"{path}: {len(found)} of {looked_at} rows cannot be read, the first is {found[0].what} "
                f"({found[0].why}): the file is damaged, and was not touched. Put a copy that is whole in its place "
                f"(or what `sqlite3 {path} .recover` saves), or give another file by --store."
            )
        _move(connection, found)
    for one in found[:SAID]:
        log.error("the store could not read %s, and goes on without it: %s", one.what, one.why)
    if len(found) > SAID:
        log.error("the store could not read %d more", len(found) - SAID)
    log.error("%d rows were set aside, whole; look at them by: %s", len(found), how)


def _all_rows(connection: sqlite3.Connection, readers: Readers) -> Iterator[Unreadable | None]:
    """For every row that is read at a start, what is wrong with it."""
    columns_of = "SELECT rowid, noun, sid, data, over_at FROM snapshots"
    over = f"SELECT * FROM ({columns_of} WHERE over_at IS NOT NULL ORDER BY over_at DESC LIMIT {readers.kept:d})"
    nouns = f"{columns_of} WHERE over_at IS NULL UNION ALL {over}"  # each by the index: the rest is not looked at
    for rowid, *columns in connection.execute(nouns):
        yield _tried("snapshots", rowid, columns, lambda told: _read_noun(readers, *told), ("{} {}", 2))
    for rowid, *columns in connection.execute("SELECT rowid, kind, key, value FROM key_values"):
        yield _tried("key_values", rowid, columns, lambda told: _read_value(readers, *told), ("{} {}", 2))
    for rowid, *columns in connection.execute(
        "SELECT rowid, id, asked_at, active, record FROM holds WHERE active <> 0"
    ):
        yield _tried("holds", rowid, columns, lambda told: _read_hold(*told), ("the hold {}, whose party may wait", 1))
    for rowid, *columns in connection.execute("SELECT rowid, parent, record FROM pairs"):
        yield _tried("pairs", rowid, columns, lambda told: _read_pair(*told), ("the two legs of {}", 1))


def _tried(
    table: str, rowid: int, columns: list[Any], read: Callable[[list[Any]], object], named: tuple[str, int]
) -> Unreadable | None:
    """What is wrong with a row, if anything is."""
    try:
        told = [value.decode() if isinstance(value, bytes) else value for value in columns]
        why = misfit(read(told))
    except UnicodeDecodeError:
        why = "it is no UTF-8"
    except json.JSONDecodeError as error:
        why = f"it is no JSON from character {error.pos} on"
    except UNREADABLE as error:
        why = str(error) if isinstance(error, _Strange) else f"it is no record of ours ({type(error).__name__})"
    if why is None:
        return None
    form, names = named
    shown = [value.decode(errors="replace") if isinstance(value, bytes) else str(value) for value in columns[:names]]
    return Unreadable(table=table, rowid=rowid, what=form.format(*(repr(each)[1:-1][:100] for each in shown)), why=why)


class _Strange(ValueError):
    """A row whose columns contradict its record."""


def _must(so: bool, why: str) -> None:
    if not so:
        raise _Strange(why)


def _read_noun(readers: Readers, noun: Any, sid: Any, data: Any, over_at: Any) -> object:
    _must(all(isinstance(each, str) for each in (noun, sid, data)), "its columns are no texts")
    _must(over_at is None or (isinstance(over_at, int | float) and abs(over_at) <= FARTHEST), "it ended at no time")
    value = readers.noun(noun, sid, data)
    _must(getattr(value, "sid", None) == sid, "its record is of another")
    return value


def _read_value(readers: Readers, kind: Any, key: Any, value: Any) -> object:
    _must(all(isinstance(each, str) for each in (kind, key, value)), "its columns are no texts")
    read = readers.key_values.get(kind)
    return None if read is None else read(key, value)


def _read_hold(id: Any, asked_at: Any, active: Any, record: Any) -> object:
    _must(isinstance(record, str) and isinstance(asked_at, int | float) and active == 1, "its columns are no hold's")
    hold = hold_of(json.loads(record))
    _must(hold.id == id and hold.active, "its record is of another")
    return hold


def _read_pair(parent: Any, record: Any) -> object:
    _must(isinstance(record, str), "its columns are no texts")
    pair = pair_of(json.loads(record))
    _must(pair.parent.call == parent, "its record is of another")
    return pair


def _move(connection: sqlite3.Connection, found: list[Unreadable]) -> None:
    """Put them into their own table, all or none."""
    connection.execute("BEGIN IMMEDIATE")
    for one in found:
        cursor = connection.execute(f"SELECT * FROM {one.table} WHERE rowid = ?", (one.rowid,))  # a name of ours
        row = cursor.fetchone()
        record = {column[0]: _plain(value) for column, value in zip(cursor.description, row, strict=True)}
        connection.execute(
            "INSERT INTO set_aside (at, from_table, what, why, record) VALUES (?, ?, ?, ?, ?)",
            (time.time(), one.table, one.what, one.why, json.dumps(record)),
        )
        connection.execute(f"DELETE FROM {one.table} WHERE rowid = ?", (one.rowid,))
    connection.execute("COMMIT")


def _plain(value: object) -> object:
    if not isinstance(value, bytes):
        return value
    try:
        return value.decode()
    except UnicodeDecodeError:
        return {"hex": value.hex()}
