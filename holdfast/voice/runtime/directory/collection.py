"""Keep records of one kind in memory, so that no look-up waits, and in the store as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import KeyValues


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectoryRecord:
    """A record of the directory. It is stored under its `KIND`, and its kind's field named by `KEY`."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid")
    KIND: ClassVar[str]
    KEY: ClassVar[str] = "sid"

    @property
    def key(self) -> str:
        """Return the key under which the record is stored."""
        key: str = getattr(self, self.KEY)
        return key


@dataclass(frozen=True, slots=True, kw_only=True)
class SidRecord(DirectoryRecord):
    """A record with a SID. Units: `…_at` seconds since the Unix epoch."""

    sid: str
    created_at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ResourceRecord(SidRecord):
    """A record that REST shows as a resource. Units: `…_at` seconds since the Unix epoch."""

    friendly_name: str
    updated_at: float


K = TypeVar("K", bound=DirectoryRecord)
M = TypeVar("M", bound=SidRecord)


class Collection(Generic[K]):
    """A collection holds records of one kind by key. Create it with `open`."""

    def __init__(self, kv: KeyValues, kind: type[K], values: dict[str, K]) -> None:
        self._kv = kv
        self._kind = kind.KIND
        self._values = values
        self.changes = 0
        """The number of times that a record was put or removed."""

    @classmethod
    async def open(cls, kv: KeyValues, kind: type[K]) -> Collection[K]:
        """Load the stored records of a kind. Raises: StoreFailed."""
        stored = (await kv.get_all(kind.KIND)).items()
        return cls(kv, kind, {key: read_record(kind, text) for key, text in stored})

    def preset(self, records: Iterable[K]) -> None:
        """Hold records of the settings in place of stored ones; they are not stored themselves."""
        self._values |= {each.key: each for each in records}

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def get(self, key: str) -> K | None:
        """Return the record with this key, or None."""
        return self._values.get(key)

    def with_sid(self, sid: str) -> K | None:
        """Return the record with this SID, or None."""
        return next((each for each in self._values.values() if getattr(each, "sid", None) == sid), None)

    def all(self) -> tuple[K, ...]:
        """Return all records: resources from the newest on, others by key."""
        return tuple(sorted(self._values.values(), key=lambda each: (-getattr(each, "created_at", 0.0), each.key)))

    async def put(self, record: K) -> None:
        """Add or replace a record. Raises: StoreFailed."""
        await self._kv.put(self._kind, record.key, write_record(record))
        self._values[record.key] = record
        self.changes += 1

    async def remove(self, key: str) -> bool:
        """Remove a record, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(self._kind, key)
        self.changes += 1
        return self._values.pop(key, None) is not None


class Members(Generic[M]):
    """The records in one field of a parent record. A change stores the parent, updated at `now`."""

    def __init__(self, parents: Collection[Any], parent: ResourceRecord, field: str, *, now: float) -> None:
        self._parents = parents
        self._parent = parent
        self._field = field
        self._now = now
        self._values: dict[str, M] = {each.sid: each for each in getattr(parent, field)}

    def all(self) -> tuple[M, ...]:
        """Return all records, the newest first."""
        return tuple(self._values.values())[::-1]

    def with_sid(self, sid: str) -> M | None:
        """Return the record with this SID, or None."""
        return self._values.get(sid)

    async def put(self, record: M) -> None:
        """Add or replace a record. Raises: StoreFailed."""
        await self._store(self._values | {record.sid: record})

    async def remove(self, sid: str) -> None:
        """Remove a record. Raises: StoreFailed."""
        await self._store({each.sid: each for each in self._values.values() if each.sid != sid})

    async def _store(self, values: dict[str, M]) -> None:
        fields: dict[str, Any] = {self._field: tuple(values.values()), "updated_at": self._now}
        await self._parents.put(replace(self._parent, **fields))


def write_record(record: DirectoryRecord) -> str:
    """Return a record as JSON."""
    return json.dumps(asdict(record))


def read_record(kind: type[K], text: str) -> K:
    """Parse a stored record of this kind; its fields are checked against their types. Raises: StoreFailed."""
    try:
        record: K = _adapter(kind).validate_json(text)
    except ValidationError as error:
        problem = error.errors(include_input=False, include_context=False)[0]  # the input may be a secret
        where = ".".join(str(part) for part in problem["loc"])
        raise StoreFailed(f"a stored {kind.KIND} cannot be read: {where} {problem['type']}") from None
    return record


_adapters: dict[type[DirectoryRecord], TypeAdapter[Any]] = {}


def _adapter(kind: type[DirectoryRecord]) -> TypeAdapter[Any]:
    if kind not in _adapters:
        _adapters[kind] = TypeAdapter(kind)
    return _adapters[kind]
