"""The messages of the machines, what a step emits, and the read-only view of all nouns that a machine has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, NamedTuple, Protocol, TypeVar

from holdfast.voice.control.entities import Call, Queue, Recording, Room
from holdfast.voice.model.commands import RestCommand
from holdfast.voice.model.effects import Effect
from holdfast.voice.model.facts import Fact
from holdfast.voice.model.ids import CallSid, QueueSid, RecordingSid, RoomSid
from holdfast.voice.model.internal_commands import NounCommand

Message = RestCommand | NounCommand | Fact
Emitted = Effect | RestCommand | NounCommand | Fact
"""What a step emits: effects for the runtime, commands and facts for other nouns."""
Noun = Call | Room | Queue | Recording
N_co = TypeVar("N_co", bound=Noun, covariant=True)


class Transition(NamedTuple, Generic[N_co]):
    """A transition holds a noun after a message, and what its machine emitted."""

    noun: N_co
    emitted: tuple[Emitted, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A step holds the messages of one drain in order, the effects in order, and the nouns that changed.

    `before` has those that changed, and those that were removed, as they were; None for a new one.
    """

    messages: tuple[Message, ...]
    effects: tuple[Effect, ...]
    nouns: tuple[Noun, ...]
    before: Mapping[str, Noun | None]


class ReadOnlyState(Protocol):
    """The engine's state after the newest message: live nouns, and the newest finished ones, in order of creation.

    The machines, the REST API and the explanations read it through this interface, and do not change it.
    """

    @property
    def default_country(self) -> str:
        """Return the country in which a number without a plus is dialled."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Return every call by its SID."""

    @property
    def rooms(self) -> Mapping[RoomSid, Room]:
        """Return every conference and bridge by its SID."""

    @property
    def queues(self) -> Mapping[QueueSid, Queue]:
        """Return every queue by its SID."""

    @property
    def recordings(self) -> Mapping[RecordingSid, Recording]:
        """Return every recording by its SID."""

    def recordings_of(self, owner: CallSid | RoomSid) -> tuple[Recording, ...]:
        """Return the recordings of a call or a conference that are being written."""

    def room_of(self, call: CallSid) -> Room | None:
        """Return the room in which this call is a participant, or is listed as one."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """Return the queue in which this call waits."""
