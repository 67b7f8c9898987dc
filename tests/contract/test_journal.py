"""Every journal keeps all of a step or nothing of it, in order."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.store.database import open_database
from holdfast.store.journal import SqlJournal
from holdfast.voice.model.ports import Journal, JournalEntry, Snapshot


@pytest.fixture(params=["sql"])
async def journal(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Journal]:
    async with open_database(tmp_path / "holdfast.db") as database:
        yield SqlJournal(database)


def entry(call: str, kind: str = "LegRinging", at: float = 1.5) -> JournalEntry:
    return JournalEntry(at=at, call=call, kind=kind, data='{"é": 1}')


def state(sid: str, data: str) -> Snapshot:
    return Snapshot(noun="call", sid=sid, data=data)


async def test_entries_are_read_in_their_order(journal: Journal) -> None:
    await journal.commit([entry("CA1", "A", 5.0), entry("CA2", "B", 4.0)], [])
    await journal.commit([entry("CA1", "C", 3.0)], [])
    assert await journal.entries("CA1") == [entry("CA1", "A", 5.0), entry("CA1", "C", 3.0)]
    assert [line.kind for line in await journal.entries("")] == ["A", "B", "C"]


async def test_entries_are_read_in_pieces(journal: Journal) -> None:
    await journal.commit([entry("CA1", str(n)) for n in range(7)], [])
    assert [line.kind for line in await journal.entries("CA1", limit=3)] == ["0", "1", "2"]
    assert [line.kind for line in await journal.entries("CA1", after=3, limit=3)] == ["3", "4", "5"]
    assert await journal.entries("CA1", after=7) == []


async def test_the_newest_snapshot_of_each_noun_is_loaded(journal: Journal) -> None:
    await journal.commit([], [state("CA1", "old"), state("CA2", "two")])
    await journal.commit([], [state("CA1", "new"), Snapshot(noun="room", sid="CA1", data="room")])
    loaded = {(snapshot.noun, snapshot.sid): snapshot.data for snapshot in await journal.load(kept=10)}
    assert loaded == {("call", "CA1"): "new", ("call", "CA2"): "two", ("room", "CA1"): "room"}


async def test_an_empty_snapshot_deletes(journal: Journal) -> None:
    await journal.commit([], [state("CA1", "one"), state("CA2", "two")])
    await journal.commit([], [state("CA1", ""), state("CA9", "")])
    assert await journal.load(kept=10) == [state("CA2", "two")]


async def test_the_last_snapshot_of_one_commit_wins(journal: Journal) -> None:
    await journal.commit([], [state("CA1", "a"), state("CA1", ""), state("CA2", ""), state("CA2", "b")])
    assert await journal.load(kept=10) == [state("CA2", "b")]


async def test_an_empty_commit_is_no_error(journal: Journal) -> None:
    await journal.commit([], [])
    assert await journal.load(kept=10) == []
    assert await journal.entries("") == []


async def test_entries_are_deleted_with_their_call(journal: Journal) -> None:
    await journal.commit([entry("CA1"), entry("CA2")], [state("CA1", "one"), state("CA2", "two")])
    await journal.commit([entry("CA1", "ForgetCall")], [state("CA1", ""), Snapshot(noun="room", sid="CA2", data="")])
    assert await journal.entries("CA1") == []
    assert await journal.entries("") == [entry("CA2")]
    assert await journal.load(kept=10) == [state("CA2", "two")]


async def test_only_the_newest_ended_nouns_are_loaded_and_the_rest_is_pruned(journal: Journal) -> None:
    over = [
        Snapshot(noun="room" if n == 3 else "call", sid=f"CA{n:03}", data=str(n), over_at=float(n // 2))
        for n in range(9)
    ]
    live = [state("CA900", "live"), Snapshot(noun="queue", sid="QU1", data="queue")]
    lines = [entry(noun.sid) for noun in (*over, *live)]
    await journal.commit(lines, [*over[5:], *live, *over[:5]])
    assert sorted((noun.sid, noun.data) for noun in await journal.load(kept=3)) == [
        ("CA006", "6"),
        ("CA007", "7"),
        ("CA008", "8"),
        ("CA900", "live"),
        ("QU1", "queue"),
    ]
    # Later rows belong to the running engine, though the clock was set back meanwhile.
    await journal.commit([entry("CA950")], [Snapshot(noun="call", sid="CA950", data="new", over_at=0.0)])
    while await journal.prune():
        pass
    assert sorted(noun.sid for noun in await journal.load(kept=100)) == [
        "CA006",
        "CA007",
        "CA008",
        "CA900",
        "CA950",
        "QU1",
    ]
    left = {line.call for line in await journal.entries("")}
    assert left == {"CA003", "CA006", "CA007", "CA008", "CA900", "CA950", "QU1"}, "a conference has no lines"


async def test_a_store_loaded_whole_leaves_nothing_to_prune(journal: Journal) -> None:
    await journal.commit([], [Snapshot(noun="call", sid=f"CA{n}", data="x", over_at=1.0) for n in range(5)])
    assert len(await journal.load(kept=5)) == 5
    assert not await journal.prune()
    assert len(await journal.load(kept=5)) == 5
