"""Hold by independent legs: each half of the pair moved by its own redirect, the child always first.

Redirecting a parent kills its child, so a parent is never redirected while its plain Dial runs: the child is moved,
and the parent follows by the continuation of its Dial. From the second round on the two are queue peers and either,
or both, can be held. Each plan is recorded before its first step, because continuations ask while steps are under way.
Source: TwiML <Dial>, "modifying a live call"; TwiML <Enqueue>; <Dial><Queue>.
"""

from dataclasses import dataclass, replace

from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    EnterConference,
    LegStep,
    OpenQueue,
    RedirectCall,
    Refusal,
    TakeFromQueue,
    WaitInQueue,
)
from holdfast.holds.steps.pair import (
    Pair,
    Party,
    Place,
    onward,
    park_for,
    queue_of,
    room_of,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The pair as it will be, to be recorded first, and the steps that make it so, in order."""

    pair: Pair
    steps: tuple[LegStep, ...] = ()


def unknown(continue_url: str | None) -> Refusal:
    """Why a two-leg call that nobody told us about is not held."""
    action = continue_url or "{holds.continue_url}"
    return Refusal(
        why="this call was joined by a plain <Dial>, and where its parent leg would go on is not known to us: "
        "moving one leg could hang up the other",
        fix=f'Write <Dial action="{action}">…</Dial> and call holds.adopt(parent, child) once it is answered; '
        "or answer the call with the document at /twiml/dial; or put both parties into a conference.",
    )


def hold(pair: Pair, call: CallSid, *, music: str | None, limit_s: float | None = None) -> Plan | Refusal:
    """Hold one party: it waits in its private queue, the other in silence, or in its own queue when it is held too."""
    me, other = pair.me(call), pair.other(call)
    missing = _missing(pair, me, other)
    if missing is not None:
        return missing
    if me.held:
        return Plan(pair=pair)
    if me.place is Place.ROOM:
        return Refusal(why="the pair is in a conference by now", fix="Hold the party there.")
    turn = pair.turn + 1
    held = replace(me, place=Place.WAITING, held=True, arriving=True, music=music, limit_s=limit_s)
    if me.place is Place.PARENT:
        return Plan(
            pair=pair.moved(held, replace(other, place=Place.PARKED, turn=turn)),
            steps=(OpenQueue(name=queue_of(call)), RedirectCall(call=other.call, to=park_for(held))),
        )
    held = replace(held, turn=turn)
    # One who is held already, or parked for want of the other, stays where it is.
    left = other if other.held or other.place is Place.PARKED else replace(other, place=Place.PARKED, arriving=True)
    return Plan(
        pair=pair.moved(held, left),
        steps=(
            OpenQueue(name=queue_of(call)),
            RedirectCall(call=call, to=WaitInQueue(queue=queue_of(call), music=music, turn=turn)),
        ),
    )


def resume(pair: Pair, call: CallSid) -> Plan | Refusal:
    """Bring one party back: the other takes it out of its queue; while the other is held too, it waits in silence."""
    me, other = pair.me(call), pair.other(call)
    if me.place is Place.GONE or pair.over:
        return Refusal(why=f"{call} has hung up", gone=True)
    if not me.held:
        return Plan(pair=pair)
    turn = pair.turn + 1
    if other.held:
        parked = replace(me, place=Place.PARKED, held=False, arriving=False, turn=turn, music=None)
        return Plan(pair=pair.moved(parked), steps=(RedirectCall(call=call, to=park_for(other)),))
    taking = replace(other, place=Place.TAKING, arriving=False, turn=turn)
    back = replace(me, held=False, arriving=False)
    return Plan(
        pair=pair.moved(taking, back),
        steps=(RedirectCall(call=other.call, to=TakeFromQueue(queue=queue_of(call), turn=turn)),),
    )


def convert(pair: Pair) -> Plan | Refusal:
    """Move a plain Dial's two legs into a conference: the child by redirect, the parent by its continuation."""
    missing = _missing(pair, pair.parent, pair.child)
    if missing is not None:
        return missing
    if pair.parent.place is not Place.PARENT:
        return Plan(pair=pair)
    room, turn = room_of(pair), pair.turn + 1
    moved = pair.moved(
        replace(pair.parent, place=Place.ROOM, arriving=True),
        replace(pair.child, place=Place.ROOM, arriving=True, turn=turn),
    )
    return Plan(
        pair=replace(moved, room=room),
        steps=(RedirectCall(call=pair.child.call, to=EnterConference(room=room, turn=turn)),),
    )


def fall_back(pair: Pair, call: CallSid, *, answered: bool = False) -> Plan:
    """What to do with a party that was to be held and is not: a hold that fails drops nobody.

    When the other is held, it stays so, and this one waits in silence. Else the two are brought together again, in a
    conference, as queues cannot do it. `answered`: this party is asking for a document just now, and needs no redirect.
    """
    me, other = pair.me(call), pair.other(call)
    turn = pair.turn + 1
    here = replace(me, held=False, music=None, turn=turn, arriving=False)
    if other.held:
        parked = replace(here, place=Place.PARKED)
        steps: tuple[LegStep, ...] = () if answered else (RedirectCall(call=call, to=park_for(other)),)
        return Plan(pair=pair.moved(parked), steps=steps)
    room = room_of(pair)
    enter = EnterConference(room=room, turn=turn)
    there = replace(other, place=Place.ROOM, music=None, turn=turn, arriving=True)
    moved = pair.moved(replace(here, place=Place.ROOM, arriving=not answered), there)
    steps = (RedirectCall(call=other.call, to=enter),)
    return Plan(
        pair=replace(moved, room=room), steps=steps if answered else (RedirectCall(call=call, to=enter), *steps)
    )


def astray(pair: Pair) -> tuple[Party, ...]:
    """Those who were sent into the pair's conference by a redirect and were not seen there yet.

    Nobody asks on behalf of a party whose redirect was not taken: it stays where it was, in silence. Two who still
    talk by their plain Dial are left alone.
    """
    if pair.over or pair.room is None or expected(pair):
        return ()
    return tuple(party for party in (pair.parent, pair.child) if party.place is Place.ROOM and party.arriving)


def seen_in_room(pair: Pair, call: CallSid) -> Pair:
    """The pair after this call was seen in the conference."""
    me = pair.me(call)
    return pair.put(replace(me, arriving=False)) if me.place is Place.ROOM else pair


def undo(before: Pair, planned: Pair, current: Pair, call: CallSid) -> Plan:
    """What to do when the account refused the first redirect of a plan for this call.

    Nothing has moved while nothing was heard: the pair is as it was, only its turns are used up.
    """
    if current == planned:
        return Plan(pair=replace(before, turn=planned.turn))
    if current.over:
        return Plan(pair=current)
    return fall_back(current, call)


def seen_waiting(pair: Pair, call: CallSid) -> Pair:
    """The pair after this call was seen in its own queue."""
    me = pair.me(call)
    if me.place is Place.WAITING and me.arriving:
        return pair.put(replace(me, arriving=False))
    return pair


def seen_taken(pair: Pair, call: CallSid) -> Pair:
    """The pair after this call was seen to have left its queue to talk."""
    me = pair.me(call)
    if me.place is Place.WAITING and not me.held and pair.other(call).place is Place.TAKING:
        return pair.put(replace(me, place=Place.JOINED, music=None))
    return pair


def held_again(pair: Pair, call: CallSid) -> Pair:
    """The pair after a resume that came to nothing: this call waits in its queue as before, the other in silence."""
    me, other = pair.me(call), pair.other(call)
    return pair.put(
        replace(me, held=True, place=Place.WAITING, arriving=False),
        replace(other, place=Place.PARKED, arriving=False, turn=pair.turn),
    )


def give_up(pair: Pair, call: CallSid) -> Plan:
    """End a resume that does not come about: the call stays held, and the one who was to take it is parked again."""
    me, other = pair.me(call), pair.other(call)
    turn = pair.turn + 1
    if other.held:
        return Plan(pair=pair.moved(replace(me, held=True, place=Place.WAITING, arriving=False)))
    return Plan(
        pair=pair.moved(
            replace(me, held=True, place=Place.WAITING, arriving=False),
            replace(other, place=Place.PARKED, arriving=False, turn=turn),
        ),
        steps=(RedirectCall(call=other.call, to=park_for(me)),),
    )


def gone(pair: Pair, call: CallSid) -> Plan:
    """What follows when one party is no longer there: the other goes on, and is not left with music or silence."""
    left = pair.put(replace(pair.me(call), place=Place.GONE, held=False, arriving=False))
    return leftovers(replace(left, over=True))


def leftovers(pair: Pair) -> Plan:
    """What is still to be done for a pair that is over.

    A party whose own document ends with the conversation needs no step: it asks where to go on.
    """
    steps: list[LegStep] = []
    waiting_for = expected(pair)
    for party in (pair.parent, pair.child):
        if party.place in (Place.PARKED, Place.WAITING) and party not in waiting_for:
            steps.append(RedirectCall(call=party.call, to=onward(pair, party.call)))
    if pair.turn:
        steps += [CloseQueue(name=queue_of(party.call)) for party in (pair.parent, pair.child)]
    return Plan(pair=pair, steps=tuple(steps))


def expected(pair: Pair) -> tuple[Party, ...]:
    """Those whose continuation has not asked yet since they were moved."""
    return tuple(party for party in (pair.parent, pair.child) if party.arriving and party.turn < pair.turn)


def _missing(pair: Pair, me: Party, other: Party) -> Refusal | None:
    if pair.over or me.place is Place.GONE:
        return Refusal(why=f"{me.call} is not in this conversation any more", gone=True)
    if other.place is Place.GONE:
        return Refusal(why=f"the other party, {other.call}, has hung up", gone=True)
    return None
