"""Make the snapshots of a step for the store, and nouns of stored snapshots.

A room is stored without its participants, and each of them by itself: a hold in a conference of 250 writes one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import assert_never

from holdfast.voice.control.entities import Call, Participant, Queue, Recording, Room, RoomStatus
from holdfast.voice.control.read_only_state import Noun, Step
from holdfast.voice.control.serialization import decode, encode
from holdfast.voice.model.ids import RoomSid
from holdfast.voice.model.ports import Snapshot

PARTICIPANT = "participant"
"""The kind of a participant's snapshot. Its SID is `ROOM/CALL`."""


def snapshots(step: Step) -> Iterator[Snapshot]:
    """Yield the snapshots of what a step changed; those without data delete what it removed."""
    kept = {noun.sid for noun in step.nouns}
    for noun in step.nouns:
        yield _snapshot(noun)
        if isinstance(noun, Room):
            yield from _participants(step.before.get(noun.sid), noun.sid, noun.participants)
    for sid, old in step.before.items():
        if old is not None and sid not in kept:
            yield replace(_snapshot(old), data="", over_at=None)
            if isinstance(old, Room):
                yield from _participants(old, old.sid, ())


def restored(stored: Iterable[Snapshot]) -> list[Noun]:
    """Return the nouns of stored snapshots. A participant without a room is left out."""
    nouns: list[Noun] = []
    inside: dict[str, list[Participant]] = {}
    for each in stored:
        value = decode(each.data)
        if each.noun == PARTICIPANT:
            inside.setdefault(each.sid.partition("/")[0], []).append(value)
        else:
            nouns.append(value)
    return [_filled(noun, inside.get(noun.sid, [])) if isinstance(noun, Room) else noun for noun in nouns]


def _filled(room: Room, participants: list[Participant]) -> Room:
    return replace(room, participants=tuple(sorted(participants, key=lambda each: each.place)))


def _participants(before: Noun | None, room: RoomSid, now: tuple[Participant, ...]) -> Iterator[Snapshot]:
    """Yield the snapshots of the participants that were changed, or removed."""
    were = {each.call: each for each in before.participants} if isinstance(before, Room) else {}
    for each in now:
        if were.pop(each.call, None) is not each:
            yield Snapshot(noun=PARTICIPANT, sid=f"{room}/{each.call}", data=encode(each))
    yield from (Snapshot(noun=PARTICIPANT, sid=f"{room}/{call}", data="") for call in were)


def _snapshot(noun: Noun) -> Snapshot:
    match noun:
        case Call():
            over_at = None if noun.live else noun.updated_at
            return Snapshot(noun="call", sid=noun.sid, data=encode(noun), over_at=over_at)
        case Room():
            over_at = noun.updated_at if noun.status is RoomStatus.COMPLETED else None
            return Snapshot(noun="room", sid=noun.sid, data=encode(replace(noun, participants=())), over_at=over_at)
        case Queue():
            return Snapshot(noun="queue", sid=noun.sid, data=encode(noun))
        case Recording():
            return Snapshot(noun="recording", sid=noun.sid, data=encode(noun))
        case _:
            assert_never(noun)
