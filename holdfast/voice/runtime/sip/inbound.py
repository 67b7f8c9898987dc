"""Calls in: where they are awaited, who is let in, and what the engine hears of them."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Protocol

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory.directory import AnsweringDocument, normalize_number
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.runtime.sip.config.settings import loopback_form
from holdfast.voice.runtime.sip.dial_plan import LineLookup
from holdfast.voice.sip.effects import Address, Headers, Invited
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.digest import Ha1
from holdfast.voice.sip.message.message import clean
from holdfast.voice.sip.message.uri import (
    number_of,
    parse_name_addr,
    parse_uri,
)


class LineRegistered(Protocol):
    """With which trunks we register."""

    def is_registered_as(self, user: str, host: str) -> bool:
        """Whether we register as this user with a trunk whose calls come in from this numeric host."""
        ...


class DirectoryPort(LineLookup, LineRegistered, Protocol):
    """What a SIP leg asks of the directory."""

    def trusts(self, host: str) -> bool:
        """Whether calls from this numeric host come in without a password, as those of a trunk."""
        ...

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Every trunk."""
        ...

    def tls_name(self, to: Address) -> str | None:
        """The name in the certificate of a trunk, when it has one of its own."""
        ...

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """What answers a call to this user or number at this host."""
        ...

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """What answers a call to a number of ours; None of any other."""
        ...

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """What answers a call to the application with that SID."""
        ...


class InboundAdmission:
    """Who may call: authenticated lines, trunks, while we listen on loopback anybody on loopback, and we ourselves.

    Calls from ourselves are to applications and numbers of ours; who only pretends to be us does not know the word that
    goes with one.
    """

    def __init__(
        self, lines: DirectoryPort, listening: Address, *, trust_loopback: bool, trusted_proxies: Iterable[str] = ()
    ) -> None:
        self._directory = lines
        self._trusted_proxies = tuple(trusted_proxies)
        self._own_address = loopback_form(listening)
        self._local = trust_loopback and ip_address(listening.host).is_loopback

    def ha1_of(self, user: str) -> Ha1 | None:
        """Source: sip.settings.Policy."""
        line = self._directory.line(user)
        return None if line is None else line.ha1

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Source: sip.settings.Policy."""
        local = self._local and ip_address(source.host).is_loopback
        return local or source == self._own_address or self._directory.trusts(source.host)

    def is_registrar(self) -> bool:
        """Source: sip.settings.Policy."""
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        """Source: sip.settings.Policy."""
        return is_proxy_or_trunk(host, self._trusted_proxies, self._directory)


def is_proxy_or_trunk(host: str, proxies: Iterable[str], lines: DirectoryPort) -> bool:
    """Whether a host is believed when it says whose signalling it passes on: proxies of ours, and trunks."""
    address = ip_address(host)
    return any(address in ip_network(network) for network in proxies) or lines.trusts(host)


def rtp_source_of(invited: Invited, line: LineRecord | None, trunks: Iterable[RouteRecord]) -> RtpSource | None:
    """From where the sound of a phone that calls is believed, as its line says, or the trunk it comes from."""
    if line is not None:
        return line.rtp_source
    return next((trunk.rtp_source for trunk in trunks if trunk.trusts(invited.source.host)), None)


def may_call(line: LineRecord, called: str) -> bool:
    """Whether a line may call this number or name."""
    return any(form.startswith(prefix) for form in (called, normalize_number(called)) for prefix in line.may_call)


def dialled_number(invited: Invited, trunks: LineRegistered) -> str:
    """Whom a call in is for: the Request-URI's user; of a trunk that calls us by our registration, the To's.

    Source: RFC 3261 §16.5 (the Request-URI becomes the registered contact, To stays).
    """
    if not trunks.is_registered_as(invited.called, invited.source.host):
        return invited.called
    to = next((value for name, value in invited.headers if name.lower() in ("to", "t")), "")
    try:
        return number_of(parse_uri(parse_name_addr(to).uri).user) or invited.called
    except UriUnreadable:
        return invited.called


def no_answer_reason(invited: Invited, lines: LineLookup) -> str:
    """Why nothing answers a call in, for the log."""
    called = invited.called[:64]
    why = "no voice URL answers it"
    if lines.line(called) is not None:
        why = "a line is called by a document (<Dial>) or by REST, not by another phone"
    return f"404 for {called!r}, dialled by {invited.caller[:64]!r} at {invited.source.host}: {why}"


def receive_call(
    call: CallSid, account: AccountSid, invited: Invited, answer: AnsweringDocument, ours: Address
) -> ReceiveCall:
    """What the engine hears of a call in. Numbers stay numbers; any other name becomes a SIP URI, as on the cloud.

    Source: Twilio docs, SIP interface, parameters of its webhooks.
    """
    target = parse_uri(invited.target)
    host = f"{target.host}:{target.port}" if target.port else target.host
    custom = tuple((f"SipHeader_{name}", value) for name, value in invited.headers if name.lower().startswith("x-"))
    caller = invited.user or invited.caller
    forwarded = forwarded_from(invited.headers)
    known = () if forwarded is None else (("ForwardedFrom", forwarded),)
    domain = () if answer.sip_domain_sid is None else (("SipDomainSid", answer.sip_domain_sid),)
    return ReceiveCall(
        call=call,
        account=account,
        from_=invited.caller if _is_number(invited.caller) else f"sip:{caller}@{invited.caller_host or ours.host}",
        to=invited.called if _is_number(invited.called) else f"sip:{invited.called}@{host}",
        instruction=answer.instruction,
        callback=answer.callback,
        caller_name=invited.caller_name or None,
        phone_number_sid=answer.phone_number_sid,
        extra_params=(
            *known,
            *(("SipCallId", invited.call_id), ("SipDomain", host), *domain, ("SipSourceIp", invited.source.host)),
            *custom,
        ),
    )


def forwarded_from(headers: Headers) -> str | None:
    """The number or user a call was for before it was forwarded to us: the newest diversion. Source: RFC 5806 §4."""
    newest = next((value for name, value in headers if name.lower() == "diversion"), None)
    if newest is None:
        return None
    try:
        user = number_of(parse_uri(parse_name_addr(newest).uri).user)
    except UriUnreadable:
        return None
    return clean(user) or None


def _is_number(user: str) -> bool:
    return user.removeprefix("+").isdigit() and user.isascii()
