"""Explain the end of a call in plain words, from the journal entries of that moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from holdfast.voice.control.call.step import limit_timer, ring_timer
from holdfast.voice.control.entities import Call, CallStatus
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.ports import JournalEntry

RELEASE_REASONS: Final = {
    "done": "The <Dial> that had called it was over.",
    "timeout": "There was no answer within the timeout of the <Dial> that had called it.",
    "lost-race": "Another phone of the same <Dial> answered first.",
    "parent-gone": "The call whose <Dial> had called it was over.",
}
REFUSAL_REASONS: Final = {
    401: "it wanted credentials, or others",
    403: "it is forbidden there",
    404: "no user of that name is known there",
    407: "it wanted credentials, or others",
    408: "no answer came from there in time",
    480: "the phone is not there now: not registered, or switched off",
    486: "busy",
    487: "it was given up before an answer",
    488: "no codec, or no encryption of the audio, in common",
    500: "an error at the far end",
    503: "no capacity, here or there",
    600: "busy everywhere",
    603: "declined",
}
"""Source: RFC 3261 §21."""
DOCUMENT_FAILED: Final = 500
"""The SIP status of a call that an error in its document ended."""
MAX_DIALLED: Final = 3
"""The number of dialled and not reached legs that are named."""


def end_sentences(call: Call, entries: Sequence[JournalEntry]) -> Iterator[str]:
    """Yield that the call is over, and who or what ended it."""
    spoken = ""
    if call.answered_at is not None and call.ended_at is not None:
        spoken = f" after {call.ended_at - call.answered_at:.0f} s"
    tells = call.sip_code and not (call.status is CallStatus.COMPLETED and call.sip_code == 200)
    yield f"The call is over: {call.status}{spoken}{f' (SIP {call.sip_code})' if tells else ''}."
    why = next((words for entry in entries if (words := _why(entry, call)) is not None), None)
    yield why or _document_over(call, entries)


def dialled_legs(entries: Sequence[JournalEntry]) -> tuple[CallSid, ...]:
    """Return the newest ended legs of a call's `<Dial>`s, oldest first."""
    ended = [json.loads(entry.data)["child"] for entry in entries if entry.kind == "ChildEnded"]
    return tuple(CallSid(child) for child in ended[-MAX_DIALLED:])


def unreached_sentences(
    entries: Sequence[JournalEntry], children: Mapping[CallSid, Sequence[JournalEntry]], calls: Mapping[CallSid, Call]
) -> Iterator[str]:
    """Yield which callees a call's `<Dial>`s did not reach, and why, from the journals of those legs."""
    for child, its in children.items():
        refused = next((json.loads(entry.data) for entry in its if entry.kind == "LegRefused"), None)
        if refused is not None and child in calls:
            yield f"Its <Dial> did not reach {calls[child].to} ({child}): {_refused(refused)}."
    missing = False
    for entry in reversed(entries):
        missing = missing or entry.kind == "QueueMissing"
        if missing and entry.kind == "DialQueue":
            yield f"There was no queue {json.loads(entry.data)['name']!r} for its <Dial>."
            return


def _why(entry: JournalEntry, call: Call) -> str | None:
    """Return the reason for the end by this entry, or None; of the entries of that moment the first reason counts."""
    if entry.at != call.ended_at:
        return None
    data: dict[str, Any] = json.loads(entry.data)
    match entry.kind:
        case "LegEnded":
            return _left(data.get("cause", "hangup"), data.get("sip_code", 200))
        case "LegRefused":
            return f"It was not answered: {_refused(data)}."
        case "EndCall":
            return "It was ended by REST, or with the engine."
        case "ReleaseChild":
            return RELEASE_REASONS[data.get("cause", "done")]
        case "TimerFired" if data["token"] == limit_timer(call.sid):
            return "Its time limit was over."
        case "TimerFired" if data["token"] == ring_timer(call.sid):
            return "It was not answered in time."
        case _:
            return None


def _refused(data: Mapping[str, Any]) -> str:
    code = data["sip_code"]
    return str(data.get("reason") or REFUSAL_REASONS.get(code, f"SIP {code}"))


def _left(cause: str, sip_code: int) -> str:
    match cause:
        case "canceled":
            return "Its phone gave up before it was answered."
        case "lost" if sip_code == 503:
            return "The engine it was in ended without a BYE; a new one found the call."
        case "lost":
            return "Its phone was lost: neither audio nor an answer arrived from it any more."
        case _:
            return "Its phone hung up."


def _document_over(call: Call, entries: Sequence[JournalEntry]) -> str:
    failure = _failure(call, entries)
    began = [json.loads(entry.data) for entry in entries[:failure] if entry.kind == "VerbBegan"]
    last = next((each["verb"] for each in reversed(began) if each["role"] == "main"), None)
    if failure is not None:
        code = json.loads(entries[failure].data)["code"]
        at, behind = (f" at <{last}>", ", and no verb after it was run") if last else ("", "")
        return f"Error {code}{at} ended it{behind}: there was no fallback URL, or it failed too."
    match last:
        case None:
            return "No verb of a document had run."
        case "Hangup" | "Reject":
            return f"Its document said <{last}>."
        case _:
            return f"Its document came to its end at <{last}>, with no verb after it to run."


def _failure(call: Call, entries: Sequence[JournalEntry]) -> int | None:
    """Return the place of the error that ended the call's document: the newest error, after which it was only said.

    Source: `control.call.scripts`, a failed main document.
    """
    if call.sip_code != DOCUMENT_FAILED:
        return None
    places = (
        place
        for place in range(len(entries) - 1, -1, -1)
        if entries[place].kind == "LogNotification" and json.loads(entries[place].data)["log"] == 0
    )
    return next(places, None)
