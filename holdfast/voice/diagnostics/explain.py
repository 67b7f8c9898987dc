"""Explain one call in plain sentences: why it is silent, and what it waits for.

The explanation is a function of the engine's state, the call's journal and the packets of its leg.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from holdfast.voice.control.conference.audio import hears
from holdfast.voice.control.entities import (
    Call,
    CallStatus,
    Participant,
    Queue,
    Room,
    RoomStatus,
)
from holdfast.voice.control.read_only_state import ReadOnlyState
from holdfast.voice.diagnostics.explain_admission import ineffective_sentences
from holdfast.voice.diagnostics.explain_end import end_sentences, unreached_sentences
from holdfast.voice.diagnostics.explain_player import WARNING, PlayerAccount, newest_sound, recent_failures
from holdfast.voice.diagnostics.explain_scripts import WEBHOOK_TIMEOUT_S, script_sentences
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import JournalEntry, PendingCallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPackets:
    """The RTP packets received from a party. Shape: `received` packets so far; `silent` when none arrived lately.

    `too_long` of them hold more audio than is taken, and were not played.
    `rejected` more arrived from addresses that are not the party's by the setting `rtp_source`, the newest of them from
    `rejected_from`.
    """

    received: int
    silent: bool
    too_long: int = 0
    rejected: int = 0
    rejected_from: tuple[str, int] | None = None
    rtp_source: str = "signalling"


def explain(
    call: Call,
    view: ReadOnlyState,
    entries: Sequence[JournalEntry],
    *,
    now: float,
    packets: ReceivedPackets | None = None,
    children: Mapping[CallSid, Sequence[JournalEntry]] | None = None,
    pending: PendingCallbacks | None = None,
) -> tuple[str, ...]:
    """Return what matters about a call now, one sentence each, the causes of trouble first, with passwords masked.

    `entries` is the call's journal, oldest first, and `children` those of the legs it dialled; `packets` is None when
    nothing is known of its packets yet, and `pending` when web servers accepted all its callbacks.
    """
    sentences = _sentences(call, view, entries, now=now, packets=packets, children=children or {}, pending=pending)
    return tuple(mask_passwords(sentence) for sentence in sentences)


def _sentences(
    call: Call,
    view: ReadOnlyState,
    entries: Sequence[JournalEntry],
    *,
    now: float,
    packets: ReceivedPackets | None,
    children: Mapping[CallSid, Sequence[JournalEntry]],
    pending: PendingCallbacks | None,
) -> tuple[str, ...]:
    failures = recent_failures(entries)
    warnings = tuple(f"It was noted: {failure}" for failure in failures if failure.startswith(WARNING))
    causes = (
        *(f"It was noted: {failure}" for failure in failures if not failure.startswith(WARNING)),
        *_packets(call, view, packets),
        *unreached_sentences(entries, children, view.calls),
        *ineffective_sentences(entries, view),
    )
    if not call.live:
        return (*end_sentences(call, entries), *causes, *warnings, *_callbacks(pending, now))
    newest = newest_sound(entries)
    return (
        *causes,
        _status(call, now),
        *_where(call, view, now),
        _hears(call, view, newest),
        *_heard_by(call, view),
        *script_sentences(call, view, now),
        *warnings,
        *_callbacks(pending, now),
    )


def _status(call: Call, now: float) -> str:
    since = f"{now - call.created_at:.0f} s"
    match call.status:
        case CallStatus.QUEUED if call.target is not None:
            left = max(0.0, call.created_at + call.queue_time_s - now)
            return (
                f"It waits for its turn to be placed, {left:.0f} s more: calls_per_s says how many a second are placed."
            )
        case CallStatus.QUEUED:
            return f"{call.to} is being called, for {since} now, and does not ring yet."
        case CallStatus.RINGING if call.direction == "inbound":
            return f"{call.from_} calls, for {since} now, and was not answered: no verb that answers has run."
        case CallStatus.RINGING:
            left = max(0.0, call.created_at + call.timeout_s - now)
            return f"{call.to} rings, for {since} now, and has not answered; the call is given up in {left:.0f} s."
        case _:
            answered = now - (call.answered_at or now)
            return f"The call is in progress, answered {answered:.0f} s ago."


def _where(call: Call, view: ReadOnlyState, now: float) -> Iterator[str]:
    """Yield where the call is: in a conference, bridged, in a queue."""
    room, queue = view.room_of(call.sid), view.queue_of(call.sid)
    participant = room.participant(call.sid) if room is not None else None
    if room is not None and participant is not None:
        yield from _in_room(room, participant, view)
    if queue is not None:
        yield _in_queue(call, queue, view, now)
    if call.phone_held:
        yield "Its own phone holds: it asked us to send no audio until it resumes." + (
            " What it sends meanwhile is heard in place of our music (phone_hold_music)." if call.holder_heard else ""
        )


def _in_room(room: Room, participant: Participant, view: ReadOnlyState) -> Iterator[str]:
    others = [each for each in room.participants if each.call != participant.call and each.status == "connected"]
    where = f"conference {room.name!r}" if room.kind == "conference" else "a bridge of two legs"
    if not others:
        yield f"It is alone in {where}."
    else:
        names = ", ".join(_name(each.call, view) for each in others)
        yield f"It is in {where} with {names}."
    if participant.status != "connected":
        heard = {"": "", "ringing": "; the others hear it ring", "phone": "; the others hear what its phone sends"}
        yield f"It is only listed there: it is {participant.status}{heard[participant.early_audio]}."
    if participant.held:
        yield "It is on hold: it hears no party and no party hears it, until Hold=false."
    if participant.hears_wait:
        yield "The conference has not begun: " + (
            "no participant may start it (startConferenceOnEnter)."
            if others
            else "a second participant that may start it is missing."
        )
    if participant.hears_announcement:
        yield "It hears an announcement, and no other party until it ends."


def _in_queue(call: Call, queue: Queue, view: ReadOnlyState, now: float) -> str:
    for meeting in queue.introductions:
        if meeting.member.call == call.sid:
            return (
                f"It was taken out of queue {queue.name!r} by {_name(meeting.dialler.call, view)}, hears that call's "
                "document first, and is bridged when it ends."
            )
        if meeting.dialler.call == call.sid:
            return (
                f"It dials queue {queue.name!r} and has {_name(meeting.member.call, view)}, who hears its document "
                "first; they are bridged when it ends."
            )
    for position, member in enumerate(queue.members, start=1):
        if member.call == call.sid:
            waited = now - member.entered_at
            ahead = "it is the next" if position == 1 else f"{position - 1} before it"
            return f"It waits in queue {queue.name!r} for {waited:.0f} s, {ahead}; a call must dial the queue."
    return f"It dials queue {queue.name!r}, which is empty, and waits for a call to enter."


def _hears(call: Call, view: ReadOnlyState, newest: PlayerAccount) -> str:
    """Say what the call's party hears, and if it is silence, why."""
    if call.phone_held:
        return "It hears nothing from us, because its own phone holds."
    if call.status is not CallStatus.IN_PROGRESS:
        if call.early_media:
            return f"It hears {newest.describe()}; that is early media, because the call is not answered."
        return "It hears nothing from us yet: the call is not answered."
    room = view.room_of(call.sid)
    routed = hears(room).get(call.sid) if room is not None else None
    if routed:
        return f"It hears {', '.join(_heard_name(other, view) for other in routed)}."
    if routed is None:
        return f"It hears {newest.describe()}."
    assert room is not None
    others = [each for each in room.participants if each.call != call.sid and each.status == "connected"]
    if not others:
        return "It hears silence: no other participant is there."
    return f"It hears silence: {'; '.join(_why_inaudible(each, call, view) for each in others)}."


