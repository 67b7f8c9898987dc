"""Read each kind of row in the store. Rows that no reader understands are set aside before other code sees them."""

from __future__ import annotations

from collections.abc import Callable

from holdfast.store.row_check import Readers
from holdfast.voice.control.entities import (
    Call,
    Participant,
    Queue,
    Recording,
    Room,
)
from holdfast.voice.control.serialization import PARTICIPANT, decode
from holdfast.voice.control.state import MAX_FINISHED
from holdfast.voice.runtime.directory.collection import DirectoryRecord, read_record
from holdfast.voice.runtime.directory.directory import RECORDS
from holdfast.voice.runtime.messages.message_record import MessageRecord
from holdfast.voice.runtime.notification_log import read_notification
from holdfast.voice.runtime.sip.registrations import read_contacts

_NOUNS: dict[str, type] = {"call": Call, "room": Room, "queue": Queue, "recording": Recording, PARTICIPANT: Participant}


def _noun(noun: str, sid: str, data: str) -> object:
    value: object = decode(data)
    if not isinstance(value, _NOUNS[noun]):
        raise ValueError(f"{sid} is no {noun}")
    if isinstance(value, Participant) and sid.partition("/")[2] != value.call:
        raise ValueError(f"{sid} is another {noun}")
    return value


def _reader(kind: type[DirectoryRecord]) -> Callable[[str, str], object]:
    return lambda key, text: read_record(kind, text)


READERS = Readers(
    noun=_noun,
    key_values={
        **{kind.KIND: _reader(kind) for kind in RECORDS},
        MessageRecord.KIND: _reader(MessageRecord),
        "registration": lambda key, text: read_contacts(text),
        "notification": read_notification,
    },
    kept=MAX_FINISHED,
)
