"""Every live call as one line: where it is, whether it is held and by whom, what it hears, whether it can be held."""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from holdfast.holds.account.snapshots import AudioQualitySnapshot, CallSnapshot, RoomSnapshot
from holdfast.holds.concurrency.gather import together
from holdfast.holds.conference import planner as conference_planner
from holdfast.holds.history.hold_log import HoldLog
from holdfast.holds.hold import Hold, Status, WayName
from holdfast.holds.ids import CallSid
from holdfast.holds.legs import planner as legs_planner
from holdfast.holds.legs.pair_index import PairIndex
from holdfast.holds.ports import AccountPort
from holdfast.holds.steps.pair import Pair, Place

MUSIC, OTHER, SILENCE, RINGING = "music", "the other party", "silence", "ringing"


@dataclass(frozen=True, slots=True, kw_only=True)
class CallView:
    """One live call, as far as REST and our own records tell. What nobody knows is None."""

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
    """What was read, and what we know ourselves."""

    calls: tuple[CallSnapshot, ...]
    rooms: tuple[RoomSnapshot, ...]
    queues: Mapping[CallSid, str]
    """The name of the queue each waiting call is in."""
    holds: Mapping[CallSid, Hold]
    phones: Mapping[CallSid, Hold]
    """The holds of phones that hold by themselves."""
    pairs: Mapping[CallSid, Pair]
    sounds: Mapping[CallSid, AudioQualitySnapshot]
    continue_url: str | None


def views(known: OverviewInput) -> tuple[CallView, ...]:
    """A line for every live call, in the account's order."""
    by_sid = {call.sid: call for call in known.calls}
    return tuple(_view(call, by_sid, known) for call in known.calls)


def _view(call: CallSnapshot, by_sid: Mapping[CallSid, CallSnapshot], known: OverviewInput) -> CallView:
    room = conference_planner.find(call.sid, known.rooms)
    me = None if room is None else room.participant(call.sid)
    pair = known.pairs.get(call.sid)
    if room is not None or (pair is not None and (pair.over or pair.room is not None)):
        pair = None
    hold = known.holds.get(call.sid)
    queue = known.queues.get(call.sid)
    held = (me is not None and me.hold) or (pair is not None and pair.me(call.sid).held)
    ends = _ends(call, by_sid) if room is None and pair is None and queue is None else ()
    peer = pair.other(call.sid).call if pair is not None else (ends[0].sid if len(ends) == 1 else None)
    why_not, fix = _why_not(call, held=held, in_room=me is not None, pair=pair, ends=ends, known=known)
    by_phone = known.phones.get(call.sid)
    shown = hold if hold is not None and hold.status in (Status.HELD, Status.RESUMING, Status.HOLDING) else by_phone
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
        muted=me is not None and me.muted,
        queue=queue,
        held=held,
        held_by_phone=by_phone is not None,
        hold=None if shown is None else shown.id,
        by=None if shown is None else shown.by,
        since=None if shown is None else shown.held_at,
        music=None if shown is None else shown.music,
        hears=_hears(call, room, pair, queue, ends, held=held, phones=known.phones),
        can_hold=why_not is None,
        why_not=why_not,
        fix=fix,
        sound=known.sounds.get(call.sid),
    )


def _ends(call: CallSnapshot, by_sid: Mapping[CallSid, CallSnapshot]) -> tuple[CallSnapshot, ...]:
    """The live calls at the other end of this one's plain Dial."""
    above = by_sid.get(call.parent) if call.parent is not None else None
    if above is not None:
        return (above,)
    return tuple(other for other in by_sid.values() if other.parent == call.sid)


