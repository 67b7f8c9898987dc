"""A late or failing store delays no caller, loses or reorders no write, and recovers.

The lock is a real one: that of a second connection to the file.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from holdfast.holds.errors import StoreError
from holdfast.holds.hold import RecordEvent, open_hold
from holdfast.holds.ids import CallSid, HoldId
from holdfast.store import database as database_module
from holdfast.store.database import Database, Statement, StoreUnavailable, open_database
from holdfast.store.hold_store import SqlHolds
from holdfast.store.tables import KEY_VALUES


def row(key: str, value: str | None = "v") -> Statement:
    return Statement(sql=insert(KEY_VALUES), rows=[{"kind": "k", "key": key, "value": value}])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "holdfast.db"


@pytest.fixture
async def database(path: Path) -> AsyncIterator[Database]:
    async with open_database(path) as opened:
        yield opened


@contextmanager
def locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        yield
        other.execute("ROLLBACK")


async def kept(database: Database) -> list[str]:
    query = select(KEY_VALUES.c.key).order_by(text("rowid"))
    return [key for (key,) in await database.read(query)]


async def until(so: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not so():  # noqa: ASYNC110  # the store records of its trouble when it is asked
            await asyncio.sleep(0.01)


async def until_quiet(database: Database) -> None:
    await until(lambda: database.trouble() is None)
    await database.drain()


async def test_writes_to_a_locked_file_are_waited_for_once_and_written_later_in_order(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"{n:02}" for n in range(20)]
    with locked(path):
        began = time.monotonic()
        for key in keys:
            await database.write(row(key))
        took_s = time.monotonic() - began
        assert await kept(database) == [], "it is locked"
        assert database.trouble() is None, "it is late, no more"
    # Twenty writes that each waited would take twenty times as long, on any machine.
    assert took_s < database_module.TROUBLE_S
    assert "and are written later, in order" in caplog.text
    await until_quiet(database)
    assert await kept(database) == keys
    assert "accepts writes again" in caplog.text


async def test_a_store_locked_for_long_refuses_writes_until_the_pending_ones_are_written(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(path):
        await database.write(row("early"))
        await until(lambda: database.trouble() is not None)
        trouble = database.trouble()
        assert trouble is not None
        assert "another program keeps it locked" in trouble
        with pytest.raises(StoreUnavailable, match="keeps it locked"):
            await database.write(row("refused"))
        assert "is in trouble" in caplog.text
    await until_quiet(database)
    await database.write(row("after"))
    assert await kept(database) == ["early", "after"]


async def test_a_slow_disk_is_late_too(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "WRITE_WAIT_S", 0.01)
    monkeypatch.setattr(database_module, "TROUBLE_S", 0.05)
    slow = Statement(
        sql=text(
            "WITH RECURSIVE count(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM count WHERE n < 2000000) "
            "INSERT INTO key_values SELECT 'k', 'slow', max(n) FROM count"
        )
    )
    await database.write(slow)
    assert await kept(database) == []
    await asyncio.sleep(0.06)
    trouble = database.trouble()
    assert trouble is not None
    assert "disk is too slow" in trouble
    await until_quiet(database)
    assert await kept(database) == ["slow"]


async def test_a_late_write_that_fails_is_logged_and_the_others_are_kept_in_order(
    database: Database, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with locked(path):
        for write in (row("a"), row("bad", None), row("b")):
            await database.write(write)
    await until_quiet(database)
    assert await kept(database) == ["a", "b"]
    assert "a late write is lost, key_values" in caplog.text


async def test_a_failing_store_raises_at_once_and_recovers_by_itself(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The disk is full: here a file that may not grow."""
    monkeypatch.setattr(database_module, "RETRY_S", 0.05)
    await database.write(Statement(sql=text("PRAGMA max_page_count=1")))
    with pytest.raises(SQLAlchemyError, match="full"):
        await database.write(row("big", "x" * 500_000))
    trouble = database.trouble()
    assert trouble is not None
    assert "full" in trouble
    with pytest.raises(StoreUnavailable, match="full"):
        await database.write(row("refused"))
    await until_quiet(database)  # a page that is there can be written: what was tried by itself is not large
    await database.write(row("small"))
    assert await kept(database) == ["small"]


async def test_a_failing_store_keeps_its_late_writes(
    database: Database, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "RETRY_S", 0.05)
    await database.write(row("before"), Statement(sql=text("PRAGMA max_page_count=1")))
    with locked(path):
        await database.write(row("big", "x" * 500_000))
        await database.write(row("small"))
    await until(lambda: "full" in str(database.trouble()))
    assert await kept(database) == ["before"]
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        assert other.execute("SELECT count(*) FROM key_values").fetchone() == (1,)
    lift = Statement(sql=text("PRAGMA max_page_count=1000000"))
    database._pending.appendleft(database_module.Write((lift,), time.monotonic(), detached=True))  # there is room again
    await until_quiet(database)
    assert await kept(database) == ["before", "big", "small"]


async def test_a_locked_store_logs_its_losses_at_its_close(
    path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(database_module, "CLOSE_S", 0.1)
    async with asyncio.timeout(30):
        with locked(path):
            pass
        async with open_database(path) as database:
            with closing(sqlite3.connect(path, isolation_level=None)) as other:
                other.execute("BEGIN EXCLUSIVE")
                await database.write(row("a"), row("b"))
                await database.write(Statement(sql=text("DELETE FROM pairs")))
                await database.finish()
                other.execute("ROLLBACK")
    assert "without what it could not write, 2 of key_values, 1 of the file itself" in caplog.text


async def test_a_hold_written_late_is_read_in_its_newest_state(database: Database, path: Path) -> None:
    store = await SqlHolds.open(database)
    call = CallSid("CA" + "1" * 32)
    first, records = open_hold(id=HoldId("HD1"), call=call, now=1.0, by=None, reason=None, music=None, limit_s=None)
    await store.save_hold(first, records, at=1.0)
    second, records = open_hold(id=HoldId("HD2"), call=call, now=2.0, by="alice", reason=None, music=None, limit_s=None)

    async def seen() -> list[object]:
        return [
            await store.hold(HoldId("HD2")),
            await store.latest_of_call(call),
            list(await store.holds()),
            list(await store.holds(active_only=True, limit=1)),
            [(event.id, event.hold, event.kind) for event in await store.events()],
            [event.id for event in await store.events(after=1)],
            [event.id for event in await store.events(after=1, limit=1)],
            await store.last_event_id(),
        ]

    with locked(path):
        await store.save_hold(second, [*records, RecordEvent(kind="held")], at=2.0)
        late = await seen()
    await until_quiet(database)
    assert late == await seen()
    assert late[4] == [(1, "HD1", "asked"), (2, "HD2", "asked"), (3, "HD2", "held")]


async def test_no_hold_begins_while_the_store_is_in_trouble(database: Database, path: Path) -> None:
    store = await SqlHolds.open(database)
    hold, records = open_hold(
        id=HoldId("HD1"), call=CallSid("CA1"), now=1.0, by=None, reason=None, music=None, limit_s=None
    )
    with locked(path):
        await database.write(row("early"))
        await until(lambda: database.trouble() is not None)
        with pytest.raises(StoreError, match="keeps it locked"):
            await store.save_hold(hold, records, at=1.0)
        assert await store.hold(HoldId("HD1")) is None
    await until_quiet(database)
    await store.save_hold(hold, records, at=1.0)
    assert await store.hold(HoldId("HD1")) == hold