def _why_inaudible(other: Participant, call: Call, view: ReadOnlyState) -> str:
    """Say why this call does not hear a participant; a phone's own hold is no reason here, because music plays then."""
    name = _name(other.call, view)
    if other.held:
        return f"{name} is on hold"
    if other.muted:
        return f"{name} is muted"
    return f"{name} coaches another participant"


def _heard_by(call: Call, view: ReadOnlyState) -> Iterator[str]:
    """Yield why others do not hear the call."""
    room = view.room_of(call.sid)
    participant = room.participant(call.sid) if room is not None else None
    if participant is None or room is None or room.status is RoomStatus.INIT or participant.held:
        return
    if participant.muted:
        yield "It is muted: it hears, but no party hears it, until Muted=false."
    if participant.coaching and participant.coach is not None:
        yield f"It coaches {_name(participant.coach, view)}, who alone hears it."


def _packets(call: Call, view: ReadOnlyState, packets: ReceivedPackets | None) -> Iterator[str]:
    """Yield what is wrong with its phone's packets. Source: field experience: a firewall, a wrong address in SDP."""
    if packets is None or call.status is not CallStatus.IN_PROGRESS or call.phone_held:
        return
    if packets.rejected_from is not None:
        yield _rejected(packets, packets.rejected_from)
    if packets.too_long:
        yield (
            f"{packets.too_long} of the {packets.received} RTP packets from its phone hold more than 200 ms of audio, "
            "and were not played: let the phone send shorter ones (ptime; our descriptions name maxptime:200)."
        )
    if packets.received == 0 and packets.rejected:
        yield "Not one RTP packet from its phone was accepted, so no party can hear it."
    elif packets.received == 0:
        yield (
            "Not one RTP packet has arrived from its phone, so no party can hear it: a firewall, or a wrong address in "
            "its SDP, is the usual cause. `holdfast ladder` shows where each side wants audio."
        )
    elif packets.silent:
        yield (
            f"No RTP packet has arrived from its phone lately ({packets.received} before): it sends nothing, "
            "or its network is gone."
        )


