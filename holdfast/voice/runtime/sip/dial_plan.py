"""Turn the target of a call into destinations: the contacts of a line, a trunk, or another SIP URI."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol
from urllib.parse import quote, unquote

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.commands import Target
from holdfast.voice.model.errors import AskedWrong
from holdfast.voice.model.header_names import setter_of
from holdfast.voice.model.ids import AccountSid, CallSid
from holdfast.voice.model.phone_numbers import bare_number, is_short
from holdfast.voice.runtime.directory.directory import E164
from holdfast.voice.runtime.directory.records import LineRecord, RouteRecord
from holdfast.voice.sip.effects import Address, Headers, Transport
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message.digest import DigestCredentials
from holdfast.voice.sip.message.uri import (
    Uri,
    address_of,
    contact_at,
    number_of,
    numeric_address,
    parse_name_addr,
    parse_uri,
    sip_uri,
    split_values,
    transport_of,
)

MAX_REPORTED_HEADERS = 20
"""How many header fields of an answer are reported to the application."""
WITHHELD = ("anonymous", "restricted", "unavailable", "unknown")
"""The names that stand in place of a withheld number. Source: Twilio docs, "From" of calls without a number."""
MAX_CONTACTS = 5
"""How many contacts of a redirection are read."""
NOT_REGISTERED = 32009
"""Source: Twilio error dictionary, "user you tried to dial is not registered"."""
NUMBER_UNREACHABLE = 13224
"""Source: Twilio error dictionary, "Dial: number invalid or not supported"."""
NUMBER_INVALID = 13223
"""Source: Twilio error dictionary, "Dial: invalid phone number format"."""
URI_INVALID = 13243
HOST_UNRESOLVED = 13254


class LineLookup(Protocol):
    """A directory that finds the line or the trunk for a target."""

    def line(self, name: str) -> LineRecord | None:
        """Return the line of that name."""
        ...

    def e164(self, written: str) -> str | None:
        """Return a phone number in E.164, or None for a text that cannot be one."""
        ...

    def route_for(self, number: str) -> RouteRecord | None:
        """Return the trunk by which a number leaves."""
        ...

    def unreachable_reason(self, number: str) -> str:
        """Return why neither a line nor a trunk takes a call to a number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class DialDestination:
    """An INVITE to send: its Request-URI, and the address the request is sent to (None: the one in the URI)."""

    uri: str
    next_hop: Address | None
    headers: Headers
    caller: str | None = None
    """The caller to show, if it is not the call's own caller."""
    credentials: DigestCredentials | None = None
    """What a digest challenge is answered with there."""
    domain: str | None = None
    """The host in From and in the Request-URI, if it is not ours."""
    fallback: DialDestination | None = None
    """The destination to try if this one does not answer or has no service."""
    trunk: RouteRecord | None = None
    """The trunk that the call leaves by, which may ask for an asserted identity."""
    was_redirected: bool = False
    """Whether the trunk redirected the call to this destination."""
    is_loopback: bool = False
    """Whether it is a call of the engine to itself."""
    rtp_source: RtpSource | None = None
    """Where RTP from there is accepted from; None: as the settings say."""

    def from_uri(self, caller: str) -> str:
        """Return the value of From: a user of ours, or a whole SIP URI."""
        shown = self.caller or caller
        if self.domain is None or shown.startswith(("sip:", "sips:")):
            return shown
        return f"sip:{quote(shown, safe='+')}@{self.domain}"

    def identity_headers(self, caller: str) -> Headers:
        """Return the header fields that assert the caller's number to a trunk that asks for it.

        For a caller that withholds its number they also ask the trunk not to show it. Source: RFC 3325 §9.1, §9.3.
        """
        identity = None if self.trunk is None else self.trunk.identity
        number = caller if identity == "caller" else identity
        if self.trunk is None or number is None or not E164.match(number):
            return ()
        said = sip_uri(number, self.trunk.address) if self.domain is None else f"sip:{number}@{self.domain}"
        user = caller.lower().removeprefix("sip:").partition("@")[0]
        privacy = (("Privacy", "id"),) if user in WITHHELD else ()
        return (("P-Asserted-Identity", f"<{said}>"), *privacy)

    @property
    def transport(self) -> Transport:
        """Return the transport that the INVITE is sent by."""
        return self.next_hop.transport if self.next_hop else transport_of(parse_uri(self.uri)) or "UDP"


