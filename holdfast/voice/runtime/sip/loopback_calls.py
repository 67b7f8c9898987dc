"""Calls of the engine to itself: to an application, or to a number that a document answers.

Both ends are legs like any other, with audio and digits in both directions. The parameters of the call do not travel:
the INVITE carries a random token, and the parameters are kept here until the INVITE arrives.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field

from holdfast.voice.model.commands import ReceiveCall, Target
from holdfast.voice.model.effects import PlaceLeg
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_numbers import bare_number
from holdfast.voice.runtime.directory.directory import AnsweringDocument
from holdfast.voice.runtime.sip.dial_plan import (
    NUMBER_UNREACHABLE,
    DialDestination,
    Unreachable,
    line_named,
)
from holdfast.voice.runtime.sip.inbound import DirectoryPort
from holdfast.voice.sip.effects import Address, Invited
from holdfast.voice.sip.message.uri import contact_at

SCHEME = "app:"
HEADER = "X-Holdfast-Word"
APPLICATION_INVALID = 21218
"""Source: Twilio error dictionary, "invalid ApplicationSid"."""
MAX_PENDING = 1000
"""The most loopback calls whose INVITE has not arrived yet; the oldest are discarded."""
MAX_HOPS = 10
"""How often a call may come back to the engine: a number whose document dials that number would take every row."""
TOO_MANY_HOPS = 483


@dataclass(frozen=True, slots=True, kw_only=True)
class _PendingCall:
    from_: str
    to: str
    answer: AnsweringDocument
    hops: int
    extra: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class LoopbackArrival:
    """A loopback call whose INVITE has arrived: the command for the engine, and how many loopback calls led to it."""

    command: ReceiveCall
    hops: int


@dataclass(slots=True)
class LoopbackCalls:
    """The loopback calls whose INVITE is on its way."""

    directory: DirectoryPort
    account: AccountSid
    _pending: dict[str, _PendingCall] = field(default_factory=dict)

    def destination(self, effect: PlaceLeg, own_address: Address, *, hops: int = 0) -> DialDestination | None:
        """Return the destination of a call to an application or a number of the engine, or None for any other target.

        `hops` is how many loopback calls led to the calling leg. Raises: Unreachable.
        """
        target = effect.target
        if target.to.startswith(SCHEME):
            user, found = self._application(effect, hops + 1)
        elif (answer := self._number(target)) is not None:
            user = self.directory.e164(target.to) or target.to.strip()
            found = _PendingCall(from_=effect.from_, to=user, answer=answer, hops=hops + 1)
        else:
            return None
        if found.hops > MAX_HOPS:
            message = f"{user[:40]!r} dials itself, or others that dial it: {MAX_HOPS} calls led to this one"
            raise Unreachable(message, sip_code=TOO_MANY_HOPS, twilio_code=NUMBER_UNREACHABLE)
        token = secrets.token_urlsafe(24)
        self._pending[token] = found
        while len(self._pending) > MAX_PENDING:
            del self._pending[next(iter(self._pending))]
        return DialDestination(
            uri=contact_at(user, own_address),
            next_hop=own_address,
            headers=((HEADER, token),),
            is_loopback=True,
            rtp_source="named",
        )

    def _application(self, effect: PlaceLeg, hops: int) -> tuple[str, _PendingCall]:
        """Return the SID of an application, and the pending call to it.

        Shape: the target's `parameters` may hold `To` and `customerId`; all others are the caller's own.
        Source: TwiML <Application>. Raises: Unreachable.
        """
        sid = effect.target.to.removeprefix(SCHEME)
        answer = self.directory.answer_of_application(sid)
        if answer is None:
            message = f"there is no application {sid[:40]!r} with a voice URL"
            raise Unreachable(message, sip_code=404, twilio_code=APPLICATION_INVALID)
        given = dict(effect.target.parameters)
        to, customer = given.pop("To", sid), given.pop("customerId", self.account)
        own = tuple((f"Param_{name}", value) for name, value in given.items())
        extra = (("customerId", customer), *own)
        return sid, _PendingCall(from_=effect.from_, to=to, answer=answer, hops=hops, extra=extra)

    def _number(self, target: Target) -> AnsweringDocument | None:
        """Return what answers a number of the engine; None if it is another number, or a line of that name is rung."""
        to = target.to.strip()
        if bare_number(to) is None or line_named(to, self.directory) is not None:
            return None
        return self.directory.answer_of_number(to)

    def claim(self, call: CallSid, invited: Invited) -> LoopbackArrival | None:
        """Return the loopback call that an INVITE belongs to, or None if it is another call."""
        token = next((value for name, value in invited.headers if name.lower() == HEADER.lower()), "")
        found = self._pending.pop(token, None)
        if found is None:
            return None
        command = ReceiveCall(
            call=call,
            account=self.account,
            from_=found.from_,
            to=found.to,
            instruction=found.answer.instruction,
            callback=found.answer.callback,
            phone_number_sid=found.answer.phone_number_sid,
            extra_params=found.extra,
        )
        return LoopbackArrival(command=command, hops=found.hops)
