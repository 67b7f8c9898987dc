"""Say which SIP header fields an application may set in our requests, by a document or by REST."""

from __future__ import annotations

import re
from typing import Literal

OURS = ("x-twilio", "x-holdfast-")
"""The prefixes of the header fields that we set ourselves, which tell a phone the call and its parameters.

Source: Twilio error 32113, "Your extension header name cannot begin with the prefix X-Twilio".
"""
BESIDE_EXTENSIONS = frozenset({"user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"})
"""The fields that may be set besides those whose name begins with X-. Source: TwiML <Sip>."""

MAX_VALUE = 1024
"""The most characters of a header field's value."""

_NAME = re.compile(r"[A-Za-z0-9.!%*_+`'~-]{1,127}\Z")
"""A name that SIP can carry. Source: RFC 3261 §25.1, token."""
_UNSENDABLE = re.compile("[\x00-\x1f\x7f\ufffd]")

Fault = Literal["name", "setter", "value"]
"""Why a header field is left out: its name is no name, is not the application's to set, or its value cannot be sent."""


def setter_of(name: str) -> Literal["application", "us", "protocol"]:
    """Who sets the header field of this name: the application, we ourselves, or SIP (From, Via, Authorization …)."""
    lowered = name.lower()
    if lowered.startswith(OURS):
        return "us"
    return "application" if lowered.startswith("x-") or lowered in BESIDE_EXTENSIONS else "protocol"


def fault_of(name: str, value: str) -> Fault | None:
    """Return why an application's header field is left out, or None if it is sent. Source: TwiML <Sip>."""
    if not _NAME.match(name):
        return "name"
    if setter_of(name) != "application":
        return "setter"
    return "value" if _UNSENDABLE.search(value) or len(value) > MAX_VALUE else None


def describe_fault(fault: Fault, name: str, value: str) -> str:
    """Describe a header field that is left out, by its value where it has no name."""
    field = f"the header field {name[:60]!r}" if name else f"a header field without a name, of value {value[:60]!r}"
    reasons = {"name": "its name is no name in SIP", "setter": "it may not be set", "value": "its value cannot be sent"}
    return f"{field} is left out: {reasons[fault]}"
