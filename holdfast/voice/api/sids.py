"""SIDs of what REST creates, from the operating system's dice."""

from __future__ import annotations

import secrets


def new_sid(prefix: str) -> str:
    """A SID that nobody can guess."""
    return prefix + secrets.token_hex(16)