def _hears(
    call: CallSnapshot,
    room: RoomSnapshot | None,
    pair: Pair | None,
    queue: str | None,
    ends: tuple[CallSnapshot, ...],
    *,
    held: bool,
    phones: Mapping[CallSid, Hold],
) -> str | None:
    if held:
        return MUSIC
    if call.sid in phones:
        # A phone that holds takes no sound from us.
        return None
    if room is not None:
        others = [one for one in conference_planner.others(call.sid, room) if one.coaches in (None, call.sid)]
        if room.conference.status == "init":
            return MUSIC
        if any(not (other.hold or other.muted or other.call in phones) for other in others):
            return OTHER
        return MUSIC if any(other.call in phones for other in others) else SILENCE
    if any(end.sid in phones for end in ends) or (pair is not None and pair.other(call.sid).call in phones):
        return MUSIC
    if pair is not None:
        return SILENCE if pair.me(call.sid).place is Place.PARKED else OTHER
    if queue is not None:
        return MUSIC
    if not call.talking:
        return None
    if any(other.talking for other in ends):
        return OTHER
    return RINGING if ends else None


def _why_not(
    call: CallSnapshot,
    *,
    held: bool,
    in_room: bool,
    pair: Pair | None,
    ends: tuple[CallSnapshot, ...],
    known: OverviewInput,
) -> tuple[str | None, str | None]:
    if held:
        return "it is on hold", None
    if not call.talking:
        return f"it has not been answered yet (it is {call.status})", None
    if in_room or pair is not None:
        return None, None
    if ends:
        refusal = legs_planner.unknown(known.continue_url)
        return refusal.why, refusal.fix
    return "it is in no conference and talks to nobody", conference_planner.WAYS_IN


class CallOverview:
    """Reads what `views` needs. Those who wait while an account is read share the next reading.

    Invariant: nobody is given a reading that began before they asked.
    """

    def __init__(self, account: AccountPort, ledger: HoldLog, pairs: PairIndex, *, continue_url: str | None) -> None:
        self._account = account
        self._ledger = ledger
        self._pairs = pairs
        self._continue_url = continue_url
        self._reading = asyncio.Lock()
        self._begun = 0
        self._last: tuple[int, OverviewInput] | None = None
        """The latest reading, and the how manieth it is."""

    async def views(self) -> tuple[CallView, ...]:
        """A line for every live call. Raises: AccountTrouble."""
        too_old = self._begun
        async with self._reading:
            if self._last is None or self._last[0] <= too_old:
                self._begun += 1
                self._last = (self._begun, await self._read())
            known = self._last[1]
        return views(self._with_ours(known))

    async def _read(self) -> OverviewInput:
        # In the order a call goes through them, one after the other: one that goes on meanwhile is seen at least once.
        listed = [await self._account.calls(status=status) for status in ("queued", "ringing", "in-progress")]
        conferences = await self._account.conferences()
        members = await together("list participants", [self._account.participants(one.sid) for one in conferences])
        queues = await self._account.queues()
        waiting = await together("list queue members", [self._account.members(sid) for sid, _ in queues])
        return OverviewInput(
            calls=_once(call for calls in listed for call in calls),
            rooms=tuple(
                RoomSnapshot(conference=one, participants=tuple(inside))
                for one, inside in zip(conferences, members, strict=True)
            ),
            queues={call: name for (_, name), calls in zip(queues, waiting, strict=True) for call in calls},
            holds={},
            phones={},
            pairs={},
            sounds={one.call: one for one in await self._account.sounds()},
            continue_url=self._continue_url,
        )

    def _with_ours(self, known: OverviewInput) -> OverviewInput:
        pairs = {call.sid: pair for call in known.calls if (pair := self._pairs.of(call.sid)) is not None}
        return OverviewInput(
            calls=known.calls,
            rooms=known.rooms,
            queues=known.queues,
            holds={hold.call: hold for hold in self._ledger.active() if hold.way is not WayName.PHONE},
            phones=self._ledger.by_phone(),
            pairs=pairs,
            sounds=known.sounds,
            continue_url=known.continue_url,
        )


def _once(calls: Iterable[CallSnapshot]) -> tuple[CallSnapshot, ...]:
    """Each call once, as it was seen last: one that was answered between two readings is listed under both statuses."""
    return tuple({call.sid: call for call in calls if call.live}.values())
