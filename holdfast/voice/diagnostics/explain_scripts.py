"""Explain what a call's documents wait for, in plain words."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.voice.control.entities import Call
from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.model.commands import Role
from holdfast.voice.model.ids import CallSid, is_sid
from holdfast.voice.twiml.document import read
from holdfast.voice.twiml.script import Script

WEBHOOK_TIMEOUT_S = 15
"""Source: Twilio, "Webhooks connection overrides", total time by default."""
DOCUMENTS: dict[Role, str] = {
    "main": "document",
    "hold": "hold document",
    "wait": "conference's wait document",
    "queue": "queue's wait document",
    "announce": "announcement",
    "screen": "screening document",
    "whisper": "whispered document",
    "comfort": "document for as long as the other party's phone holds",
}


def script_sentences(call: Call, view: ReadOnlyState, now: float) -> Iterator[str]:
    """Yield one sentence or more for each document that runs for a call."""
    for script in call.scripts:
        yield from _of_script(script, view, now)
    if call.controlled_by is not None:
        alone = "" if call.scripts else "has no document of its own: it "
        yield f"It {alone}belongs to the <Dial> of {call.controlled_by}."


def _of_script(script: Script, view: ReadOnlyState, now: float) -> Iterator[str]:
    name = DOCUMENTS[script.role]
    since = f"{max(0.0, now - script.began_at):.1f} s"
    if script.fetching is not None and script.last_request is not None:
        yield (
            f"Its {name} is awaited: {script.last_request.method} {script.last_request.url} was sent {since} ago "
            f"and is not answered; a web server has {WEBHOOK_TIMEOUT_S} s."
        )
        return
    if script.ended == "broken":
        yield f"Its {name} could not be run."
        return
    if script.ended == "over" or script.document is None:
        yield f"Its {name} came to its end."
        return
    if script.says_failure:
        yield f"Its {name} failed, and no fallback URL was left: it hears that there is an error, and is then hung up."
        return
    verb = read(script.document).verbs[script.verb_index]
    yield f"Its {name} runs <{verb.name}>, begun {since} ago{verb.what_ends_it(now - script.began_at)}."
    for thing in script.open_resources:
        if is_sid(thing.key, "CA"):
            yield from _child(CallSid(thing.key), view)


def _child(sid: CallSid, view: ReadOnlyState) -> Iterator[str]:
    child = view.calls.get(sid)
    if child is not None and child.script("screen") is not None:
        yield f"It waits for {child.to} ({sid}), which has answered and hears its screening document first."
    elif child is not None and child.answered_at is None:
        state = "rings" if child.status == "ringing" else "is being called"
        yield f"It waits for {child.to} ({sid}), which {state} and has not answered."
