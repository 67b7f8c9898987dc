"""The form of messages on the local socket between control and the media process.

Shape: a message is two lengths of four bytes, big-endian, then that many bytes of JSON, `[name of the class, values]`,
and that many bytes of audio.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any, cast, get_args

from pydantic import TypeAdapter, ValidationError

from holdfast.voice.media_process.control_link.protocol import Command, Message, Request, ServerMessage
from holdfast.voice.media_process.errors import MediaMessageUnreadable

LENGTHS = struct.Struct("!II")
JSON_LIMIT = 4_000_000
AUDIO_LIMIT = 64_000
CLIP_PART = 64_000
"""Bytes of audio in one message: eight seconds. Storing it takes the media process well under a millisecond."""

_ADAPTERS: Mapping[str, TypeAdapter[Any]] = {kind.__name__: TypeAdapter(kind) for kind in get_args(Message)}
_FROM_CONTROL = frozenset(kind.__name__ for kind in get_args(Command | Request))


def pack(message: Message, audio: bytes | memoryview = b"") -> bytes:
    """Return the bytes of a message for the local socket."""
    name = type(message).__name__
    text = b'["%s",%s]' % (name.encode(), _ADAPTERS[name].dump_json(message))
    return b"".join((LENGTHS.pack(len(text), len(audio)), text, audio))


def parse_request(text: bytes) -> Command | Request:
    """Parse a message of control. Raises: MediaMessageUnreadable."""
    return cast(Command | Request, _parse(text, from_control=True))


def parse_server_message(text: bytes) -> ServerMessage:
    """Parse a message of the media process. Raises: MediaMessageUnreadable."""
    return cast(ServerMessage, _parse(text, from_control=False))


def _parse(text: bytes, *, from_control: bool) -> object:
    try:
        name, values = json.loads(text)
        if (name in _FROM_CONTROL) is not from_control:
            raise MediaMessageUnreadable(f"{str(name)[:40]} is no message of this end")
        return _ADAPTERS[name].validate_python(values)
    except ValidationError as error:
        raise MediaMessageUnreadable(f"invalid message: {error.errors(include_url=False)[:1]}") from error
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise MediaMessageUnreadable(f"invalid message: {type(error).__name__}") from error


class Unpacker:
    """An unpacker cuts a stream of bytes into messages, whatever pieces it arrives in."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Yield the JSON and the audio of each message that is complete now. Raises: MediaMessageUnreadable."""
        self._bytes += data
        while len(self._bytes) >= LENGTHS.size:
            text_length, audio_length = LENGTHS.unpack_from(self._bytes)
            if text_length > JSON_LIMIT or audio_length > AUDIO_LIMIT:
                raise MediaMessageUnreadable(f"the message is too long: {text_length} + {audio_length} bytes")
            end_of_text = LENGTHS.size + text_length
            end = end_of_text + audio_length
            if len(self._bytes) < end:
                return
            text, audio = bytes(self._bytes[LENGTHS.size : end_of_text]), bytes(self._bytes[end_of_text:end])
            del self._bytes[:end]
            yield text, audio
