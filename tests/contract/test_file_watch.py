"""The store's file is removed, replaced or overwritten while open: it is noticed and logged, and writes stop."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from holdfast.store import database as database_module
from holdfast.store.database import Database, Statement, StoreUnavailable, open_database
from holdfast.store.tables import KEY_VALUES


def row(key: str, value: str = "v") -> Statement:
    return Statement(sql=insert(KEY_VALUES), rows=[{"kind": "k", "key": key, "value": value}])


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let checks follow each other without a pause, so that no test waits."""
    monkeypatch.setattr(database_module, "WATCH_INTERVAL_S", 0.01)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "store").mkdir()
    return tmp_path / "store" / "holdfast.db"


async def trouble_of(database: Database) -> str:
    async with asyncio.timeout(30):
        while (found := database.trouble()) is None:  # noqa: ASYNC110  # it reports trouble only when asked
            await asyncio.sleep(0.01)
    return found


async def checked(database: Database) -> None:
    """Wait for several checks."""
    await asyncio.sleep(0.2)


async def another(path: Path) -> Path:
    """Make another store, closed and complete."""
    other = path.parent.parent / "other.db"
    async with open_database(other, watched=True) as opened:
        await opened.write(row("other"))
        await checked(opened)
    return other


def companion(path: Path, what: str) -> Path:
    return Path(f"{path}-{what}")


def put_another(path: Path, other: Path) -> None:
    ready = path.with_suffix(".new")
    shutil.copyfile(other, ready)
    path.unlink()
    # At once: a look between the two would rightly find that the file was removed.
    ready.rename(path)


DEEDS: dict[str, tuple[Callable[[Path, Path], object], str]] = {
    "rm": (lambda path, other: path.unlink(), "was removed or moved away"),
    "mv away": (lambda path, other: path.rename(other.with_suffix(".old")), "was removed or moved away"),
    "mv over": (lambda path, other: other.rename(path), "was replaced by another file"),
    "rm and cp": (put_another, "was replaced by another file"),
    "cp over": (lambda path, other: shutil.copyfile(other, path), "was written over"),
    "nothing over": (lambda path, other: path.write_bytes(b""), "was written over"),
    "text over": (lambda path, other: path.write_text("a shopping list " * 1000), "was written over"),
    "rm -wal": (lambda path, other: companion(path, "wal").unlink(), "-wal was removed"),
    "rm -shm": (lambda path, other: companion(path, "shm").unlink(), "-shm was removed"),
    "rm -r": (lambda path, other: shutil.rmtree(path.parent), "was removed or moved away"),
}


@pytest.mark.parametrize("deed", DEEDS)
async def test_a_file_that_is_no_longer_the_one_that_was_opened_is_noticed(
    deed: str, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    other = await another(path)
    do, reason = DEEDS[deed]
    async with open_database(path, watched=True) as database:
        await database.write(row("before"))
        await checked(database)
        assert database.trouble() is None
        do(path, other)
        trouble = await trouble_of(database)
        assert reason in trouble
        assert "Stop Holdfast, put the file you want in its place while it is stopped, and start it again" in trouble
        assert caplog.text.count(trouble) == 1
        with pytest.raises(StoreUnavailable, match="while it was open"):
            await database.write(row("after"))


async def test_an_older_copy_of_the_same_store_is_noticed(path: Path) -> None:
    async with open_database(path, watched=True) as database:
        await database.write(row("before"))
        await checked(database)
        shutil.copyfile(path, path.with_suffix(".backup"))
        for number in range(3):
            await database.write(row(f"later {number}", "x" * 5_000_000))  # enough to be brought into the file
            await checked(database)
        assert database.trouble() is None
        shutil.copyfile(path.with_suffix(".backup"), path)
        assert "was written over" in await trouble_of(database)


async def test_a_file_that_comes_back_is_written_again(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    away = path.with_suffix(".away")
    async with open_database(path, watched=True) as database:
        await database.write(row("before"))
        await checked(database)
        path.rename(away)
        await trouble_of(database)
        away.rename(path)
        async with asyncio.timeout(30):
            while database.trouble() is not None:  # noqa: ASYNC110  # as above
                await asyncio.sleep(0.01)
        assert "is the one that was opened again" in caplog.text
        await database.write(row("after"))
        await database.drain()
        assert [key for (key,) in await database.read(select(KEY_VALUES.c.key))] == ["after", "before"]


async def test_other_uses_of_the_file_are_no_trouble(path: Path) -> None:
    """A second program reads, writes, copies and cleans up, while many writes arrive."""
    async with open_database(path, watched=True) as database:
        for number in range(5):
            await database.write(row(f"row {number}", "x" * 3_000_000))
            async with open_database(path) as second:
                await second.write(row(f"second {number}"))
            with closing(sqlite3.connect(path, isolation_level=None)) as third:
                third.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                third.execute("VACUUM INTO ?", (f"{path}.{number}",))
                third.execute("DELETE FROM key_values WHERE key = ?", (f"row {number}",))
            await checked(database)
            assert database.trouble() is None
        await database.write(Statement(sql=text("DELETE FROM key_values")))
        await checked(database)
        assert database.trouble() is None
