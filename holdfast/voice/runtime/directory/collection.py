"""Keep a collection of REST resources in memory, so that no look-up waits, and in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import Field, asdict
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import KeyValues


class StoredValue(Protocol):
    """A stored value is a dataclass with a SID and a creation time."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def sid(self) -> str:
        """Return the SID."""

    @property
    def created_at(self) -> float:
        """Return the creation time. Units: seconds since the Unix epoch."""


K = TypeVar("K", bound=StoredValue)


class Collection(Generic[K]):
    """A collection holds values of one kind by SID. Create it with `open`."""

    def __init__(self, kv: KeyValues, kind: str, values: dict[str, K]) -> None:
        self._kv = kv
        self._kind = kind
        self._values = values
        self.changes = 0
        """The number of times that a value was put or removed."""

    @classmethod
    async def open(cls, kv: KeyValues, kind: str, read: Callable[[str], K]) -> Collection[K]:
        """Load the stored values of a kind; `read` parses one from its JSON. Raises: StoreFailed."""
        return cls(kv, kind, {sid: _read(text, kind, read) for sid, text in (await kv.get_all(kind)).items()})

    def get(self, sid: str) -> K | None:
        """Return the value with this SID, or None."""
        return self._values.get(sid)

    def all(self) -> tuple[K, ...]:
        """Return all values, the newest first."""
        return tuple(sorted(self._values.values(), key=lambda each: (-each.created_at, each.sid)))

    async def put(self, value: K) -> None:
        """Add or replace a value. Raises: StoreFailed."""
        await self._kv.put(self._kind, value.sid, json.dumps(asdict(value)))
        self._values[value.sid] = value
        self.changes += 1

    async def remove(self, sid: str) -> bool:
        """Remove a value, and return whether there was one. Raises: StoreFailed."""
        await self._kv.remove(self._kind, sid)
        self.changes += 1
        return self._values.pop(sid, None) is not None


def _read(text: str, kind: str, read: Callable[[str], K]) -> K:
    try:
        return read(text)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored {kind} cannot be read: {error!r}") from error
