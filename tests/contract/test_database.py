"""The SQLite file survives a crash, commits in groups, and is refused with a reason when it cannot be used."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import anyio
import pytest
from sqlalchemy import create_engine, insert, select, text
from sqlalchemy.exc import SQLAlchemyError

from holdfast.store.database import Database, DatabaseInvalid, Statement, open_database
from holdfast.store.journal import SqlJournal
from holdfast.store.row_check import Readers
from holdfast.store.tables import KEY_VALUES
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import JournalEntry, Snapshot

CRASH = """
import asyncio, os, sys
from pathlib import Path
from holdfast.store.database import open_database
from holdfast.store.journal import SqlJournal
from holdfast.voice.model.ports import JournalEntry, Snapshot

async def main():
    async with open_database(Path(sys.argv[1])) as database:
        journal = SqlJournal(database)
        for n in range(20):
            line = JournalEntry(at=n, call="CA1", kind=str(n), data="")
            await journal.commit([line], [Snapshot(noun="call", sid="CA1", data=str(n))])
        os._exit(7)

asyncio.run(main())
"""


def readers() -> Readers:
    return Readers(noun=lambda noun, sid, data: None, key_values={}, kept=10)


def row(key: str, value: str | None = "v") -> Statement:
    return Statement(sql=insert(KEY_VALUES), rows=[{"kind": "k", "key": key, "value": value}])


async def test_committed_writes_survive_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    crashing = await asyncio.create_subprocess_exec(sys.executable, "-c", CRASH, str(path))
    assert await crashing.wait() == 7
    async with open_database(path) as database:
        journal = SqlJournal(database)
        assert [line.kind for line in await journal.entries("CA1")] == [str(n) for n in range(20)]
        assert await journal.load(kept=10) == [Snapshot(noun="call", sid="CA1", data="19")]


async def test_writes_at_the_same_time_share_a_commit(tmp_path: Path) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        await asyncio.gather(*(database.write(row(str(n))) for n in range(100)))
        assert len(await database.read(select(KEY_VALUES))) == 100
        assert database.commits < 10


async def test_a_bad_write_fails_alone_in_its_group(tmp_path: Path) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        outcomes = await asyncio.gather(
            database.write(row("a")),
            database.write(row("b"), row("c", None)),
            database.write(row("d")),
            return_exceptions=True,
        )
        assert [type(outcome).__name__ for outcome in outcomes] == ["NoneType", "IntegrityError", "NoneType"]
        kept = await database.read(select(KEY_VALUES.c.key))
        assert [key for (key,) in kept] == ["a", "d"]


@pytest.mark.parametrize("value", ["caf\udce9", 2**70], ids=["text that is no Unicode", "an integer too large"])
async def test_a_value_no_store_keeps_is_refused_and_the_writer_goes_on(tmp_path: Path, value: str | int) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        bad = Statement(sql=insert(KEY_VALUES), rows=[{"kind": "k", "key": "b", "value": value}])
        outcomes = await asyncio.gather(
            database.write(row("a")), database.write(bad), database.write(row("c")), return_exceptions=True
        )
        assert [isinstance(outcome, SQLAlchemyError) for outcome in outcomes] == [False, True, False]
        await database.write(row("d"))
        kept = await database.read(select(KEY_VALUES.c.key))
        assert [key for (key,) in kept] == ["a", "c", "d"]


async def test_no_caller_waits_for_an_ended_writer(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path / 'empty.db'}")
    database = Database(engine)
    writer = asyncio.ensure_future(database.run_writer())
    with pytest.raises(SQLAlchemyError, match="no such table"):
        await database.write(row("a"))
    writer.cancel()
    waiting = asyncio.ensure_future(database.write(row("b")))
    with pytest.raises(asyncio.CancelledError):
        await writer
    with pytest.raises(SQLAlchemyError, match="has ended"):
        await waiting
    with pytest.raises(SQLAlchemyError, match="has ended"):
        await database.write(row("c"))
    engine.dispose()


async def test_a_caller_that_left_does_not_stop_the_writer(tmp_path: Path) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        leaver = asyncio.ensure_future(database.write(row("a")))
        await asyncio.sleep(0)
        leaver.cancel()
        await database.write(row("b"))
        assert len(await database.read(select(KEY_VALUES))) == 2


async def test_a_reader_that_left_leaves_nothing_behind(tmp_path: Path) -> None:
    """At any stage of its read: no task is left that no group waits for."""
    reported: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))
    slow = text("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 20000) SELECT max(i) FROM n")
    async with open_database(tmp_path / "holdfast.db") as database:
        await database.write(row("a"))
        tasks = asyncio.all_tasks()
        for part in range(20):
            async with anyio.create_task_group() as leavers:  # it cancels until they have left, as the web server does
                leavers.start_soon(database.read, slow)
                await asyncio.sleep(part / 4000)
                leavers.cancel_scope.cancel()
            assert asyncio.all_tasks() == tasks
        assert len(await database.read(select(KEY_VALUES))) == 1
    gc.collect()
    assert reported == []


async def test_writes_before_the_close_are_kept(tmp_path: Path) -> None:
    async with open_database(tmp_path / "holdfast.db") as database:
        write = asyncio.ensure_future(database.write(row("a")))
        await asyncio.sleep(0)
    await write
    async with open_database(tmp_path / "holdfast.db") as database:
        assert len(await database.read(select(KEY_VALUES))) == 1


async def test_an_error_of_the_user_comes_out_as_it_is(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="mine"):
        async with open_database(tmp_path / "holdfast.db"):
            raise KeyError("mine")


async def test_reads_go_on_while_another_process_writes(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    async with open_database(path) as database:
        await database.write(row("a"))
        other = sqlite3.connect(path, isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            other.execute("DELETE FROM key_values")
            assert len(await database.read(select(KEY_VALUES))) == 1
            other.execute("ROLLBACK")
        finally:
            other.close()


async def test_a_failing_store_raises_the_engines_error(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    async with open_database(path) as database:
        await database.write(Statement(sql=text("DROP TABLE entries")))
        with pytest.raises(StoreFailed, match="no such table"):
            await SqlJournal(database).commit([JournalEntry(at=1.0, call="", kind="", data="")], [])
        with pytest.raises(SQLAlchemyError):
            await database.read(text("SELECT * FROM entries"))


async def test_a_new_store_is_its_owners_alone(tmp_path: Path) -> None:
    """It has passwords of lines and trunks. A mode that the operator gave it stays."""
    path = tmp_path / "holdfast.db"
    async with open_database(path) as database:
        await database.write(row("a"))
        assert {each.name: each.stat().st_mode & 0o777 for each in tmp_path.iterdir()} == {
            "holdfast.db": 0o600,
            "holdfast.db-wal": 0o600,
            "holdfast.db-shm": 0o600,
        }
    path.chmod(0o640)
    async with open_database(path):
        assert path.stat().st_mode & 0o777 == 0o640


@pytest.mark.parametrize(("version", "reported"), [(1, "an earlier"), (99, "a later")])
async def test_a_file_of_another_version_is_refused_untouched_in_a_sentence(
    version: int, reported: str, tmp_path: Path
) -> None:
    path = tmp_path / "holdfast.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE key_values (kind, key, value)")
        other.execute("INSERT INTO key_values VALUES ('line', 'alice', 'of another version')")
        other.execute(f"PRAGMA user_version={version}")
    before = path.read_bytes()
    with pytest.raises(
        DatabaseInvalid, match=rf"was written by {reported} version of Holdfast \(schema {version}, ours is"
    ):
        async with open_database(path, readers=readers()):
            pass
    assert path.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["holdfast.db"]


async def test_a_database_of_another_program_is_refused_untouched(tmp_path: Path) -> None:
    path = tmp_path / "photos.db"
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("CREATE TABLE photos (name)")
    before = path.read_bytes()
    with pytest.raises(DatabaseInvalid, match="is a database of another program"):
        async with open_database(path):
            pass
    assert path.read_bytes() == before


@pytest.mark.parametrize("kind", ["text", "directory", "below a file"])
async def test_a_path_that_is_no_store_is_refused(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "holdfast.db"
    match kind:
        case "text":
            path.write_text("this is a shopping list, and no database at all" * 100)
        case "directory":
            path.mkdir()
        case _:
            path.write_text("")
            path = path / "holdfast.db"
    with pytest.raises(DatabaseInvalid, match="cannot be used as a store"):
        async with open_database(path):
            pass