class Unreachable(AskedWrong):
    """An error for a target that leads nowhere. `sip_code` is what a network would have answered."""

    def __init__(self, message: str, *, sip_code: int, twilio_code: int) -> None:
        super().__init__(message)
        self.sip_code = sip_code
        self.twilio_code = twilio_code


def destinations_of(
    target: Target,
    *,
    lines: LineLookup,
    contacts: Callable[[str], tuple[tuple[str, Address], ...]],
    is_ours: Callable[[Uri], bool],
) -> tuple[DialDestination, ...]:
    """Return every destination of a target; all of them are tried at once.

    Raises: Unreachable.
    """
    to = target.to.strip()
    headers = _headers(target)
    if to.lower().startswith("client:"):
        return _line_destinations(unquote(to[7:].partition("?")[0]), lines, contacts, headers)
    if not to.lower().startswith(("sip:", "sips:")):
        name = line_named(to, lines)
        if name is None and bare_number(to) is not None:
            return (_routed_destination(to, lines, headers),)
        return _line_destinations(name or to, lines, contacts, headers)
    bare, _, query = to.partition("?")
    try:
        uri = parse_uri(bare)
    except UriUnreadable as wrong:
        raise Unreachable(wrong.message, sip_code=400, twilio_code=URI_INVALID) from wrong
    if is_ours(uri):
        return _line_destinations(uri.user, lines, contacts, headers)
    if transport_of(uri) is None:
        raise Unreachable("the transport of the SIP URI is not UDP, TCP or TLS", sip_code=400, twilio_code=URI_INVALID)
    if address_of(uri) is None:
        raise Unreachable("the host of the SIP URI is not numeric", sip_code=404, twilio_code=HOST_UNRESOLVED)
    return (DialDestination(uri=bare, next_hop=None, headers=(*headers, *_settable(_query(query)))),)


def line_named(number: str, lines: LineLookup) -> str | None:
    """Return the name of the line that is rung for a number, in whatever form it is written, or for its own name."""
    bare = bare_number(number)
    forms = () if bare is None else (bare, bare.removeprefix("+"), lines.e164(bare), f"+{bare}")
    return next((name for name in (number, *forms) if name is not None and lines.line(name) is not None), None)


def _routed_destination(number: str, lines: LineLookup, headers: Headers) -> DialDestination:
    """Return the destination of a number by its route. Source: Twilio errors 13223 (format) and 13224 (no route)."""
    e164 = lines.e164(number)
    route = None if e164 is None else lines.route_for(e164)
    if e164 is None or route is None:
        code = NUMBER_INVALID if e164 is None and not is_short(number) else NUMBER_UNREACHABLE
        raise Unreachable(lines.unreachable_reason(number), sip_code=404, twilio_code=code)
    return _trunk_destination(e164, route, headers)


def _trunk_destination(number: str, route: RouteRecord, headers: Headers) -> DialDestination:
    credentials = None
    if route.user is not None and route.password is not None:
        credentials = DigestCredentials(user=route.user, password=route.password, realms=route.realms)
    uri = contact_at(number, route.address)
    if route.domain is not None:
        # Many trunks identify their customer by the host in the Request-URI, and know only their own host name.
        host, _, _ = uri.partition("@")[2].partition(";")
        uri = uri.replace(f"@{host}", f"@{route.domain}", 1)
    return DialDestination(
        uri=uri,
        next_hop=route.address,
        headers=headers,
        caller=route.caller_id,
        credentials=credentials,
        domain=route.domain,
        fallback=None if route.backup is None else _trunk_destination(number, route.backup, headers),
        trunk=route,
        rtp_source=route.rtp_source,
    )


def is_redirect(status: int) -> bool:
    """Return whether a refusal names another address to try. Source: RFC 3261 §21.3."""
    return 300 <= status < 400


