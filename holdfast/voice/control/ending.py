"""How a call came to its end, in plain words, from what the journal holds of that moment."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from holdfast.voice.control.nouns import Call, CallStatus
from holdfast.voice.control.work import limit_timer, ring_timer
from holdfast.voice.model.ports import Entry

RELEASED: Final = {
    "done": "The <Dial> that had called it was over.",
    "timeout": "Nobody answered within the timeout of the <Dial> that had called it.",
    "lost-race": "Another phone of the same <Dial> answered first.",
    "parent-gone": "The call whose <Dial> had called it was over.",
}
REFUSED: Final = {
    401: "it wanted credentials, or others",
    403: "it is forbidden there",
    404: "nobody is known there by that name",
    407: "it wanted credentials, or others",
    408: "no answer came from there in time",
    480: "the phone is not there now: not registered, or switched off",
    486: "busy",
    487: "it was given up before an answer",
    488: "no codec, or no sealing of the sound, that both can do",
    500: "an error over there",
    503: "no capacity, here or there",
    600: "busy everywhere",
    603: "declined",
}
"""Source: RFC 3261 §21."""


def ending(call: Call, entries: Sequence[Entry]) -> Iterator[str]:
    """That the call is over, and who or what ended it."""
    spoken = ""
    if call.answered_at is not None and call.ended_at is not None:
        spoken = f" after {call.ended_at - call.answered_at:.0f} s"
    tells = call.sip_code and not (call.status is CallStatus.COMPLETED and call.sip_code == 200)
    yield f"The call is over: {call.status}{spoken}{f' (SIP {call.sip_code})' if tells else ''}."
    why = next((words for entry in entries if (words := _why(entry, call)) is not None), None)
    yield why or _document_over(entries)


def _why(entry: Entry, call: Call) -> str | None:
    """What an entry says of the end; None when it did not cause it: of those of the same moment the first did."""
    if entry.at != call.ended_at:
        return None
    data: dict[str, Any] = json.loads(entry.data)
    match entry.kind:
        case "LegEnded":
            return _left(data.get("cause", "hangup"), data.get("sip_code", 200))
        case "LegRefused":
            code = data["sip_code"]
            return f"It was not answered: {data.get('reason') or REFUSED.get(code, f'SIP {code}')}."
        case "EndCall":
            return "It was ended by REST, or with the engine."
        case "ReleaseChild":
            return RELEASED[data.get("cause", "done")]
        case "TimerFired" if data["token"] == limit_timer(call.sid):
            return "Its time limit was over."
        case "TimerFired" if data["token"] == ring_timer(call.sid):
            return "Nobody answered in time."
        case _:
            return None


def _left(cause: str, sip_code: int) -> str:
    match cause:
        case "canceled":
            return "Its phone gave up before it was answered."
        case "lost" if sip_code == 503:
            return "The engine it was in ended without a goodbye; a new one found it."
        case "lost":
            return "Its phone was lost: neither sound nor an answer came from it any more."
        case _:
            return "Its phone hung up."


def _document_over(entries: Sequence[Entry]) -> str:
    verbs = [json.loads(entry.data) for entry in entries if entry.kind == "VerbBegan"]
    last = next((each["verb"] for each in reversed(verbs) if each["role"] == "main"), None)
    match last:
        case None:
            return "No verb of a document had run."
        case "Hangup" | "Reject":
            return f"Its document said <{last}>."
        case _:
            return f"Its document came to its end at <{last}>, with nothing behind it to run."
