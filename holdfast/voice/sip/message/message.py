"""SIP messages as frozen values: requests, responses, and how each of ours is made.

Header values stay the text that arrived: a response echoes Via, From, To, Call-ID, CSeq and Record-Route of the request
unchanged. The values that the machines need are parsed once, into fields.
Source: RFC 3261 §7, §8.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from holdfast.voice.sip.effects import Address, Headers
from holdfast.voice.sip.errors import SipMessageUnreadable, UriUnreadable
from holdfast.voice.sip.message.uri import (
    TOKEN,
    NameAddr,
    host_port,
    numeric_address,
    parse_name_addr,
    parse_params,
    split_values,
)

REASONS = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    420: "Bad Extension",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    500: "Server Internal Error",
    501: "Not Implemented",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
}
"""Reason phrases. Source: RFC 3261 §21; RFC 6665 §8.3.2 for 489."""

ECHOED = ("Via", "From", "To", "Call-ID", "CSeq")
"""Header fields that every response copies from its request. Source: RFC 3261 §8.2.6.2."""

_VIA = re.compile(
    rf"SIP\s*/\s*(?P<version>{TOKEN})\s*/\s*(?P<transport>{TOKEN})\s+"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?:\s*:\s*(?P<port>\d+))?\s*(?P<params>;.*)?\Z",
    re.DOTALL | re.IGNORECASE,
)
_CSEQ = re.compile(rf"(\d{{1,10}})\s+({TOKEN})\Z", re.ASCII)
_RPORT = re.compile(r"(;\s*rport)\s*(?:=\s*)?(?=;|\Z)", re.IGNORECASE)
"""An `rport` without a value. Some phones write its equals sign all the same."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_RECEIVED = re.compile(r";\s*received\s*=([^;]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Via:
    """A Via value. `port` is in 1..65535 or None; `branch` is "" when there is none."""

    transport: str
    host: str
    port: int | None
    branch: str
    rport: bool

    @property
    def sent_by(self) -> str:
        """Host and port as one comparable text."""
        return f"{self.host}:{self.port or 5060}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Message(ABC):
    """The common part of requests and responses. `method` of a response is that of its CSeq."""

    method: str
    headers: Headers
    body: bytes
    via: Via
    """The topmost Via."""
    from_: NameAddr
    to: NameAddr
    call_id: str
    cseq: int

    def first(self, name: str) -> str | None:
        """Return the first value of a header field, or None."""
        return next((value for listed, value in self.headers if listed == name), None)

    def values(self, name: str) -> list[str]:
        """Return all values of a header field that is a list, split at commas."""
        return [part for listed, value in self.headers if listed == name for part in split_values(value)]

    @property
    @abstractmethod
    def start_line(self) -> str:
        """The first line on the wire."""

    def encode(self) -> bytes:
        """Encode the message. Content-Length is written here, never taken from the headers.

        A line end within a value becomes a space: after it a header field would begin that was not set.
        """
        lines = [self.start_line]
        lines += [f"{name}: {value}" for name, value in self.headers if name != "Content-Length"]
        lines += [f"Content-Length: {len(self.body)}", "", ""]
        head = "\r\n".join(lines)
        if head.count("\r") + head.count("\n") > 2 * (len(lines) - 1):
            head = "\r\n".join(line.replace("\r", " ").replace("\n", " ") for line in lines)
        return head.encode("utf-8", "surrogateescape") + self.body


@dataclass(frozen=True, slots=True, kw_only=True)
class Request(Message):
    """A request. `uri` is the text of its Request-URI."""

    uri: str

    @property
    def start_line(self) -> str:
        """Method, Request-URI, version."""
        return f"{self.method} {self.uri} SIP/2.0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Response(Message):
    """A response."""

    status: int
    reason: str

    @property
    def start_line(self) -> str:
        """Version, status, reason."""
        return f"SIP/2.0 {self.status} {self.reason}"


def request(method: str, uri: str, headers: Headers, body: bytes = b"") -> Request:
    """Make a request from its parts.

    Raises: SipMessageUnreadable when a mandatory header is missing or wrong.
    """
    via, from_, to, call_id, cseq, _ = _parse_mandatory(headers)
    return Request(
        method=method,
        uri=uri,
        headers=headers,
        body=body,
        via=via,
        from_=from_,
        to=to,
        call_id=call_id,
        cseq=cseq,
    )


def response(status: int, reason: str, headers: Headers, body: bytes = b"") -> Response:
    """Make a response from its parts.

    Raises: SipMessageUnreadable when a mandatory header is missing or wrong.
    """
    via, from_, to, call_id, cseq, method = _parse_mandatory(headers)
    return Response(
        method=method,
        status=status,
        reason=reason,
        headers=headers,
        body=body,
        via=via,
        from_=from_,
        to=to,
        call_id=call_id,
        cseq=cseq,
    )


def _parse_mandatory(headers: Headers) -> tuple[Via, NameAddr, NameAddr, str, int, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        if name in ECHOED:
            found.setdefault(name, value)
    missing = [name for name in ECHOED if not found.get(name)]
    if missing:
        raise SipMessageUnreadable(f"no {missing[0]} header")
    try:
        from_, to = parse_name_addr(found["From"]), parse_name_addr(found["To"])
    except UriUnreadable as wrong:
        raise SipMessageUnreadable(f"From or To: {wrong.message}") from wrong
    if len(found["Call-ID"].split()) != 1:
        raise SipMessageUnreadable("a Call-ID of several words")
    cseq, method = parse_cseq(found["CSeq"])
    return parse_via(split_values(found["Via"])[0]), from_, to, found["Call-ID"], cseq, method


def parse_cseq(text: str) -> tuple[int, str]:
    """Parse a CSeq into number and method.

    Raises: SipMessageUnreadable.
    Source: RFC 3261 §8.1.1.5 (less than 2**31).
    """
    found = _CSEQ.match(text)
    if not found or int(found[1]) >= 2**31:
        raise SipMessageUnreadable("a CSeq that cannot be read")
    return int(found[1]), found[2]


def parse_via(text: str) -> Via:
    """Parse one Via value.

    Raises: SipMessageUnreadable, also for a port above 65535: a socket must never get one.
    """
    found = _VIA.match(text)
    if not found or found["version"] != "2.0":
        raise SipMessageUnreadable("a Via that cannot be read")
    port = int(found["port"]) if found["port"] and len(found["port"]) <= 5 else None
    if found["port"] and (port is None or not 1 <= port <= 65535):
        raise SipMessageUnreadable("a Via with an impossible port")
    try:
        params = dict(parse_params(_RPORT.sub(r"\1", found["params"] or "")))
    except UriUnreadable as wrong:
        raise SipMessageUnreadable("a Via whose parameters cannot be read") from wrong
    rport = params.get("rport")
    if rport is not None and not (rport.isascii() and rport.isdigit() and len(rport) <= 5 and int(rport) <= 65535):
        raise SipMessageUnreadable("a Via with an impossible rport")
    return Via(
        transport=found["transport"].upper(),
        host=found["host"].strip("[]").lower(),
        port=port,
        branch=params.get("branch") or "",
        rport="rport" in params,
    )


def stamp_source(received: Request, source: Address) -> Request:
    """Return the request with `received` and `rport` set in its topmost Via, which every response echoes.

    The rest of the Via stays unchanged.
    Source: RFC 3261 §18.2.1; RFC 3581 §4.
    """
    via = received.via
    if not via.rport and via.host == source[0]:
        return received
    headers = list(received.headers)
    place = next(index for index, (name, _) in enumerate(headers) if name == "Via")
    top, *others = split_values(headers[place][1])
    top = _RECEIVED.sub("", top)
    if via.rport:
        top = _RPORT.sub(rf"\g<1>={source[1]}", top)
    top += f";received={source[0]}"
    headers[place] = ("Via", ", ".join([top, *others]))
    return request(received.method, received.uri, tuple(headers), received.body)


def forwarded_by(received: Request, source: Address, is_trusted: Callable[[str], bool]) -> str | None:
    """Return the numeric host that trusted proxies name as the sender of a request; None without any.

    A Via below the topmost was written by the sender of the request to that proxy, and `received` by the proxy itself,
    which omits it where it equals the host in the Via. A host that is not numeric is not trusted, nor is the rest below
    it.
    Source: RFC 3261 §18.2.1.
    """
    host: str | None = None
    for text in received.values("Via")[1:]:
        if not is_trusted(host or source.host):
            break
        try:
            below = parse_via(text)
        except SipMessageUnreadable:
            break
        found = _RECEIVED.search(text)
        try:
            host = str(ip_address(found[1].strip(" \t[]") if found else below.host))
        except ValueError:
            break
    return host


def reply_address(received: Request, source: Address) -> Address:
    """Return the address of the responses to this request: its connection, else the source with Via's port.

    Deviation: a sent-by host that differs from the source is never used, even when it is numeric: the request was seen
    to come from the source.
    Source: RFC 3261 §18.2.2; RFC 3581 §4.
    """
    via = received.via
    if via.rport or source.reliable:
        return source
    return numeric_address(source.host, via.port) or source


def reply_address_reconnecting(received: Request, source: Address) -> Address:
    """Return the address of the responses after the request's connection ended. Source: RFC 3261 §18.2.2."""
    return numeric_address(source.host, received.via.port, source.transport) or source


def respond(
    to_request: Request,
    status: int,
    *,
    tag: str | None,
    headers: Headers = (),
    body: bytes = b"",
    reason: str | None = None,
) -> Response:
    """Make the response to a request; `tag` becomes its To tag unless the request had one.

    Source: RFC 3261 §8.2.6.
    """
    echoed: list[tuple[str, str]] = []
    for name, value in to_request.headers:
        if name == "To" and to_request.to.tag is None and tag is not None:
            echoed.append((name, f"{value};tag={tag}"))
        elif (
            name in ECHOED or (name == "Timestamp" and status == 100) or (name == "Record-Route" and 100 < status < 300)
        ):
            echoed.append((name, value))
    return response(status, reason or REASONS.get(status, "Unknown"), (*echoed, *headers), body)


def clean(text: str) -> str:
    """Return text that is safe for the owner: invalid UTF-8 and control characters become U+FFFD.

    The owner's texts reach stores, logs, headers and terminals; a user may be written with `%1B` or `%0D%0A`, and a
    reason in Latin-1.
    """
    decoded = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return _CONTROL.sub("\ufffd", decoded.replace("\t", " "))


def clean_headers(headers: Headers) -> Headers:
    """Return header fields that are safe for the owner."""
    return tuple((name, clean(value)) for name, value in headers)


def via_line(address: Address, branch: str) -> tuple[str, str]:
    """Return our Via header. Source: RFC 3261 §18.1.1; RFC 3581 §3."""
    return "Via", f"SIP/2.0/{address.transport} {host_port(address)};rport;branch={branch}"