def _callbacks(pending: PendingCallbacks | None, now: float) -> Iterator[str]:
    """Yield how many callbacks wait, because the application's web server does not accept them."""
    if pending is None:
        return
    what = "A callback of it waits" if pending.count == 1 else f"{pending.count} callbacks of it wait"
    oldest = "" if pending.count == 1 else "the oldest, "
    yield (
        f"{what}: {oldest}{pending.method} {pending.url}, for {max(0.0, now - pending.since):.0f} s; those of one call "
        f"leave one after the other, and a web server has {WEBHOOK_TIMEOUT_S} s for each."
    )


def _rejected(packets: ReceivedPackets, sender: tuple[str, int]) -> str:
    """Say whose packets are rejected, and by which setting. Source: RFC 7362 §5."""
    host, port = sender
    accepted = {
        "named": "the address that its description names",
        "signalling": "the address that its description names or the host that its signalling comes from",
    }.get(packets.rtp_source, "its own address")
    wider = "signalling" if packets.rtp_source == "named" else "any"
    return (
        f"{packets.rejected} RTP packets were rejected, the newest from {host}:{port}, which is not {accepted} "
        f'(rtp_source = "{packets.rtp_source}"). If its phone sends them, set rtp_source = "{wider}" for its line or '
        "route; if not, they come from another sender."
    )


def _heard_name(call: CallSid, view: ReadOnlyState) -> str:
    """Return a call's name, with a word when it is heard before it answers."""
    found = view.calls.get(call)
    unanswered = found is not None and found.status is not CallStatus.IN_PROGRESS
    return f"{_name(call, view)}, which rings" if unanswered else _name(call, view)


def _name(call: CallSid, view: ReadOnlyState) -> str:
    """Return a call's name for a reader: its party, and its SID."""
    found = view.calls.get(call)
    if found is None:
        return call
    party = found.from_ if found.direction == "inbound" else found.to
    return f"{party} ({call})"
