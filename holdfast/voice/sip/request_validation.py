"""Check a readable request before a transaction or a session is begun for it.

Source: RFC 3261 §8.2; RFC 4475 for torture messages.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from holdfast.voice.sip.dialog.dialog import contact_uri
from holdfast.voice.sip.effects import Headers
from holdfast.voice.sip.errors import UriUnreadable
from holdfast.voice.sip.message import body
from holdfast.voice.sip.message.message import Request
from holdfast.voice.sip.message.uri import as_sip, parse_uri, scheme_of

KNOWN_METHODS = frozenset(
    {
        *("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER", "UPDATE", "INFO"),
        *("MESSAGE", "NOTIFY", "PRACK", "PUBLISH", "REFER", "SUBSCRIBE"),
    }
)
"""Methods registered with IANA: an unsupported one of them gets 405, any other name 501."""

SUPPORTED_EXTENSIONS = frozenset({"100rel", "timer"})
"""Option tags that a peer may require of us. Source: RFC 3261 §8.2.2.3."""
SUPPORTED = ("Supported", ", ".join(sorted(SUPPORTED_EXTENSIONS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestRejection:
    """The status and headers with which a request is refused."""

    status: int
    reason: str | None = None
    headers: Headers = ()


def find_rejection(received: Request, *, in_call: bool = False) -> RequestRejection | None:
    """Return why a request is refused, or None. ACK is never refused: it has no response.

    `in_call`: the request belongs to a known call by its tags; its Request-URI is then not checked.
    Deviation: a re-INVITE without a usable Contact, which RFC 3261 §8.1.1.8 requires, is accepted: the target stays.
    Source: RFC 3261 §8.2.1 (method), §8.2.2.1 (URI), §8.2.2.3 (Require), §8.2.3 (content).
    """
    inconsistency = _inconsistency(received)
    if inconsistency is not None:
        return RequestRejection(status=400, reason=f"Bad Request ({inconsistency})")
    rejected = None if in_call else _request_uri_rejection(received.uri)
    if rejected is not None:
        return rejected
    if received.method != "CANCEL":
        unknown = [tag for tag in received.values("Require") if tag and tag.lower() not in SUPPORTED_EXTENSIONS]
        if unknown:
            return RequestRejection(status=420, headers=(("Unsupported", ", ".join(unknown)),))
    if received.method == "INVITE":
        refused = body.refusal(received)
        if refused is not None:
            return RequestRejection(status=415, headers=refused)
        if contact_uri(received) is None and received.to.tag is None:
            return RequestRejection(status=400, reason="Bad Request (no usable Contact)")
    return None


def _request_uri_rejection(uri: str) -> RequestRejection | None:
    """Return why the Request-URI of an initial request is refused, or None. Source: RFC 3261 §8.2.2.1."""
    scheme = scheme_of(uri)
    if scheme is not None and scheme not in ("sip", "sips", "tel"):
        return RequestRejection(status=416)
    try:
        parse_uri(as_sip(uri, "localhost"))
    except UriUnreadable:
        return RequestRejection(status=400, reason="Bad Request (Request-URI that cannot be read)")
    return None


def _inconsistency(received: Request) -> str | None:
    cseq = received.first("CSeq") or ""
    if cseq.split()[-1] != received.method:
        return "method and CSeq differ"
    hops = received.first("Max-Forwards")
    if hops is not None and not (re.fullmatch(r"[0-9]{1,9}", hops) and int(hops) <= 255):
        return "Max-Forwards out of range"
    return None
