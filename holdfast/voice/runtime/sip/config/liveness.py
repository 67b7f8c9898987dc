"""Detect dead peers: no RTP, a session timer that is not refreshed, OPTIONS without a response."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """How long a peer may be silent. Units: seconds; 0 turns that check off.

    Source: Twilio, Voice limits ("RTP timeout", 60 s); RFC 4028; RFC 3261 §11.
    """

    rtp_s: float = 60.0
    """A leg that may send and sends nothing for this long is lost."""
    rtp_held_s: float = 3600.0
    """The same limit while the phone holds by itself: most phones send nothing then."""
    session_expires_s: int = 1800
    keepalive_s: float = 60.0

    def is_lost(self, *, silent_s: float, agreed_s: float, held: bool, may_send: bool = True) -> bool:
        """Return whether a leg is lost: silent for `silent_s`, its direction agreed `agreed_s` ago.

        A phone that resumes after a long hold has its whole time again. A phone that only listens, and does not hold,
        has nothing to send: it is never lost for this reason.
        """
        if not (held or may_send):
            return False
        limit = self.rtp_held_s if held else self.rtp_s
        return limit > 0 and min(silent_s, agreed_s) >= limit


DEFAULT_LIVENESS = Liveness()
