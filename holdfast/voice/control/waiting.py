"""What a call's documents wait for, in plain words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from holdfast.voice.control.nouns import Call, Queue, Room
from holdfast.voice.model.commands import Role
from holdfast.voice.model.ids import CallSid, is_sid
from holdfast.voice.twiml.document import read
from holdfast.voice.twiml.script import Script
from holdfast.voice.twiml.verbs.flow import Pause

WEB_SERVER_HAS_S = 15
"""Source: Twilio, "Webhooks connection overrides", total time by default."""
DOCUMENTS: dict[Role, str] = {
    "main": "document",
    "hold": "hold document",
    "wait": "conference's wait document",
    "queue": "queue's wait document",
    "announce": "announcement",
    "screen": "screening document",
    "whisper": "whispered document",
    "comfort": "music while the other party's phone holds",
}


class Sight(Protocol):
    """What an explanation looks at: the nouns as they are."""

    @property
    def calls(self) -> Mapping[CallSid, Call]:
        """Every call."""

    def room_of(self, call: CallSid) -> Room | None:
        """The room this call is in, or has a seat in."""

    def queue_of(self, call: CallSid) -> Queue | None:
        """The queue this call waits in."""


def waits(call: Call, view: Sight, now: float) -> Iterator[str]:
    """One sentence or more for each document that runs for a call."""
    for script in call.scripts:
        yield from _of_script(script, view, now)
    if not call.scripts and call.boss is not None and call.live:
        yield f"It has no document of its own: it belongs to the <Dial> of {call.boss}."


def _of_script(script: Script, view: Sight, now: float) -> Iterator[str]:
    name = DOCUMENTS[script.role]
    since = f"{max(0.0, now - script.began_at):.1f} s"
    if script.fetching is not None and script.asked is not None:
        yield (
            f"Its {name} is awaited: {script.asked.method} {script.asked.url} was sent {since} ago and is not "
            f"answered; a web server has {WEB_SERVER_HAS_S} s."
        )
        return
    if script.ended == "broken":
        yield f"Its {name} could not be run."
        return
    if script.ended == "over" or script.document is None:
        yield f"Its {name} came to its end."
        return
    verb = read(script.document).verbs[script.verb]
    left = ""
    if isinstance(verb, Pause):
        left = f", {max(0.0, script.began_at + verb.length_s - now):.0f} s left"
    yield f"Its {name} runs <{verb.name}>, begun {since} ago{left}."
    for thing in script.opened:
        if is_sid(thing.key, "CA"):
            yield from _child(CallSid(thing.key), view)


def _child(sid: CallSid, view: Sight) -> Iterator[str]:
    child = view.calls.get(sid)
    if child is None or child.answered_at is not None:
        return
    state = "rings" if child.status == "ringing" else "is being called"
    yield f"It waits for {child.to} ({sid}), which {state} and has not answered."
