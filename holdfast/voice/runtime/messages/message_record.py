"""Define the record of a message, and count the segments of its text. Source: Twilio API, Message resource."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

from holdfast.voice.runtime.directory.collection import SidRecord

_GSM: Final = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
_GSM_EXTENDED: Final = frozenset("\f^{}\\[~]|€")
"""Each of these takes two septets. Source: 3GPP TS 23.038 §6.2.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageRecord(SidRecord):
    """A message that a program sent. `from_` is None when a Messaging Service would select the sender.

    Units: `…_at` seconds since the Unix epoch.
    """

    KIND: ClassVar[str] = "message"
    updated_at: float
    to: str
    from_: str | None
    body: str
    segments: int
    media: tuple[str, ...] = ()
    messaging_service_sid: str | None = None


def count_segments(body: str) -> int:
    """Return the number of segments that carry a text: of septets if all its characters allow, else of UTF-16.

    Source: 3GPP TS 23.038 §6.2, TS 23.040 §9.2.3.24.1: several segments lose six octets each to a header.
    """
    if _GSM.issuperset(set(body) - _GSM_EXTENDED):
        units, alone, each = len(body) + sum(character in _GSM_EXTENDED for character in body), 160, 153
    else:
        units, alone, each = len(body.encode("utf-16-be")) // 2, 70, 67
    return 1 if units <= alone else -(-units // each)
