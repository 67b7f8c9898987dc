"""Every form in which phones in the field put their peer on hold, as an edit of a plain offer.

Source: RFC 3264 §8.4, §8.2 for a port of 0; RFC 2543 §B.5 for `c=0.0.0.0`; RFC 8866 §6.7 for the level of a direction.
"""

from __future__ import annotations

import re
from enum import Enum


class HoldForm(Enum):
    """The form in which the offer of a hold is written."""

    SENDONLY = "a=sendonly"
    INACTIVE = "a=inactive"
    NO_ADDRESS = "c=0.0.0.0, a=sendrecv"
    """The form of phones before RFC 3264; most still write `sendrecv` beside it."""
    NO_ADDRESS_BARE = "c=0.0.0.0, no direction"
    NO_ADDRESS_INACTIVE = "c=0.0.0.0, a=inactive"
    MEDIUM_WINS = "sendrecv for the session, sendonly for the medium"
    SESSION_LEVEL = "sendonly for the session"
    CODECS_TURNED = "a=sendonly, codecs in another order"
    SAME_VERSION = "a=sendonly, o= as it was"
    NO_PORT = "m=audio 0"
    """The audio is removed, and comes back with the next offer."""

    @property
    def phone_sends(self) -> bool:
        """Return whether the phone may send during such a hold."""
        return self not in (HoldForm.INACTIVE, HoldForm.NO_ADDRESS_INACTIVE, HoldForm.NO_PORT)

    @property
    def answer(self) -> str:
        """Return the direction that answers this hold."""
        return "recvonly" if self.phone_sends else "inactive"


def hold_offer(offer: bytes, form: HoldForm, *, previous_offer: bytes) -> bytes:
    """Return an offer of a hold in this form, made from an offer of any direction. `previous_offer` is our last one."""
    text = re.sub(r"a=(sendrecv|sendonly|recvonly|inactive)\r\n", "", offer.decode())
    match form:
        case HoldForm.SENDONLY:
            text += "a=sendonly\r\n"
        case HoldForm.INACTIVE:
            text += "a=inactive\r\n"
        case HoldForm.NO_ADDRESS:
            text = _nowhere(text) + "a=sendrecv\r\n"
        case HoldForm.NO_ADDRESS_BARE:
            text = _nowhere(text)
        case HoldForm.NO_ADDRESS_INACTIVE:
            text = _nowhere(text) + "a=inactive\r\n"
        case HoldForm.MEDIUM_WINS:
            text = text.replace("t=0 0\r\n", "t=0 0\r\na=sendrecv\r\n") + "a=sendonly\r\n"
        case HoldForm.SESSION_LEVEL:
            text = text.replace("t=0 0\r\n", "t=0 0\r\na=sendonly\r\n")
        case HoldForm.CODECS_TURNED:
            text = text.replace("RTP/AVP 0 8 ", "RTP/AVP 8 0 ") + "a=sendonly\r\n"
        case HoldForm.SAME_VERSION:
            origin = re.search(r"o=[^\r]*", previous_offer.decode())
            text = re.sub(r"o=[^\r]*", origin[0] if origin else "o=- 1 1 IN IP4 0.0.0.0", text) + "a=sendonly\r\n"
        case HoldForm.NO_PORT:
            text = re.sub(r"m=audio [0-9]+", "m=audio 0", text)
    return text.encode()


def _nowhere(text: str) -> str:
    return re.sub(r"c=IN IP4 [^\r]*", "c=IN IP4 0.0.0.0", text)
