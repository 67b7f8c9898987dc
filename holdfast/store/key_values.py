"""The engine's small configuration in SQL: numbers, lines, applications."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import delete, select
from sqlalchemy.dialects.sqlite import insert

from holdfast.store.database import Database, Statement
from holdfast.store.journal import told_as_ours
from holdfast.store.tables import KEY_VALUES

_UPSERT = insert(KEY_VALUES)
_UPSERT = _UPSERT.on_conflict_do_update(index_elements=["kind", "key"], set_={"value": _UPSERT.excluded.value})


class SqlKeyValues:
    """A `KeyValues` on a `Database`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, kind: str, key: str, value: str) -> None:
        """Store under (kind, key), replacing. Raises: StoreFailed."""
        async with told_as_ours():
            await self._database.write(Statement(sql=_UPSERT, rows=[{"kind": kind, "key": key, "value": value}]))

    async def get_all(self, kind: str) -> Mapping[str, str]:
        """Everything of a kind. Raises: StoreFailed."""
        query = select(KEY_VALUES.c.key, KEY_VALUES.c.value).where(KEY_VALUES.c.kind == kind).order_by(KEY_VALUES.c.key)
        async with told_as_ours():
            rows = await self._database.read(query)
        return {row.key: row.value for row in rows}

    async def remove(self, kind: str, key: str) -> None:
        """Forget; no error when absent. Raises: StoreFailed."""
        gone = delete(KEY_VALUES).where(KEY_VALUES.c.kind == kind, KEY_VALUES.c.key == key)
        async with told_as_ours():
            await self._database.write(Statement(sql=gone))
