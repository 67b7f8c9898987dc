"""Parse bytes into messages: the one place where bytes of unauthenticated peers become values.

Bytes become a request, a response, a `Malformed` request that can still be answered, or a SipMessageUnreadable. Header
bytes that are not UTF-8 survive and are echoed unchanged. The parser is our own: it keeps every value as it arrived,
knows how to answer a bad request, and imports nothing impure.
Source: RFC 3261 §7, §18.3, §25; RFC 4475.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.voice.sip.effects import Headers
from holdfast.voice.sip.errors import SipMessageUnreadable
from holdfast.voice.sip.message.message import (
    ECHOED,
    Request,
    Response,
    request,
    response,
)
from holdfast.voice.sip.message.uri import TOKEN

MAX_HEADERS = 128
MAX_LINE = 8_192
"""The longest header field in bytes, unfolded."""

COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}
"""Compact forms of header names. Source: IANA registry of SIP header fields."""

CANONICAL = {
    name.lower(): name
    for name in (
        *("Accept", "Accept-Encoding", "Accept-Language", "Allow", "Allow-Events", "Authorization", "Call-ID"),
        *("Contact", "Content-Disposition", "Content-Encoding", "Content-Length", "Content-Type", "CSeq", "Event"),
        *("Expires", "From", "Max-Forwards", "Min-Expires", "Min-SE", "MIME-Version", "Proxy-Authenticate"),
        *("Proxy-Authorization", "Proxy-Require", "RAck", "Reason", "Record-Route", "Refer-To", "Referred-By"),
        *("Require", "Retry-After", "Route", "RSeq", "Server", "Session-Expires", "Subject", "Supported"),
        *("Timestamp", "To", "Unsupported", "User-Agent", "Via", "Warning", "WWW-Authenticate"),
    )
}

_REQUEST_LINE = re.compile(rf"({TOKEN}) ([^\s<>\"]+) SIP/(\d+\.\d+)\Z", re.ASCII)
_STATUS_LINE = re.compile(r"SIP/2\.0 ([1-6]\d\d)(?: (.*))?\Z", re.ASCII | re.DOTALL)
_HEADER = re.compile(rf"({TOKEN})[ \t]*:[ \t]*(.*)\Z", re.DOTALL)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_SINGLE = (*ECHOED[1:], "Content-Length", "Content-Type", "Max-Forwards")


@dataclass(frozen=True, slots=True, kw_only=True)
class Malformed:
    """A malformed request that can be answered with its error.

    `headers` are those that a response echoes, as far as they arrived; there is a Via among them.
    """

    method: str
    status: int
    reason: str
    headers: Headers

    def encode(self, tag: str) -> bytes:
        """Encode the response that names the error."""
        lines = [f"SIP/2.0 {self.status} {self.reason}"]
        for name, value in self.headers:
            tagged = name == "To" and ";tag=" not in value.replace(" ", "").lower()
            lines.append(f"{name}: {value};tag={tag}" if tagged else f"{name}: {value}")
        return "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode("utf-8", "surrogateescape")


def malformed_from_head(head: bytes, status: int, reason: str) -> Malformed:
    """Return the answerable part of a request whose end is unknown, from its header.

    Raises: SipMessageUnreadable when it cannot be answered.
    """
    start, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")
    if start.startswith("SIP/") or not _REQUEST_LINE.match(start):
        raise SipMessageUnreadable(reason)
    return _malformed(start.split(" ", 1)[0], status, reason, lines)


def decode(data: bytes) -> Request | Response | Malformed:
    """Parse one datagram.

    Raises: SipMessageUnreadable when it cannot be answered.
    """
    head, blank, body = data.partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    start, *lines = text.split("\r\n")
    status_line = _STATUS_LINE.match(start)
    if status_line:
        if not blank:
            raise SipMessageUnreadable("half a response")
        headers = _headers(lines)
        return response(int(status_line[1]), status_line[2] or "", headers, _body(headers, body))
    method = start.split(" ", 1)[0]
    if not re.fullmatch(TOKEN, method, re.ASCII) or method == start or start.startswith("SIP/"):
        raise SipMessageUnreadable("no SIP start line")
    request_line = _REQUEST_LINE.match(start)
    try:
        if not blank:
            raise SipMessageUnreadable("Message without an end")
        headers = _headers(lines)
        if request_line is None:
            raise SipMessageUnreadable("Request line that cannot be read")
        if request_line[3] != "2.0":
            return _malformed(method, 505, "Version Not Supported", lines)
        return request(method, request_line[2], headers, _body(headers, body))
    except SipMessageUnreadable as wrong:
        return _malformed(method, 400, f"Bad Request ({wrong.message})", lines)


def _headers(lines: list[str]) -> Headers:
    """Parse header lines: names in canonical spelling, values unfolded and trimmed."""
    if len(lines) > MAX_HEADERS:
        raise SipMessageUnreadable("too many header lines")
    unfolded: list[str] = []
    for line in lines:
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1] += " " + line.strip(" \t")
        else:
            unfolded.append(line)
    headers = []
    for line in unfolded:
        found = _HEADER.match(line)
        if not found or len(line) > MAX_LINE or _CONTROL.search(line):
            raise SipMessageUnreadable("a header line that cannot be read")
        name = found[1].lower()
        headers.append((COMPACT.get(name) or CANONICAL.get(name) or found[1], found[2].rstrip(" \t")))
    for name in _SINGLE:
        if sum(listed == name for listed, _ in headers) > 1:
            raise SipMessageUnreadable(f"two {name} headers")
    return tuple(headers)


def _body(headers: Headers, rest: bytes) -> bytes:
    """Return the body as long as Content-Length says, else all bytes. Source: RFC 3261 §18.3."""
    declared = next((value for name, value in headers if name == "Content-Length"), None)
    if declared is None:
        return rest
    if not (declared.isascii() and declared.isdigit() and len(declared) <= 9):
        raise SipMessageUnreadable("a Content-Length that is no number")
    if int(declared) > len(rest):
        raise SipMessageUnreadable("a body shorter than its Content-Length")
    return rest[: int(declared)]


def _malformed(method: str, status: int, reason: str, lines: list[str]) -> Malformed:
    """Return the answerable part of a bad request: the headers that a response echoes, once each but Via."""
    kept: list[tuple[str, str]] = []
    for line in lines[:MAX_HEADERS]:
        found = _HEADER.match(line)
        if not found or len(line) > MAX_LINE or _CONTROL.search(line):
            continue
        name = COMPACT.get(found[1].lower()) or CANONICAL.get(found[1].lower()) or ""
        if name == "Via" or (name in ECHOED and all(name != listed for listed, _ in kept)):
            kept.append((name, found[2].rstrip(" \t")))
    if method == "ACK" or not any(name == "Via" for name, _ in kept):
        raise SipMessageUnreadable(f"a bad {method[:16]} that cannot be answered: {reason}")
    return Malformed(method=method, status=status, reason=reason, headers=tuple(kept))
