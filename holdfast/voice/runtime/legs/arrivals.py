"""Calls in: who is let in, and what the engine hears of them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.legs.reach import Lines
from holdfast.voice.sip.effects import Address, Invited
from holdfast.voice.sip.uri import parse_uri


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """A phone calls in: who, and whom.

    `dialled` is what the phone dialled, `line` the line that authenticated, or None. `extra` are webhook parameters.
    Source: Twilio docs, SIP interface parameters.
    """

    call: CallSid
    dialled: str
    to: str
    from_: str
    caller_name: str | None
    line: str | None
    extra: tuple[tuple[str, str], ...]


class Door:
    """Who may call: authenticated lines, and, while we listen on loopback, anybody on loopback."""

    def __init__(self, lines: Lines, listening: Address, *, trust_loopback: bool) -> None:
        self._lines = lines
        self._local = trust_loopback and ip_address(listening[0]).is_loopback

    def password_of(self, user: str) -> str | None:
        """Source: sip.settings.Policy."""
        line = self._lines.line(user)
        return None if line is None else line.password

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Source: sip.settings.Policy."""
        return self._local and ip_address(source[0]).is_loopback

    def is_registrar(self) -> bool:
        """Source: sip.settings.Policy."""
        return True


def arrival(call: CallSid, invited: Invited, ours: Address) -> Arrival:
    """What the engine hears of a call in. Numbers stay numbers; any other name becomes a SIP URI, as on the cloud."""
    target = parse_uri(invited.target)
    host = f"{target.host}:{target.port}" if target.port else target.host
    custom = tuple((f"SipHeader_{name}", value) for name, value in invited.headers if name.lower().startswith("x-"))
    caller = invited.user or invited.caller
    return Arrival(
        call=call,
        dialled=invited.called,
        to=invited.called if is_number(invited.called) else f"sip:{invited.called}@{host}",
        from_=invited.caller if is_number(invited.caller) else f"sip:{caller}@{invited.caller_host or ours[0]}",
        caller_name=invited.caller_name or None,
        line=invited.user,
        extra=(("SipCallId", invited.call_id), ("SipDomain", host), ("SipSourceIp", invited.source[0]), *custom),
    )


def is_number(user: str) -> bool:
    return user.removeprefix("+").isdigit() and user.isascii()
