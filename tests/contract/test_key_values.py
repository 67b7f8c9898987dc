"""Every configuration store replaces, lists by kind, and removes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from holdfast.store.database import open_database
from holdfast.store.key_values import SqlKeyValues
from holdfast.voice.model.ports import KeyValues


@pytest.fixture(params=["sql"])
async def values(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[KeyValues]:
    async with open_database(tmp_path / "holdfast.db") as database:
        yield SqlKeyValues(database)


async def test_put_replaces_and_kinds_do_not_meet(values: KeyValues) -> None:
    await values.put("line", "alice", "1")
    await values.put("line", "alice", "2")
    await values.put("line", "bob", "3")
    await values.put("number", "alice", "4")
    assert await values.get_all("line") == {"alice": "2", "bob": "3"}
    assert await values.get_all("number") == {"alice": "4"}
    assert await values.get_all("none") == {}


async def test_removing_an_absent_key_is_no_error(values: KeyValues) -> None:
    await values.put("line", "alice", "1")
    await values.remove("line", "bob")
    await values.remove("line", "alice")
    await values.remove("line", "alice")
    assert await values.get_all("line") == {}
