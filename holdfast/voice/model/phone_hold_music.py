"""Decide whose audio the others hear while a phone holds by itself: our music, or what that phone sends."""

from __future__ import annotations

from typing import Literal

PhoneHoldMusic = Literal["trunks", "always ours", "always theirs"]
"""Of which holders that go on sending the others hear the audio: of trunks, of none, or of lines too."""


def holder_may_be_heard(setting: PhoneHoldMusic, of_route: PhoneHoldMusic | None, *, by_trunk: bool) -> bool:
    """Return whether a phone that holds and goes on sending may be heard.

    What its route says counts before the setting. Source: RFC 3264 §8.4; RFC 7088 §1.
    """
    rule = of_route or setting
    return rule == "always theirs" or (rule == "trunks" and by_trunk)
