"""Calls to an application of ours: we call ourselves, and that application's document answers the call.

So both ends are legs like any other, with sound and keys in both directions. What is told of the call does not travel:
the INVITE carries a word nobody can guess, and what it stands for is kept here until it comes back.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory import Answer
from holdfast.voice.runtime.legs.arrivals import Directory
from holdfast.voice.runtime.legs.reach import Goal, Unreachable
from holdfast.voice.sip.effects import Address, Invited
from holdfast.voice.sip.uri import contact_at

SCHEME = "app:"
HEADER = "X-Holdfast-Application"
APPLICATION_INVALID = 21218
"""Source: Twilio error dictionary, "invalid ApplicationSid"."""
MOST_UNDER_WAY = 1000
"""Calls to applications whose INVITE has not come back; the oldest are forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _UnderWay:
    from_: str
    to: str
    answer: Answer
    extra: tuple[tuple[str, str], ...]


@dataclass(slots=True)
class Applications:
    """The calls to applications that are under way to ourselves."""

    directory: Directory
    account: AccountSid
    _known: dict[str, _UnderWay] = field(default_factory=dict)

    def goal(self, effect: PlaceLeg, ours: Address) -> Goal:
        """The call to ourselves that reaches an application. Raises: Unreachable.

        Shape: the target's `parameters` may hold `To` and `customerId`; all others are the caller's own.
        Source: TwiML <Application>.
        """
        sid = effect.target.to.removeprefix(SCHEME)
        answer = self.directory.answer_of_application(sid)
        if answer is None:
            message = f"there is no application {sid[:40]!r} with a voice URL"
            raise Unreachable(message, sip_code=404, twilio_code=APPLICATION_INVALID)
        given = dict(effect.target.parameters)
        to, customer = given.pop("To", sid), given.pop("customerId", self.account)
        own = tuple((f"Param_{name}", value) for name, value in given.items())
        word = secrets.token_urlsafe(24)
        self._known[word] = _UnderWay(from_=effect.from_, to=to, answer=answer, extra=(("customerId", customer), *own))
        while len(self._known) > MOST_UNDER_WAY:
            del self._known[next(iter(self._known))]
        return Goal(uri=contact_at(sid, ours), next_hop=ours, headers=((HEADER, word),))

    def received(self, call: CallSid, invited: Invited) -> ReceiveCall | None:
        """What the engine hears of a call of ours to an application that came back; None of any other call."""
        word = next((value for name, value in invited.headers if name.lower() == HEADER.lower()), "")
        found = self._known.pop(word, None)
        if found is None:
            return None
        return ReceiveCall(
            call=call,
            account=self.account,
            from_=found.from_,
            to=found.to,
            instruction=found.answer.instruction,
            callback=found.answer.callback,
            extra=found.extra,
        )
