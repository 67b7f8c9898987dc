"""This module describes every live call: where it is, whether it is held and by whom, what it hears."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from holdfast.holds.account.snapshots import AudioQualitySnapshot, CallSnapshot, RoomSnapshot
from holdfast.holds.concurrency import gather
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import Hold, Status, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import LegState, Pair

MUSIC, OTHER, SILENCE, RINGING = "music", "the other party", "silence", "ringing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """A call view shows one live call, as far as REST and our own records show it. An unknown value is None."""

    sid: CallSid
    parent: CallSid | None
    peer: CallSid | None
    from_: str
    to: str
    direction: str
    status: str
    conference: str | None
    conference_name: str | None
    muted: bool
    queue: str | None
    held: bool
    hold: str | None
    by: str | None
    since: float | None
    held_by_phone: bool
    music: str | None
    hears: str | None
    can_hold: bool
    why_not: str | None
    fix: str | None
    sound: AudioQualitySnapshot | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OverviewInput:
    """An overview input holds what was read from the account, and what the service itself knows."""

    calls: tuple[CallSnapshot, ...]
    rooms: tuple[RoomSnapshot, ...]
    queues: Mapping[CallSid, str]
    """The name of the queue in which each waiting call is."""
    audio_quality: Mapping[CallSid, AudioQualitySnapshot]
    continue_url: str | None
    holds: Mapping[CallSid, Hold] = field(default_factory=dict)
    phone_holds: Mapping[CallSid, Hold] = field(default_factory=dict)
    """The holds of phones that hold by themselves."""
    pairs: Mapping[CallSid, Pair] = field(default_factory=dict)


def call_views(data: OverviewInput) -> tuple[CallView, ...]:
    """Return a view of every live call, in the account's order."""
    by_sid = {call.sid: call for call in data.calls}
    return tuple(_view(call, by_sid, data) for call in data.calls)


def _view(call: CallSnapshot, by_sid: Mapping[CallSid, CallSnapshot], data: OverviewInput) -> CallView:
    room = conference_planner.find(call.sid, data.rooms)
    participant = None if room is None else room.participant(call.sid)
    pair = data.pairs.get(call.sid)
    if room is not None or (pair is not None and (pair.over or pair.room is not None)):
        pair = None
    hold = data.holds.get(call.sid)
    queue = data.queues.get(call.sid)
    held = (participant is not None and participant.hold) or (pair is not None and pair.party(call.sid).held)
    dialled_peers = _dialled_peers(call, by_sid) if room is None and pair is None and queue is None else ()
    peer = (
        pair.other(call.sid).call if pair is not None else (dialled_peers[0].sid if len(dialled_peers) == 1 else None)
    )
    why_not, fix = _why_not(
        call, held=held, in_room=participant is not None, pair=pair, dialled_peers=dialled_peers, data=data
    )
    by_phone = data.phone_holds.get(call.sid)
    shown_hold = (
        hold if hold is not None and hold.status in (Status.HELD, Status.RESUMING, Status.HOLDING) else by_phone
    )
    return CallView(
        sid=call.sid,
        parent=call.parent,
        peer=peer,
        from_=call.from_,
        to=call.to,
        direction=call.direction,
        status=call.status,
        conference=None if room is None else room.conference.sid,
        conference_name=None if room is None else room.conference.name,
        muted=participant is not None and participant.muted,
        queue=queue,
        held=held,
        held_by_phone=by_phone is not None,
        hold=None if shown_hold is None else shown_hold.id,
        by=None if shown_hold is None else shown_hold.by,
        since=None if shown_hold is None else shown_hold.held_at,
        music=None if shown_hold is None else shown_hold.music,
        hears=_hears(call, room, pair, queue, dialled_peers, held=held, phones=data.phone_holds),
        can_hold=why_not is None,
        why_not=why_not,
        fix=fix,
        sound=data.audio_quality.get(call.sid),
    )


def _dialled_peers(call: CallSnapshot, by_sid: Mapping[CallSid, CallSnapshot]) -> tuple[CallSnapshot, ...]:
    """Return the live calls at the other end of this one's plain Dial."""
    parent = by_sid.get(call.parent) if call.parent is not None else None
    if parent is not None:
        return (parent,)
    return tuple(other for other in by_sid.values() if other.parent == call.sid)


