"""Say which SIP header fields an application may set in our requests, by a document or by REST."""

from __future__ import annotations

from typing import Literal

OURS = ("x-twilio", "x-holdfast-")
"""The prefixes of the header fields that we set ourselves, which tell a phone the call and its parameters.

Source: Twilio error 32113, "Your extension header name cannot begin with the prefix X-Twilio".
"""
BESIDE_EXTENSIONS = frozenset({"user-to-user", "remote-party-id", "p-preferred-identity", "p-called-party-id"})
"""The fields that may be set besides those whose name begins with X-. Source: TwiML <Sip>."""


def setter_of(name: str) -> Literal["application", "us", "protocol"]:
    """Who sets the header field of this name: the application, we ourselves, or SIP (From, Via, Authorization …)."""
    lowered = name.lower()
    if lowered.startswith(OURS):
        return "us"
    return "application" if lowered.startswith("x-") or lowered in BESIDE_EXTENSIONS else "protocol"
