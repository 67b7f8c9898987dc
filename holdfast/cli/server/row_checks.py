"""Read each kind of row in the store. Rows that no reader understands are set aside before other code sees them."""

from __future__ import annotations

from holdfast.store.row_check import Readers
from holdfast.voice.control.entities import (
    Call,
    Queue,
    Recording,
    Room,
)
from holdfast.voice.control.serialization import decode
from holdfast.voice.control.state import MAX_FINISHED
from holdfast.voice.runtime.directory.access import read_domain, read_key, read_list
from holdfast.voice.runtime.directory.records import (
    read_application,
    read_line,
    read_number,
    read_route,
)
from holdfast.voice.runtime.notification_log import read_notification
from holdfast.voice.runtime.sip.registrations import read_contacts

_NOUNS: dict[str, type] = {"call": Call, "room": Room, "queue": Queue, "recording": Recording}


def _noun(noun: str, sid: str, data: str) -> object:
    value: object = decode(data)
    if not isinstance(value, _NOUNS[noun]):
        raise ValueError(f"{sid} is no {noun}")
    return value


READERS = Readers(
    noun=_noun,
    key_values={
        "line": lambda key, text: read_line(text),
        "number": lambda key, text: read_number(text),
        "application": lambda key, text: read_application(text),
        "route": lambda key, text: read_route(text),
        "api-key": lambda key, text: read_key(text),
        "credential-list": lambda key, text: read_list(text),
        "sip-domain": lambda key, text: read_domain(text),
        "registration": lambda key, text: read_contacts(text),
        "notification": read_notification,
    },
    kept=MAX_FINISHED,
)
