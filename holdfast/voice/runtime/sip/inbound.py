"""Admit inbound calls, and turn them into commands for the engine."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from typing import Protocol

from holdfast.voice.model.commands import ReceiveCall
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.runtime.directory.directory import AnsweringDocument
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
    """A directory that knows the trunks the engine registers with."""

    def is_registered_as(self, user: str, host: str) -> bool:
        """Return whether the engine registers as this user with a trunk that calls from this numeric host."""
        ...


class DirectoryPort(LineLookup, LineRegistered, Protocol):
    """What SIP legs read from the directory."""

    def trusts(self, host: str) -> bool:
        """Return whether calls from this numeric host need no password, as those of a trunk."""
        ...

    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return every trunk."""
        ...

    def answer_for(self, dialled: str, *, host: str = "") -> AnsweringDocument | None:
        """Return what answers a call to this user or number at this host."""
        ...

    def answer_of_number(self, number: str) -> AnsweringDocument | None:
        """Return what answers a call to a number of the engine; None if it is another number."""
        ...

    def answer_of_application(self, sid: str) -> AnsweringDocument | None:
        """Return what answers a call to the application with this SID."""
        ...


class InboundAdmission:
    """The rules of who may call: authenticated lines, trunks, the engine itself, and on loopback every client.

    Clients on loopback may call only while we listen there. Calls of the engine to itself reach its applications and
    numbers; a peer that only pretends to be the engine does not know the token of such a call.
    """

    def __init__(
        self, lines: DirectoryPort, listening: Address, *, trust_loopback: bool, trusted_proxies: Iterable[str] = ()
    ) -> None:
        self._directory = lines
        self._trusted_proxies = tuple(trusted_proxies)
        self._own_address = loopback_form(listening)
        self._local = trust_loopback and ip_address(listening.host).is_loopback

    def ha1_of(self, user: str) -> Ha1 | None:
        """Return the HA1 of a line. Source: sip.settings.AdmissionPolicy."""
        line = self._directory.line(user)
        return None if line is None else line.ha1

    def may_call_unauthenticated(self, source: Address) -> bool:
        """Return whether a call from this address needs no password. Source: sip.settings.AdmissionPolicy."""
        local = self._local and ip_address(source.host).is_loopback
        return local or source == self._own_address or self._directory.trusts(source.host)

    def is_registrar(self) -> bool:
        """Return True: lines register here. Source: sip.settings.AdmissionPolicy."""
        return True

    def is_trusted_proxy(self, host: str) -> bool:
        """Return whether a host may forward requests of others. Source: sip.settings.AdmissionPolicy."""
        return is_proxy_or_trunk(host, self._trusted_proxies, self._directory)


def is_proxy_or_trunk(host: str, proxies: Iterable[str], lines: DirectoryPort) -> bool:
    """Return whether a host may name the host whose requests it forwards: a trusted proxy, or a trunk."""
    address = ip_address(host)
    return any(address in ip_network(network) for network in proxies) or lines.trusts(host)


def trunk_of(invited: Invited, trunks: Iterable[RouteRecord]) -> RouteRecord | None:
    """Return the trunk that an unauthenticated call comes by, if it comes by one."""
    return next((trunk for trunk in trunks if trunk.trusts(invited.source.host)), None)


def may_call(line: LineRecord, called: str, directory: LineLookup) -> bool:
    """Return whether a line may call this number, as it is dialled or in E.164, or this name."""
    forms = (called, directory.e164(called) or called)
    return any(form.startswith(prefix) for form in forms for prefix in line.may_call)


def dialled_number(invited: Invited, trunks: LineRegistered) -> str:
    """Return the called number or name: the Request-URI's user, or the To's for a trunk that calls our registration.

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
    """Return why nothing answers an inbound call, for the log."""
    called = invited.called[:64]
    why = "no voice URL answers it"
    if lines.line(called) is not None:
        why = "a line is called by a document (<Dial>) or by REST, not by another phone"
    return f"404 for {called!r}, dialled by {invited.caller[:64]!r} at {invited.source.host}: {why}"


def receive_call(
    call: CallSid, account: AccountSid, invited: Invited, answer: AnsweringDocument, ours: Address
) -> ReceiveCall:
    """Return the command that reports an inbound call to the engine.

    Numbers stay numbers; any other name becomes a SIP URI, as on Twilio.
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
    """Return the number or user that a forwarded call was for at first: the newest diversion. Source: RFC 5806 §4."""
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
