"""This module keeps the engine's small configuration in SQL: numbers, lines, applications."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from holdfast.store.database import Database, Statement
from holdfast.store.journal import as_store_failed
from holdfast.store.tables import KEY_VALUES

_UPSERT = insert(KEY_VALUES)
_UPSERT = _UPSERT.on_conflict_do_update(index_elements=["kind", "key"], set_={"value": _UPSERT.excluded.value})


class SqlKeyValues:
    """A `KeyValues` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, kind: str, key: str, value: str) -> None:
        """Store a value under (kind, key), in place of an older one. Raises: StoreFailed."""
        async with as_store_failed():
            await self._database.write(Statement(sql=_UPSERT, rows=[{"kind": kind, "key": key, "value": value}]))

    async def get_all(self, kind: str) -> Mapping[str, str]:
        """Return every value of a kind, by key. Raises: StoreFailed."""
        query = select(KEY_VALUES.c.key, KEY_VALUES.c.value).where(KEY_VALUES.c.kind == kind).order_by(KEY_VALUES.c.key)
        async with as_store_failed():
            rows = await self._database.read(query)
        return {row.key: row.value for row in rows}

    async def remove(self, kind: str, key: str) -> None:
        """Remove a value; no error when absent. Raises: StoreFailed."""
        deletion = delete(KEY_VALUES).where(KEY_VALUES.c.kind == kind, KEY_VALUES.c.key == key)
        async with as_store_failed():
            await self._database.write(Statement(sql=deletion))
