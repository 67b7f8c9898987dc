"""Make the SIDs of what REST creates, from the operating system's random source."""

from __future__ import annotations

import secrets


def new_sid(prefix: str) -> str:
    """Return a SID that cannot be guessed."""
    return prefix + secrets.token_hex(16)
