"""Why is it silent, and what does it wait for? One call explained in plain sentences, from what is and what happened.

A function of the board, the call's journal, and what its leg receives; it asks nobody and changes nothing.
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
from holdfast.voice.diagnostics.explain_end import end_sentences, unreached_sentences
from holdfast.voice.diagnostics.explain_player import PlayerAccount, newest_sound, recent_failures
from holdfast.voice.diagnostics.explain_scripts import WEBHOOK_TIMEOUT_S, ScriptSituation, script_sentences
from holdfast.voice.model.ids import CallSid
from holdfast.voice.model.masking import mask_passwords
from holdfast.voice.model.ports import JournalEntry, PendingCallbacks


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedPackets:
    """What comes from the party by RTP. Shape: `received` packets so far; `quiet` when none came lately.

    `strange` more came from addresses that are not the party's by the setting `rtp_source`, the newest of them from
    `stranger`.
    """

    received: int
    silent: bool
    rejected: int = 0
    rejected_from: tuple[str, int] | None = None
    rtp_source: str = "signalling"


def explain(
    call: Call,
    view: ScriptSituation,
    entries: Sequence[JournalEntry],
    *,
    now: float,
    packets: ReceivedPackets | None = None,
    children: Mapping[CallSid, Sequence[JournalEntry]] | None = None,
    pending: PendingCallbacks | None = None,
) -> tuple[str, ...]:
    """Everything that matters of a call now, one sentence each, the most telling first, and no password in them.

    `entries` is the call's journal, oldest first, and `children` those of the legs it dialled; `arrivals` None when
    nothing is known of its packets yet; `unsent` None when web servers took all that was to be told of it.
    """
    told = _sentences(call, view, entries, now=now, arrivals=packets, children=children or {}, unsent=pending)
    return tuple(mask_passwords(sentence) for sentence in told)


def _sentences(
    call: Call,
    view: ScriptSituation,
    entries: Sequence[JournalEntry],
    *,
    now: float,
    arrivals: ReceivedPackets | None,
    children: Mapping[CallSid, Sequence[JournalEntry]],
    unsent: PendingCallbacks | None,
) -> tuple[str, ...]:
    missed = tuple(unreached_sentences(entries, children, view.calls))
    if not call.live:
        return (*end_sentences(call, entries), *missed, *_callbacks(unsent, now), *_failures(entries))
    plays = newest_sound(entries)
    return (
        _status(call, now),
        *_where(call, view, now),
        _hears(call, view, plays),
        *_heard_by(call, view),
        *_packets(call, view, arrivals),
        *script_sentences(call, view, now),
        *missed,
        *_callbacks(unsent, now),
        *_failures(entries),
    )


def _status(call: Call, now: float) -> str:
    since = f"{now - call.created_at:.0f} s"
    match call.status:
        case CallStatus.QUEUED if call.target is not None:
            left = max(0.0, call.created_at + call.queue_time_s - now)
            return f"It waits for its turn to be placed, {left:.0f} s more: calls_per_s says how many a second are."
        case CallStatus.QUEUED:
            return f"{call.to} is being called, for {since} now, and does not ring yet."
        case CallStatus.RINGING if call.direction == "inbound":
            return f"{call.from_} calls, for {since} now, and was not answered: no verb that answers has run."
        case CallStatus.RINGING:
            left = max(0.0, call.created_at + call.timeout_s - now)
            return f"{call.to} rings, for {since} now; nobody has answered, and in {left:.0f} s it is given up."
        case _:
            answered = now - (call.answered_at or now)
            return f"The call is in progress, answered {answered:.0f} s ago."


def _where(call: Call, view: ScriptSituation, now: float) -> Iterator[str]:
    """Where it is: in a conference, bridged, in a queue."""
    room, queue = view.room_of(call.sid), view.queue_of(call.sid)
    one = room.participant(call.sid) if room is not None else None
    if room is not None and one is not None:
        yield from _in_room(room, one, view)
    if queue is not None:
        yield _in_queue(call, queue, view, now)
    if call.phone_held:
        yield "Its own phone holds: it asked for nothing to be sent to its ear until it resumes."


def _in_room(room: Room, one: Participant, view: ScriptSituation) -> Iterator[str]:
    others = [each for each in room.participants if each.call != one.call and each.status == "connected"]
    where = f"conference {room.name!r}" if room.kind == "conference" else "a bridge of two legs"
    if not others:
        yield f"It is alone in {where}."
    else:
        names = ", ".join(_name(each.call, view) for each in others)
        yield f"It is in {where} with {names}."
    if one.status != "connected":
        yield f"Its seat there is only reserved: it is {one.status}."
    if one.held:
        yield "It is on hold: it hears nobody and nobody hears it, until Hold=false."
    if one.hears_wait:
        yield "The conference has not begun: " + (
            "nobody is there who starts it (startConferenceOnEnter)."
            if others
            else "a second participant who may start it is missing."
        )
    if one.hears_announcement:
        yield "It hears an announcement, and nobody else meanwhile."


def _in_queue(call: Call, queue: Queue, view: ScriptSituation, now: float) -> str:
    for meeting in queue.introductions:
        if meeting.member.call == call.sid:
            return (
                f"It was taken out of queue {queue.name!r} by {_name(meeting.dialler.call, view)}, hears that one's "
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
            return f"It waits in queue {queue.name!r} for {waited:.0f} s, {ahead}; somebody must dial the queue."
    return f"It dials queue {queue.name!r}, which is empty, and waits for somebody to enter."


def _hears(call: Call, view: ScriptSituation, plays: PlayerAccount) -> str:
    """What the ear hears, and if it is silence, why."""
    if call.phone_held:
        return "Its ear hears nothing of ours, because its own phone holds."
    if call.status is not CallStatus.IN_PROGRESS:
        if call.early_media:
            return f"Its ear hears {plays.describe()}; that is early media, for the call is not answered."
        return "Its ear hears nothing of ours yet: the call is not answered."
    room = view.room_of(call.sid)
    routed = hears(room).get(call.sid) if room is not None else None
    if routed:
        return f"Its ear hears {', '.join(_name(other, view) for other in routed)}."
    if routed is None:
        return f"Its ear hears {plays.describe()}."
    assert room is not None
    others = [each for each in room.participants if each.call != call.sid and each.status == "connected"]
    if not others:
        return "Its ear hears silence: nobody else is there."
    return f"Its ear hears silence: {'; '.join(_why_inaudible(each, call, view) for each in others)}."


def _why_inaudible(other: Participant, call: Call, view: ScriptSituation) -> str:
    """Why one participant is not heard by this call; an ear that waits for a phone that holds is played music."""
    name = _name(other.call, view)
    if other.held:
        return f"{name} is on hold"
    if other.muted:
        return f"{name} is muted"
    return f"{name} coaches somebody else"


def _heard_by(call: Call, view: ScriptSituation) -> Iterator[str]:
    """Why others do not hear it."""
    room = view.room_of(call.sid)
    one = room.participant(call.sid) if room is not None else None
    if one is None or room is None or room.status is RoomStatus.INIT or one.held:
        return
    if one.muted:
        yield "It is muted: it hears, and nobody hears it, until Muted=false."
    if one.coaching and one.coach is not None:
        yield f"It coaches {_name(one.coach, view)}, who alone hears it."


def _packets(call: Call, view: ScriptSituation, arrivals: ReceivedPackets | None) -> Iterator[str]:
    """Whether its voice arrives. Source: field experience: a firewall or a wrong address in SDP."""
    if arrivals is None or call.status is not CallStatus.IN_PROGRESS or call.phone_held:
        return
    if arrivals.rejected_from is not None:
        yield _rejected(arrivals, arrivals.rejected_from)
    if arrivals.received == 0 and arrivals.rejected:
        yield "Not one RTP packet that is believed has come from its phone, so nobody can hear it."
    elif arrivals.received == 0:
        yield (
            "Not one RTP packet has come from its phone, so nobody can hear it: a firewall, or a wrong address in "
            "its SDP, is the usual cause. `holdfast ladder` shows where each side wants sound."
        )
    elif arrivals.silent:
        yield (
            f"No RTP packet has come from its phone lately ({arrivals.received} before): it sends nothing, "
            "or its network is gone."
        )


def _callbacks(unsent: PendingCallbacks | None, now: float) -> Iterator[str]:
    """What an application was not told yet, because its web server does not take it."""
    if unsent is None:
        return
    what = "A callback of it waits" if unsent.count == 1 else f"{unsent.count} callbacks of it wait"
    oldest = "" if unsent.count == 1 else "the oldest, "
    yield (
        f"{what}: {oldest}{unsent.method} {unsent.url}, for {max(0.0, now - unsent.since):.0f} s; those of one call "
        f"leave one after the other, and a web server has {WEBHOOK_TIMEOUT_S} s for each."
    )


def _rejected(arrivals: ReceivedPackets, stranger: tuple[str, int]) -> str:
    """Whose packets are not believed, and by which setting. Source: RFC 7362 §5."""
    host, port = stranger
    believed = {
        "named": "the address that its description names",
        "signalling": "the address that its description names or the host that its signalling comes from",
    }.get(arrivals.rtp_source, "its own address")
    wider = "signalling" if arrivals.rtp_source == "named" else "any"
    return (
        f"{arrivals.rejected} RTP packets were refused, the newest from {host}:{port}, which is not {believed} "
        f'(rtp_source = "{arrivals.rtp_source}"). If its phone sends them, set rtp_source = "{wider}" for its line or '
        "route; if not, they are a stranger's."
    )


def _failures(entries: Sequence[JournalEntry]) -> Iterator[str]:
    for trouble in recent_failures(entries):
        yield f"It was noted: {trouble}"


def _name(call: CallSid, view: ScriptSituation) -> str:
    """A call as a reader knows it: its party, and its SID."""
    found = view.calls.get(call)
    if found is None:
        return call
    party = found.from_ if found.direction == "inbound" else found.to
    return f"{party} ({call})"
