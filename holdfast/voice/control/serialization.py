"""Write messages, effects and nouns as JSON for the journal, and read them back as equal values.

The entries of a step are its messages, and the effects that a ladder shows. Its snapshots are the nouns that it
changed: a room is stored without its participants, and each of them by itself, so a hold in a room of 250 writes one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache, lru_cache
from types import ModuleType
from typing import Any, Final, assert_never

from holdfast.voice.control import entities, statuses
from holdfast.voice.control.entities import Call, Participant, Queue, Recording, Room, RoomStatus
from holdfast.voice.control.read_only_state import Message, Noun, Step
from holdfast.voice.model import (
    commands,
    effects,
    facts,
    internal_commands,
)
from holdfast.voice.model.effects import Beep, HearsChanged, LogNotification, PlaySound, StopSound, VerbBegan
from holdfast.voice.model.ids import RoomSid, call_of
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import JournalEntry, Snapshot
from holdfast.voice.twiml import document, open_resources, script

KIND = "$"
"""The JSON key whose value is an object's class name."""


def _classes(modules: Iterable[ModuleType]) -> dict[str, type]:
    found: dict[str, type] = {}
    for module in modules:
        for name, value in vars(module).items():
            own = isinstance(value, type) and value.__module__ == module.__name__
            if own and (is_dataclass(value) or issubclass(value, Enum)):
                found[name] = value
    return found


_JSON: Final = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_PLAIN_TYPES: Final = frozenset({str, int, float, bool, type(None)})
CLASSES: Final = _classes(
    (entities, statuses, commands, internal_commands, effects, facts, document, open_resources, script)
)


def encode(value: object) -> str:
    """Return the JSON text of a frozen value. Shape: an object names its class under `$`; tuples are arrays.

    Invariant: the text can be written as UTF-8, or no store would take the step it belongs to.
    """
    text = _JSON.encode(_plain(value))
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def decode(text: str) -> Any:
    """Return the value of a text that `encode` made. Raises: ValueError for any other text."""
    return _value(json.loads(text))


def _plain(value: object) -> object:
    kind = type(value)
    if kind in _PLAIN_TYPES:
        return value
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Enum):
        return {KIND: kind.__name__, "value": value.value}
    if isinstance(value, entities.Member):
        return _member(value)
    if is_dataclass(kind):
        return _object(value)
    return value


def _object(value: Any) -> dict[str, object]:
    plain: dict[str, object] = {KIND: type(value).__name__}
    for name, default in _defaults(value.__class__):
        held = getattr(value, name)
        if held is not default and held != default:
            plain[name] = held if type(held) in _PLAIN_TYPES else _plain(held)
    return plain


@cache
def _defaults(kind: type) -> tuple[tuple[str, object], ...]:
    """Return the names of a class's fields with their defaults."""
    return tuple((item.name, item.default) for item in fields(kind))


@lru_cache(maxsize=10_000)
def _member(value: entities.Member) -> dict[str, object]:
    """Return a member's JSON object from a cache, because each change of a long queue writes all its members."""
    return _object(value)


def _value(plain: object) -> Any:
    if type(plain) in _PLAIN_TYPES:
        return plain
    if isinstance(plain, list):
        return tuple([_value(item) for item in plain])
    if isinstance(plain, dict):
        kind = CLASSES.get(plain.get(KIND, ""))
        if kind is None:
            raise ValueError(f"{plain.get(KIND)!r} is no class of the journal")
        arguments = {
            name: item if type(item) in _PLAIN_TYPES else _value(item) for name, item in plain.items() if name != KIND
        }
        return kind(arguments["value"]) if issubclass(kind, Enum) else kind(**arguments)
    return plain


LadderEffect = HearsChanged | Beep | PlaySound | StopSound | VerbBegan | LogNotification
"""The effects that a ladder shows."""


def entries_of(step: Step, now: float) -> Iterator[JournalEntry]:
    """Yield the entries of a step in the order of its messages and effects, with their passwords masked."""
    for entry in _entries(step, now):
        yield replace(entry, data=mask_passwords(entry.data))


def _entries(step: Step, now: float) -> Iterator[JournalEntry]:
    for message in step.messages:
        yield JournalEntry(at=now, call=_call_of(message), kind=type(message).__name__, data=encode(message))
    for effect in step.effects:
        if not isinstance(effect, LadderEffect):
            continue
        match effect:
            case HearsChanged(call=call, hears=hears):
                yield JournalEntry(at=now, call=call, kind="Hears", data=json.dumps({"hears": hears}))
            case Beep(moved=moved, tone=tone):
                for call in moved:
                    yield JournalEntry(at=now, call=call, kind="Beep", data=json.dumps({"tone": tone}))
            case PlaySound(token=token) | StopSound(token=token):
                yield JournalEntry(at=now, call=call_of(token), kind=type(effect).__name__, data=encode(effect))
            case VerbBegan(call=call):
                yield JournalEntry(at=now, call=call, kind="VerbBegan", data=encode(effect))
            case LogNotification(call=about):
                yield JournalEntry(at=now, call=about or "", kind="LogNotification", data=encode(effect))
            case _:
                assert_never(effect)


def _call_of(message: Message) -> str:
    named = getattr(message, "call", None)
    if named is not None:
        return str(named)
    token = getattr(message, "token", None)
    return "" if token is None else call_of(token)


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
