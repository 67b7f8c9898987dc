"""Draw what happened to one call from the journal: a ladder of phone, engine and web.

    phone                              engine                                web
    INVITE sip:+15550100@… ──────────▶ receive from client:alice
                                       POST http://app/voice ───────────────▶ 200 text/xml, 4 ms
                                       ▌ Dial
                                       ♪ hears CA…

Audio is in the middle, because the engine decides it: `♪` says what the party hears from that moment on.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

from holdfast.voice.diagnostics.explain_player import without_parameters
from holdfast.voice.model.ports import JournalEntry
from holdfast.voice.model.timestamps import rfc2822

PHONE, ENGINE, WEB = 44, 46, 56
HIDDEN = frozenset({"TimerFired", "RoomEntered", "QueueEntered", "StopScript", "StartScript", "NoteParticipant"})
"""The kinds of journal entries that a ladder does not show."""
LABELS = {
    "ReceiveCall": "call in",
    "CreateCall": "REST: create the call",
    "RedirectCall": "redirect",
    "EndCall": "end",
    "ChangeCall": "REST: change the call",
    "ChangeParticipant": "REST: change the participant",
    "CallChild": "dialled by",
    "ReleaseChild": "released by its Dial",
    "Bridge": "bridged",
    "EnterConference": "enters conference",
    "LeaveRoom": "leaves the room",
    "JoinQueue": "enters queue",
    "LeaveQueue": "leaves the queue",
    "DialQueue": "asks for the front of queue",
    "ChildAnswered": "child answered",
    "ChildEnded": "child ended",
    "ChildDetached": "child detached",
    "LegAnswered": "answered",
    "LegRinging": "rings",
    "LegRefused": "refused",
    "LegEnded": "leg ended",
    "PhoneHeld": "the phone holds",
    "HolderSounds": "audio of the phone that holds",
    "PhoneResumed": "the phone resumes",
    "LegSpeaks": "speech",
    "PhoneRefers": "the phone asks to transfer its peer",
    "LegReferred": "the phone answered our REFER",
    "ReferralNotified": "the phone reports on the transfer",
    "QueueTaken": "taken out of the queue",
    "MemberReached": "reached a queued call",
    "RoomLeft": "out of the room",
    "DigitPressed": "digit",
    "SoundEnded": "sound ended",
    "SoundFailed": "sound failed",
    "DocumentFetchFailed": "no document",
    "DocumentFetched": "document arrived",
}
_ADDRESS = re.compile(r"^c=IN IP[46] (\S+)", re.MULTILINE)
_DIRECTION = re.compile(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", re.MULTILINE)


def ladder(call: str, entries: Sequence[JournalEntry]) -> str:
    """Draw everything the journal contains about a call. Shape: lines of text, oldest first."""
    if not entries:
        return f"{call}: nothing is known of this call."
    entries = sorted(entries, key=lambda entry: entry.at)  # a webhook stands in the journal when it was answered
    began = entries[0].at
    head = f"{'seconds':>9}  {'phone':<{PHONE}} {'engine':<{ENGINE}} web"
    lines = [f"{call}   begun {rfc2822(began)}", "", head, "─" * (13 + PHONE + ENGINE + WEB)]
    for entry in entries:
        for line in _rungs(entry):
            lines.append(f"{entry.at - began:9.3f}  {line}".rstrip())
    return "\n".join(lines)


def _rungs(entry: JournalEntry) -> Iterable[str]:
    data = json.loads(entry.data)
    match entry.kind:
        case "sip":
            summary = _cut(str(data["summary"]), PHONE - 4)
            arrow = (
                f"{summary} {'─' * (PHONE - len(summary) - 3)}▶"
                if data["received"]
                else (f"◀{'─' * (PHONE - len(summary) - 3)} {summary}")
            )
            yield arrow
            for line in _media_lines(data.get("text", "")):
                yield _cut(f"   {line}", PHONE + ENGINE)
        case "webhook":
            asked = _cut(f"{data['method']} {data['url']}", ENGINE - 3)
            answer = f"{data['status'] or 'no answer'} {data['content_type']}".strip()
            wrong = f" {data['error']}" if data["error"] else ""
            tail = _cut(f"{answer}, {data['took_ms']} ms{wrong}", WEB)
            yield f"{'':<{PHONE}} {asked} {'─' * (ENGINE - len(asked) - 2)}▶ {tail}"
            summary = _form_summary(data["form"])
            if summary:
                yield f"{'':<{PHONE}} {'':<{ENGINE}} {_cut(summary, WEB)}"
        case "Hears":
            hears = data["hears"]
            heard = "its own player" if hears is None else " + ".join(hears) if hears else "silence"
            yield f"{'':<{PHONE}} ♪ hears {heard}"
        case "PlaySound":
            rounds = data.get("rounds", 1)
            again = "" if rounds == 1 else " in a loop" if rounds == 0 else f" {rounds} times"
            if data.get("while_loading"):
                again += ", if its own sound has not begun"
            yield f"{'':<{PHONE}} ♪ plays {data['source']}{again}"
        case "Beep":
            moved = "enters" if data["tone"] == "entry" else "leaves"
            yield f"{'':<{PHONE}} ♪ a beep to its room: it {moved}"
        case "StopSound":
            yield f"{'':<{PHONE}} ♪ stops"
        case "VerbBegan":
            role = "" if data["role"] == "main" else f" ({data['role']})"
            yield f"{'':<{PHONE}} ▌ <{data['verb']}>{role}"
        case "LogNotification":
            level = "error" if data["log"] == 0 else "warning"
            yield f"{'':<{PHONE}} ! {level} {data['code']}: {without_parameters(data['message'])}"
        case kind if kind not in HIDDEN:
            yield f"{'':<{PHONE}} {LABELS.get(kind, kind)}{_detail(kind, data)}"
        case _:
            pass


def _media_lines(message: str) -> Iterable[str]:
    """Yield address, codecs and direction of each audio description in a SIP message. Source: RFC 8866 §5."""
    _, _, body = message.partition("\r\n\r\n")
    session, *descriptions = re.split(r"^m=", body, flags=re.MULTILINE)
    for description in descriptions:
        first = description.partition("\n")[0].split()
        if len(first) < 3 or first[0] != "audio":
            continue
        host = _ADDRESS.search(description) or _ADDRESS.search(session)
        direction = _DIRECTION.search(description) or _DIRECTION.search(session)
        words = (f"{host[1] if host else '?'}:{first[1]}", *first[2:], direction[1] if direction else "sendrecv")
        yield "audio " + " ".join(words)


def _detail(kind: str, data: dict[str, Any]) -> str:
    """Return the one or two values of a message that matter."""
    match kind:
        case "ReceiveCall":
            return f" from {data['from_']} to {data['to']}"
        case "CreateCall":
            return f" to {data['target']['to']}"
        case "CallChild":
            return f" {data['parent']} to {data['target']['to']}"
        case "ChangeParticipant":
            words = [f"{name}={data[name]}" for name in ("hold", "muted", "coaching", "end_on_exit") if name in data]
            return f": {' '.join(words)}" if words else ""
        case "EnterConference":
            return f" {data['admission']['name']!r}"
        case "JoinQueue" | "DialQueue":
            return f" {data['name']!r}"
        case "LegRefused":
            return f": {data['sip_code']} {data.get('reason', '')}".rstrip()
        case "RoomLeft":
            return f": {data['reason']}"
        case "DigitPressed":
            return f" {data['digit']}"
        case "SoundFailed" | "DocumentFetchFailed":
            return f": {data['code']} {without_parameters(data['message'])}"
        case "ChildEnded":
            return f": {data['status']}"
        case "LegSpeaks":
            return " begins" if data["speaks"] else " ends"
        case "HolderSounds":
            return " begins" if data["sounds"] else " ends"
        case "PhoneRefers":
            return f" to {data['target']}"
        case "LegReferred" | "ReferralNotified":
            return f": {data['sip_code'] or 'no status'}"
        case "RedirectCall":
            request = data["instruction"].get("request")
            return f" to {without_parameters(request['url'])}" if request else " to a document given inline"
        case _:
            return ""


def _form_summary(form: Sequence[Sequence[str]]) -> str:
    """Return in short the parameters of a request beyond the standard ones."""
    wanted = ("CallStatus", "StatusCallbackEvent", "DialCallStatus", "QueueResult", "Hold", "ErrorCode")
    return " ".join(f"{name}={value}" for name, value in form if name in wanted)


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"
