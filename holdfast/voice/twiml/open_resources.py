"""Name the resources that verbs start: what opens and closes one, and the action that stops it when its verb ends.

The resources that several verbs start stand here; a verb names those that it alone starts in its own file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, Final, NamedTuple

from holdfast.voice.model.effects import Effect, PlaySound, StartTimer, StopSound, StopTimer
from holdfast.voice.model.facts import RecordingFinished, RoomLeft, RoomRefused, SoundEnded, SoundFailed, TimerFired
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.internal_commands import (
    BeginRecording,
    Bridge,
    EndRecording,
    EnterConference,
    LeaveRoom,
    NounCommand,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenResource:
    """An open resource was started by a verb; `stop` stops it, and a fact or an action with its `key` closes it."""

    key: str
    stop: Effect | NounCommand
    stop_at_hangup: Effect | NounCommand | None = None
    """What stops it when the call has ended, where that differs."""


class ResourceKind(NamedTuple):
    """A kind of resource knows the actions that open one, and the facts and actions that close one.

    Shape: by class; `opens` returns None, and `closes` "", for an action or a fact that concerns no such resource.
    """

    opens: Mapping[type, Callable[[Any, CallSid], OpenResource | None]]
    closes: Mapping[type, Callable[[Any], str]]


def _room(action: Bridge | EnterConference, call: CallSid) -> OpenResource | None:
    return OpenResource(key=ROOM_KEY, stop=LeaveRoom(call=call)) if action.call == call else None


ROOM_KEY: Final = "room"
SHARED_KINDS: Final = (
    ResourceKind(
        opens={StartTimer: lambda action, _: OpenResource(key=action.token, stop=StopTimer(token=action.token))},
        closes=dict.fromkeys((TimerFired, StopTimer), attrgetter("token")),
    ),
    ResourceKind(
        opens={PlaySound: lambda action, _: OpenResource(key=action.token, stop=StopSound(token=action.token))},
        closes=dict.fromkeys((SoundEnded, SoundFailed, StopSound), attrgetter("token")),
    ),
    ResourceKind(
        opens={
            BeginRecording: lambda action, _: OpenResource(
                key=action.recording, stop=EndRecording(recording=action.recording)
            )
        },
        closes=dict.fromkeys((RecordingFinished, EndRecording), attrgetter("recording")),
    ),
    ResourceKind(
        opens=dict.fromkeys((Bridge, EnterConference), _room),
        closes=dict.fromkeys((RoomLeft, RoomRefused), lambda _: ROOM_KEY),
    ),
)
"""The resources that any verb may start."""


def resource_opened(action: object, call: CallSid, kinds: Iterable[ResourceKind]) -> OpenResource | None:
    """Return the resource that an action opens, which must be stopped when its verb ends."""
    opens = (kind.opens[type(action)](action, call) for kind in kinds if type(action) in kind.opens)
    return next((opened for opened in opens if opened is not None), None)


def key_closed(message: object, kinds: Iterable[ResourceKind]) -> str:
    """Return the key of the resource that a fact or an action closes, or ""."""
    return next((kind.closes[type(message)](message) for kind in kinds if type(message) in kind.closes), "")
