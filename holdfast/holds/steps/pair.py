"""This module defines a pair: two legs that talk to each other, and the state of each.

A pair begins as the two ends of a plain `<Dial>`: a parent, whose document waits for the Dial, and a child, which has
none. Redirecting the child frees it and lets the parent continue at its Dial's continuation, which is ours; from then
on the two meet through private queues, where neither depends on the other.

Source: TwiML <Dial> action, <Enqueue>, <Dial><Queue>.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import assert_never

from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import (
    ContinueDocument,
    Document,
    EndLeg,
    JoinConference,
    Park,
    TakeFromQueue,
    WaitInQueue,
)


class LegState(StrEnum):
    """A leg state says where one leg is, or where it was sent."""

    PARENT = "parent"
    """It runs the plain Dial that made the other."""
    CHILD = "child"
    """The other's plain Dial made it; it has no document of its own."""
    WAITING = "waiting"
    """It is in its private queue, with music: held, or not taken out of it yet."""
    JOINED = "joined"
    """It was taken out of its queue and talks; its document is still the one that made it wait."""
    PARKED = "parked"
    """It is in silence, while the other is held."""
    TAKING = "taking"
    """It runs the Dial that took the other out of its queue."""
    ROOM = "room"
    """It is in the conference that the pair was moved to."""
    GONE = "gone"
    """It hung up, or continued without the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """A party is one leg of a pair.

    `generation` numbers its document: the pair's generation when that document was given. The request at the end of a
    document carries this number, so that a request of an older document is recognised. `unconfirmed`: the party was not
    seen in its `state` yet.
    """

    call: CallSid
    state: LegState
    generation: int = 0
    held: bool = False
    unconfirmed: bool = False
    music: str | None = None
    limit_s: float | None = None
    """The limit of its latest hold, where that has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A pair has two legs whose continuations are ours.

    `generation` counts its moves.
    """

    parent: Party
    child: Party
    after: str | None = None
    """URL with which the parent continues when the conversation is over; None: it hangs up."""
    room: str | None = None
    generation: int = 0
    over: bool = False

    def party(self, call: CallSid) -> Party:
        """Return the party with this call."""
        return self.parent if call == self.parent.call else self.child

    def other(self, call: CallSid) -> Party:
        """Return the party that this call talks to."""
        return self.child if call == self.parent.call else self.parent

    def with_parties(self, *parties: Party) -> "Pair":
        """Return the pair with these parties changed."""
        pair = self
        for party in parties:
            pair = replace(pair, parent=party) if party.call == pair.parent.call else replace(pair, child=party)
        return pair

    def next_generation(self, *parties: Party) -> "Pair":
        """Return the pair one generation later, with these parties changed."""
        return replace(self, generation=self.generation + 1).with_parties(*parties)

    def confirmed(self) -> bool:
        """Return whether both parties were seen where they were sent."""
        return not (self.parent.unconfirmed or self.child.unconfirmed)


def pair_of_dial(*, parent: CallSid, child: CallSid, after: str | None = None) -> Pair:
    """Return the pair that a plain `<Dial>` made."""
    return Pair(
        parent=Party(call=parent, state=LegState.PARENT),
        child=Party(call=child, state=LegState.CHILD),
        after=after,
    )


def queue_name(call: CallSid) -> str:
    """Return the name of the private queue of a call: one per held call, so that no Dial takes the wrong call."""
    return f"hold-{call}"


def room_name(pair: Pair) -> str:
    """Return the name of the conference that a pair is moved to."""
    return f"holdfast-{pair.parent.call}"


def next_document(pair: Pair, call: CallSid) -> Document:
    """Return what a party does when the conversation is over."""
    if pair.after is not None and call == pair.parent.call:
        return ContinueDocument(url=pair.after)
    return EndLeg()


def park_document(other: Party) -> Park:
    """Return what a party does while the other one is held."""
    return Park(limit_s=other.limit_s)


def current_document(pair: Pair, call: CallSid) -> Document:
    """Return the document that a party runs, by the state of the pair.

    It is derived each time, never consumed: a request that is repeated or late, or whose response the account discards,
    gets the same document and changes nothing.
    """
    me, other = pair.party(call), pair.other(call)
    if pair.over:
        return next_document(pair, call)
    match me.state:
        case LegState.WAITING | LegState.JOINED:
            return WaitInQueue(queue=queue_name(call), music=me.music, generation=me.generation)
        case LegState.PARKED:
            return park_document(other)
        case LegState.TAKING:
            return TakeFromQueue(queue=queue_name(other.call), generation=me.generation)
        case LegState.ROOM:
            return JoinConference(room=pair.room or room_name(pair), generation=me.generation)
        case LegState.PARENT | LegState.CHILD | LegState.GONE:
            return next_document(pair, call)
        case _:
            assert_never(me.state)
