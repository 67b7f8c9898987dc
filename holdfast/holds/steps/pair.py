"""Two legs that talk to each other, and where each of them is.

A pair begins as the two ends of a plain `<Dial>`: a parent, whose document waits for the Dial, and a child, which has
none. Redirecting the child frees it and lets the parent go on at its Dial's continuation, which is ours; from then on
the two meet through private queues, where neither hangs above the other.
Source: TwiML <Dial> action, <Enqueue>, <Dial><Queue>.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from holdfast.holds.ids import CallSid
from holdfast.holds.steps.account_steps import (
    ContinueDocument,
    Document,
    EnterConference,
    HangUp,
    Park,
    TakeFromQueue,
    WaitInQueue,
)


class Place(StrEnum):
    """Where one leg is, or is on its way to."""

    PARENT = "parent"
    """Runs the plain Dial that made the other."""
    CHILD = "child"
    """Was made by the other's plain Dial; has no document of its own."""
    WAITING = "waiting"
    """In its private queue, with music: held, or not taken out of it yet."""
    JOINED = "joined"
    """Was taken out of its queue and talks; its document is still the one that made it wait."""
    PARKED = "parked"
    """In silence, while the other is held."""
    TAKING = "taking"
    """Runs the Dial that took the other out of its queue."""
    ROOM = "room"
    """In the conference the pair was moved to."""
    GONE = "gone"
    """Hung up, or went on without the other."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Party:
    """One leg of a pair.

    `turn` numbers the document it runs: the pair's turn when that document was given. What a document's end asks
    carries this number, so that an answer about an older document is told from one about this.
    `arriving`: nobody has seen it at `place` yet.
    """

    call: CallSid
    place: Place
    turn: int = 0
    held: bool = False
    arriving: bool = False
    music: str | None = None
    limit_s: float | None = None
    """The limit of its latest hold, where that has one of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """Two legs whose continuations are ours, as they stand after `turn` moves."""

    parent: Party
    child: Party
    after: str | None = None
    """Where the parent goes on when the conversation is over; None: it hangs up."""
    room: str | None = None
    turn: int = 0
    over: bool = False

    def me(self, call: CallSid) -> Party:
        """The party with this call."""
        return self.parent if call == self.parent.call else self.child

    def other(self, call: CallSid) -> Party:
        """The party this call talks to."""
        return self.child if call == self.parent.call else self.parent

    def put(self, *parties: Party) -> "Pair":
        """The pair with these parties changed."""
        pair = self
        for party in parties:
            pair = replace(pair, parent=party) if party.call == pair.parent.call else replace(pair, child=party)
        return pair

    def moved(self, *parties: Party) -> "Pair":
        """The pair one turn later, with these parties changed."""
        return replace(self, turn=self.turn + 1).put(*parties)

    def settled(self) -> bool:
        """Whether both have been seen where they were sent."""
        return not (self.parent.arriving or self.child.arriving)


def join(*, parent: CallSid, child: CallSid, after: str | None = None) -> Pair:
    """The pair a plain `<Dial>` made."""
    return Pair(
        parent=Party(call=parent, place=Place.PARENT),
        child=Party(call=child, place=Place.CHILD),
        after=after,
    )


def queue_of(call: CallSid) -> str:
    """The name of the private queue a call waits in: one queue per held call, so nobody takes the wrong one."""
    return f"hold-{call}"


def room_of(pair: Pair) -> str:
    """The name of the conference a pair is moved to."""
    return f"holdfast-{pair.parent.call}"


def onward(pair: Pair, call: CallSid) -> Document:
    """What a party does when there is nobody to talk to any more."""
    if pair.after is not None and call == pair.parent.call:
        return ContinueDocument(url=pair.after)
    return HangUp()


def park_for(other: Party) -> Park:
    """What a party does while the other one is held."""
    return Park(limit_s=other.limit_s)


def document(pair: Pair, call: CallSid) -> Document:
    """What a party is to run, from where the pair stands.

    Derived each time, never consumed: a request that is repeated, late, or whose answer the account throws away gets
    the same document and changes nothing.
    """
    me, other = pair.me(call), pair.other(call)
    if pair.over:
        return onward(pair, call)
    match me.place:
        case Place.WAITING | Place.JOINED:
            return WaitInQueue(queue=queue_of(call), music=me.music, turn=me.turn)
        case Place.PARKED:
            return park_for(other)
        case Place.TAKING:
            return TakeFromQueue(queue=queue_of(other.call), turn=me.turn)
        case Place.ROOM:
            return EnterConference(room=pair.room or room_of(pair), turn=me.turn)
        case Place.PARENT | Place.CHILD | Place.GONE:
            return onward(pair, call)
