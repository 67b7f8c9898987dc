"""This module plans holds by legs: each half of the pair is moved by its own redirect, the child always first.

Redirecting a parent ends its child, so a parent is never redirected while its plain Dial runs: the child is moved, and
the parent follows by the continuation of its Dial. From the second round on the two are queue peers and either, or
both, can be held. Each plan is recorded before its first step, because continuations ask while steps are in progress.

Source: TwiML <Dial>, "modifying a live call"; TwiML <Enqueue>; <Dial><Queue>.
"""

from dataclasses import dataclass, replace

from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import (
    CloseQueue,
    JoinConference,
    LegStep,
    OpenQueue,
    RedirectLeg,
    Refusal,
    TakeFromQueue,
    WaitInQueue,
)
from holdfast.holds.steps.pair import (
    LegState,
    Pair,
    Party,
    next_document,
    park_document,
    queue_name,
    room_name,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A plan has the pair as it will be, to be recorded first, and the steps that lead there, in order."""

    pair: Pair
    steps: tuple[LegStep, ...] = ()


def unknown_continuation(continue_url: str | None) -> Refusal:
    """Return why a two-leg call whose continuation is not ours cannot be held."""
    action = continue_url or "{holds.continue_url}"
    return Refusal(
        why="this call was joined by a plain <Dial>, and where its parent leg would continue is not known: "
        "moving one leg could hang up the other",
        fix=f'Write <Dial action="{action}">…</Dial> and call holds.adopt(parent, child) once it is answered; '
        "or answer the call with the document at /twiml/dial; or put both parties into a conference.",
    )


def hold(pair: Pair, call: CallSid, *, music: str | None, limit_s: float | None = None) -> Plan | Refusal:
    """Plan the hold of one party.

    It waits in its private queue; the other waits in silence, or in its own queue when it is held too.
    """
    party, other = pair.party(call), pair.other(call)
    missing = _missing(pair, party, other)
    if missing is not None:
        return missing
    if party.held:
        return Plan(pair=pair)
    if party.state is LegState.ROOM:
        return Refusal(why="the pair is in a conference by now", fix="Hold the party there.")
    generation = pair.generation + 1
    held = replace(party, state=LegState.WAITING, held=True, unconfirmed=True, music=music, limit_s=limit_s)
    if party.state is LegState.PARENT:
        return Plan(
            pair=pair.next_generation(held, replace(other, state=LegState.PARKED, generation=generation)),
            steps=(OpenQueue(name=queue_name(call)), RedirectLeg(call=other.call, document=park_document(held))),
        )
    held = replace(held, generation=generation)
    # One who is held already, or parked for want of the other, stays where it is.
    left = (
        other
        if other.held or other.state is LegState.PARKED
        else replace(other, state=LegState.PARKED, unconfirmed=True)
    )
    return Plan(
        pair=pair.next_generation(held, left),
        steps=(
            OpenQueue(name=queue_name(call)),
            RedirectLeg(call=call, document=WaitInQueue(queue=queue_name(call), music=music, generation=generation)),
        ),
    )


def resume(pair: Pair, call: CallSid) -> Plan | Refusal:
    """Plan the resume of one party.

    The other party takes it out of its queue; while the other is held too, it waits in silence.
    """
    party, other = pair.party(call), pair.other(call)
    if party.state is LegState.GONE or pair.over:
        return Refusal(why=f"{call} has hung up", call_ended=True)
    if not party.held:
        return Plan(pair=pair)
    generation = pair.generation + 1
    if other.held:
        parked = replace(party, state=LegState.PARKED, held=False, unconfirmed=False, generation=generation, music=None)
        return Plan(pair=pair.next_generation(parked), steps=(RedirectLeg(call=call, document=park_document(other)),))
    taking = replace(other, state=LegState.TAKING, unconfirmed=False, generation=generation)
    back = replace(party, held=False, unconfirmed=False)
    return Plan(
        pair=pair.next_generation(taking, back),
        steps=(RedirectLeg(call=other.call, document=TakeFromQueue(queue=queue_name(call), generation=generation)),),
    )


def convert(pair: Pair) -> Plan | Refusal:
    """Move a plain Dial's two legs into a conference: the child by redirect, the parent by its continuation."""
    missing = _missing(pair, pair.parent, pair.child)
    if missing is not None:
        return missing
    if pair.parent.state is not LegState.PARENT:
        return Plan(pair=pair)
    room, generation = room_name(pair), pair.generation + 1
    moved = pair.next_generation(
        replace(pair.parent, state=LegState.ROOM, unconfirmed=True),
        replace(pair.child, state=LegState.ROOM, unconfirmed=True, generation=generation),
    )
    return Plan(
        pair=replace(moved, room=room),
        steps=(RedirectLeg(call=pair.child.call, document=JoinConference(room=room, generation=generation)),),
    )


def fall_back(pair: Pair, call: CallSid, *, answered: bool = False) -> Plan:
    """Plan what happens to a party whose hold failed: a hold that fails drops no party.

    When the other party is held, it stays so, and this one waits in silence. Else the two are joined again, in a
    conference, because queues cannot do it. `answered`: this party is asking for a document just now, and needs no
    redirect.
    """
    party, other = pair.party(call), pair.other(call)
    generation = pair.generation + 1
    here = replace(party, held=False, music=None, generation=generation, unconfirmed=False)
    if other.held:
        parked = replace(here, state=LegState.PARKED)
        steps: tuple[LegStep, ...] = () if answered else (RedirectLeg(call=call, document=park_document(other)),)
        return Plan(pair=pair.next_generation(parked), steps=steps)
    room = room_name(pair)
    enter = JoinConference(room=room, generation=generation)
    there = replace(other, state=LegState.ROOM, music=None, generation=generation, unconfirmed=True)
    moved = pair.next_generation(replace(here, state=LegState.ROOM, unconfirmed=not answered), there)
    steps = (RedirectLeg(call=other.call, document=enter),)
    return Plan(
        pair=replace(moved, room=room), steps=steps if answered else (RedirectLeg(call=call, document=enter), *steps)
    )


def unconfirmed_in_room(pair: Pair) -> tuple[Party, ...]:
    """Return the parties that were redirected into the pair's conference and were not seen there yet.

    A party whose redirect was not carried out does not ask for a document: it stays where it was, in silence. Two
    parties who still talk by their plain Dial are left alone.
    """
    if pair.over or pair.room is None or awaiting_request(pair):
        return ()
    return tuple(party for party in (pair.parent, pair.child) if party.state is LegState.ROOM and party.unconfirmed)


def confirm_in_room(pair: Pair, call: CallSid) -> Pair:
    """Return the pair after this call was seen in the conference."""
    party = pair.party(call)
    return pair.with_parties(replace(party, unconfirmed=False)) if party.state is LegState.ROOM else pair


def undo(before: Pair, planned: Pair, current: Pair, call: CallSid) -> Plan:
    """Plan what follows when the account refused the first redirect of a plan for this call.

    Before any request from the account nothing has moved: the pair is as it was, only its generation is used up.
    """
    if current == planned:
        return Plan(pair=replace(before, generation=planned.generation))
    if current.over:
        return Plan(pair=current)
    return fall_back(current, call)


def confirm_waiting(pair: Pair, call: CallSid) -> Pair:
    """Return the pair after this call was seen in its own queue."""
    party = pair.party(call)
    if party.state is LegState.WAITING and party.unconfirmed:
        return pair.with_parties(replace(party, unconfirmed=False))
    return pair


def confirm_joined(pair: Pair, call: CallSid) -> Pair:
    """Return the pair after this call was seen to have left its queue to talk."""
    party = pair.party(call)
    if party.state is LegState.WAITING and not party.held and pair.other(call).state is LegState.TAKING:
        return pair.with_parties(replace(party, state=LegState.JOINED, music=None))
    return pair


def restore_hold(pair: Pair, call: CallSid) -> Pair:
    """Return the pair after a failed resume: this call waits in its queue as before, the other in silence."""
    party, other = pair.party(call), pair.other(call)
    return pair.with_parties(
        replace(party, held=True, state=LegState.WAITING, unconfirmed=False),
        replace(other, state=LegState.PARKED, unconfirmed=False, generation=pair.generation),
    )


def abandon_resume(pair: Pair, call: CallSid) -> Plan:
    """End a resume that does not succeed: the call stays held, and the party that was to take it is parked again."""
    party, other = pair.party(call), pair.other(call)
    generation = pair.generation + 1
    if other.held:
        return Plan(pair=pair.next_generation(replace(party, held=True, state=LegState.WAITING, unconfirmed=False)))
    return Plan(
        pair=pair.next_generation(
            replace(party, held=True, state=LegState.WAITING, unconfirmed=False),
            replace(other, state=LegState.PARKED, unconfirmed=False, generation=generation),
        ),
        steps=(RedirectLeg(call=other.call, document=park_document(party)),),
    )


def party_left(pair: Pair, call: CallSid) -> Plan:
    """Plan what follows when one party has left: the other is released, and not left with music or silence."""
    left = pair.with_parties(replace(pair.party(call), state=LegState.GONE, held=False, unconfirmed=False))
    return cleanup(replace(left, over=True))


def cleanup(pair: Pair) -> Plan:
    """Plan what is still to be done for a pair that is over.

    A party whose own document ends with the conversation needs no step: it asks for its next document.
    """
    steps: list[LegStep] = []
    waiting_for = awaiting_request(pair)
    for party in (pair.parent, pair.child):
        if party.state in (LegState.PARKED, LegState.WAITING) and party not in waiting_for:
            steps.append(RedirectLeg(call=party.call, document=next_document(pair, party.call)))
    if pair.generation:
        steps += [CloseQueue(name=queue_name(party.call)) for party in (pair.parent, pair.child)]
    return Plan(pair=pair, steps=tuple(steps))


def awaiting_request(pair: Pair) -> tuple[Party, ...]:
    """Return the parties whose continuation has not asked yet since they were moved."""
    return tuple(
        party for party in (pair.parent, pair.child) if party.unconfirmed and party.generation < pair.generation
    )


def _missing(pair: Pair, party: Party, other: Party) -> Refusal | None:
    if pair.over or party.state is LegState.GONE:
        return Refusal(why=f"{party.call} is not in this conversation any more", call_ended=True)
    if other.state is LegState.GONE:
        return Refusal(why=f"the other party, {other.call}, has hung up", call_ended=True)
    return None