def redirect_destination(destination: DialDestination, status: int, headers: Headers) -> DialDestination | None:
    """Return where a redirected call (300, 301, 302) is sent, or None if the redirection is not followed.

    A trunk may redirect once, to another address of its own, for the same number. A callee may not: it could make the
    engine call an expensive number in the name of the caller.
    Deviation: RFC 3261 §8.1.3.4 lets a user be asked; here the document receives the status and may dial again. 305
    would let the callee choose our proxy, and is never followed.
    Source: RFC 3261 §26.1, §8.1.3.4, §21.3.
    """
    if destination.trunk is None or destination.was_redirected or status not in (300, 301, 302):
        return None
    contacts = [
        contact for name, value in headers if name.lower() in ("contact", "m") for contact in split_values(value)
    ]
    found = (_redirect_within_trunk(destination, destination.trunk, contact) for contact in contacts[:MAX_CONTACTS])
    return next((redirected for redirected in found if redirected is not None), None)


def _redirect_within_trunk(destination: DialDestination, trunk: RouteRecord, contact: str) -> DialDestination | None:
    """Return the next destination for a contact, if it is an address of the trunk and has the dialled number."""
    try:
        uri = parse_uri(parse_name_addr(contact).uri.partition("?")[0])
    except UriUnreadable:
        return None
    agreed = trunk.address.transport
    transport = agreed if uri.param("transport") is None else transport_of(uri)
    to = numeric_address(uri.host, uri.port, agreed)
    same_number = _digits(uri.user) == _digits(parse_uri(destination.uri).user)
    if to is None or transport != agreed or to == destination.next_hop or not same_number:
        return None
    if uri.scheme == "sips" and agreed != "TLS":
        return None
    if not any(known.host == to.host or known.trusts(to.host) for known in trunk.trunks):
        return None
    return replace(destination, uri=uri.text, next_hop=to, was_redirected=True)


def _digits(user: str) -> str:
    """Return the digits of a user part that is a number, with or without plus, any other user part unchanged."""
    number = number_of(user)
    return (bare_number(number) or number).removeprefix("+")


def _line_destinations(
    name: str, lines: LineLookup, contacts: Callable[[str], tuple[tuple[str, Address], ...]], headers: Headers
) -> tuple[DialDestination, ...]:
    line = lines.line(name)
    if line is None:
        raise Unreachable(f"there is no line {name}", sip_code=404, twilio_code=NOT_REGISTERED)
    found = contacts(name)
    if not found:
        raise Unreachable(f"line {name} is not registered", sip_code=480, twilio_code=NOT_REGISTERED)
    return tuple(
        DialDestination(uri=uri, next_hop=to, headers=headers, rtp_source=line.rtp_source) for uri, to in found
    )


def _headers(target: Target) -> Headers:
    """Return the header fields that a target adds; parameters of a client become header fields of their own.

    A field that the engine sets itself is left out: of two fields with one name, peers read the first.
    """
    return (*_settable(target.headers), *((f"X-Holdfast-{name}", value) for name, value in target.parameters))


def _settable(headers: Headers) -> Headers:
    return tuple((name, value) for name, value in headers if setter_of(name) == "application")


def _query(text: str) -> Headers:
    """Return the header fields in the query of a SIP URI. Source: TwiML <Sip>, custom headers (names x-…)."""
    pairs = (part.partition("=") for part in text.split("&") if part)
    return tuple((unquote(name), unquote(value)) for name, _, value in pairs)


def call_headers(call: CallSid, account: AccountSid) -> Headers:
    """Return the header fields by which a phone can name its call to an application. Source: TwiML <Sip>."""
    return (("X-Twilio-CallSid", call), ("X-Twilio-AccountSid", account), ("X-Twilio-ApiVersion", "2010-04-01"))


def answer_headers(headers: Headers) -> tuple[tuple[str, str], ...]:
    """Return what an application receives about an answer: its Call-ID, and its own header fields that begin with X-.

    Source: TwiML <Sip>, DialSipCallId and DialSipHeader_.
    """
    call_ids = [("DialSipCallId", value) for name, value in headers if name.lower() in ("call-id", "i")]
    own = [(f"DialSipHeader_{name}", value) for name, value in headers if name.lower().startswith("x-")]
    return (*call_ids[:1], *own[:MAX_REPORTED_HEADERS])


def from_user(from_uri: str) -> str:
    """Return the value of From: a user, or a whole SIP URI. A client is known by its bare name."""
    return from_uri[7:] if from_uri.lower().startswith("client:") else from_uri
