"""A collection of what REST makes and keeps: whole in memory, so that no look-up waits, and in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import Field, asdict
from typing import Any, ClassVar, Generic, Protocol, TypeVar

from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ports import KeyValues


class StoredValue(Protocol):
    """A dataclass with a SID and a moment of creation."""

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    @property
    def sid(self) -> str:
        """Its SID."""

    @property
    def created_at(self) -> float:
        """When it was made, in seconds since the Unix epoch."""


K = TypeVar("K", bound=StoredValue)


class Collection(Generic[K]):
    """Things of one kind by SID. Make it with `open`."""

    def __init__(self, kv: KeyValues, kind: str, things: dict[str, K]) -> None:
        self._kv = kv
        self._kind = kind
        self._things = things
        self.changes = 0
        """How often anything was put or removed."""

    @classmethod
    async def open(cls, kv: KeyValues, kind: str, read: Callable[[str], K]) -> Collection[K]:
        """What is stored of a kind; `read` makes a thing of its JSON. Raises: StoreFailed."""
        return cls(kv, kind, {sid: _read(text, kind, read) for sid, text in (await kv.get_all(kind)).items()})

    def get(self, sid: str) -> K | None:
        """The thing with that SID."""
        return self._things.get(sid)

    def all(self) -> tuple[K, ...]:
        """Every thing, the newest first."""
        return tuple(sorted(self._things.values(), key=lambda each: (-each.created_at, each.sid)))

    async def put(self, thing: K) -> None:
        """Add or replace. Raises: StoreFailed."""
        await self._kv.put(self._kind, thing.sid, json.dumps(asdict(thing)))
        self._things[thing.sid] = thing
        self.changes += 1

    async def remove(self, sid: str) -> bool:
        """Whether there was one to remove. Raises: StoreFailed."""
        await self._kv.remove(self._kind, sid)
        self.changes += 1
        return self._things.pop(sid, None) is not None


def _read(text: str, kind: str, read: Callable[[str], K]) -> K:
    try:
        return read(text)
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored {kind} cannot be read: {error!r}") from error