def _hears(
    call: CallSnapshot,
    room: RoomSnapshot | None,
    pair: Pair | None,
    queue: str | None,
    dialled_peers: tuple[CallSnapshot, ...],
    *,
    held: bool,
    phones: Mapping[CallSid, Hold],
) -> str | None:
    if held:
        return MUSIC
    if call.sid in phones:
        # A phone that holds receives no audio from us.
        return None
    if room is not None:
        others = [other for other in conference_planner.others(call.sid, room) if other.coaches in (None, call.sid)]
        if room.conference.status == "init":
            return MUSIC
        if any(not (other.hold or other.muted or other.call in phones) for other in others):
            return OTHER
        return MUSIC if any(other.call in phones for other in others) else SILENCE
    if any(end.sid in phones for end in dialled_peers) or (pair is not None and pair.other(call.sid).call in phones):
        return MUSIC
    if pair is not None:
        return SILENCE if pair.party(call.sid).state is LegState.PARKED else OTHER
    if queue is not None:
        return MUSIC
    if not call.talking:
        return None
    if any(other.talking for other in dialled_peers):
        return OTHER
    return RINGING if dialled_peers else None


def _why_not(
    call: CallSnapshot,
    *,
    held: bool,
    in_room: bool,
    pair: Pair | None,
    dialled_peers: tuple[CallSnapshot, ...],
    data: OverviewInput,
) -> tuple[str | None, str | None]:
    if held:
        return "it is on hold", None
    if not call.talking:
        return f"it has not been answered yet (it is {call.status})", None
    if in_room or pair is not None:
        return None, None
    if dialled_peers:
        refusal = legs_planner.unknown_continuation(data.continue_url)
        return refusal.why, refusal.fix
    return "it is in no conference and talks to no other party", conference_planner.HOW_TO_JOIN


class CallOverview:
    """A call overview reads what `call_views` needs. Callers who wait during a read share the next one.

    Invariant: no caller receives a read that began before they asked.
    """

    def __init__(self, account: AccountPort, hold_log: HoldLog, pairs: PairIndex, *, continue_url: str | None) -> None:
        self._account = account
        self._hold_log = hold_log
        self._pairs = pairs
        self._continue_url = continue_url
        self._reading = asyncio.Lock()
        self._reads_begun = 0
        self._latest: tuple[int, OverviewInput] | None = None
        """The latest read and its sequence number."""

    async def views(self) -> tuple[CallView, ...]:
        """Return a view of every live call. Raises: AccountError."""
        too_old = self._reads_begun
        async with self._reading:
            if self._latest is None or self._latest[0] <= too_old:
                self._reads_begun += 1
                self._latest = (self._reads_begun, await self._read())
            data = self._latest[1]
        return call_views(self._with_own_records(data))

    async def _read(self) -> OverviewInput:
        # In the order of a call's progress, one by one: a call that progresses meanwhile is seen at least once.
        listed = [await self._account.calls(status=status) for status in ("queued", "ringing", "in-progress")]
        conferences = await self._account.conferences()
        members = await gather("list participants", [self._account.participants(live.sid) for live in conferences])
        queues = await self._account.queues()
        waiting = await gather("list queue members", [self._account.members(sid) for sid, _ in queues])
        return OverviewInput(
            calls=_deduplicated(call for calls in listed for call in calls),
            rooms=tuple(
                RoomSnapshot(conference=live, participants=tuple(inside))
                for live, inside in zip(conferences, members, strict=True)
            ),
            queues={call: name for (_, name), calls in zip(queues, waiting, strict=True) for call in calls},
            audio_quality={quality.call: quality for quality in await self._account.audio_quality()},
            continue_url=self._continue_url,
        )

    def _with_own_records(self, data: OverviewInput) -> OverviewInput:
        return replace(
            data,
            holds={hold.call: hold for hold in self._hold_log.active() if hold.way is not WayName.PHONE},
            phone_holds=self._hold_log.phone_holds(),
            pairs={call.sid: pair for call in data.calls if (pair := self._pairs.of(call.sid)) is not None},
        )


def _deduplicated(calls: Iterable[CallSnapshot]) -> tuple[CallSnapshot, ...]:
    """Return each call once, with its last status: a call that is answered between two reads appears in both lists."""
    return tuple({call.sid: call for call in calls if call.live}.values())
