"""How dead peers are found: no RTP, a session timer that nobody refreshes, OPTIONS that nobody answers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Liveness:
    """How long a peer may say nothing. Units: seconds; 0 turns that watch off.

    Source: Twilio, Voice limits ("RTP timeout", 60 s); RFC 4028; RFC 3261 §11.
    """

    rtp_s: float = 60.0
    """A leg that should be heard and is not, for so long, is lost."""
    rtp_held_s: float = 3600.0
    """The same while the phone holds by itself: most phones send nothing then."""
    session_expires_s: int = 1800
    keepalive_s: float = 60.0

    def is_lost(self, *, silent_s: float, agreed_s: float, held: bool, may_send: bool = True) -> bool:
        """Whether a leg is lost that was silent for `silent_s`, and whose direction was agreed `agreed_s` ago.

        A phone that comes back after a long hold has its whole time again. One that only listens, and holds nobody,
        has nothing to send: it is never lost by that.
        """
        if not (held or may_send):
            return False
        limit = self.rtp_held_s if held else self.rtp_s
        return limit > 0 and min(silent_s, agreed_s) >= limit


DEFAULT_LIVENESS = Liveness()
