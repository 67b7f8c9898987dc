"""Explain which attributes of a call's `<Conference>` have no effect, because its first participant decides them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from holdfast.voice.control.entities import Room
from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.control.serialization import decode
from holdfast.voice.model.commands import Admission, Callback
from holdfast.voice.model.facts import RoomEntered
from holdfast.voice.model.internal_commands import EnterConference
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import JournalEntry


def ineffective_sentences(entries: Sequence[JournalEntry], view: ReadOnlyState) -> Iterator[str]:
    """Yield the attributes that a call brought to its newest conference, and that only a first participant sets.

    Source: TwiML <Conference>, statusCallback; Participant resource, ConferenceStatusCallback.
    """
    newest = {entry.kind: entry.data for entry in entries if entry.kind in ("EnterConference", "RoomEntered")}
    if len(newest) < 2:
        return
    entering: EnterConference = decode(newest["EnterConference"])
    entered: RoomEntered = decode(newest["RoomEntered"])
    room = view.rooms.get(entered.room)
    if room is None:
        return
    for name, brought, counts in _attributes(entering.admission, room):
        yield (
            f"Its {name} ({brought}) has no effect: conference {room.name!r} takes it from its first participant "
            f"alone, which named {counts or 'none'}."
        )


def _attributes(admission: Admission, room: Room) -> Iterator[tuple[str, str, str]]:
    """Yield name, value and the value that counts of each attribute that has no effect; "" is none."""
    brought, counts = _callback(admission.callback), _callback(room.callback)
    if brought not in ("", counts):
        yield "statusCallback", brought, counts
    if admission.max_participants not in (Admission(name="").max_participants, room.max_participants):
        yield "maxParticipants", str(admission.max_participants), str(room.max_participants)
    if admission.record is not None and room.record is None:
        yield "record", "record-from-start", ""


def _callback(callback: Callback | None) -> str:
    """Describe a callback as the journal has it, with its password masked."""
    if callback is None:
        return ""
    return mask_passwords(f"{callback.method} {callback.url} for {' '.join(callback.events)}")
