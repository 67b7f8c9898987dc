"""The payload types of RTP: the static ones, and those that the two descriptions of a session give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Codec = Literal["PCMU", "PCMA", "G722"]

RtpFormat = Codec | Literal["telephone-event"]

STATIC_PAYLOAD_TYPES: Mapping[Codec, int] = {"PCMU": 0, "PCMA": 8, "G722": 9}
"""The payload type that each codec has in every session. Source: RFC 3551 §6."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadTypes:
    """The payload types of a session that are not static, in each direction.

    Packets to the party go by its description, packets from it by ours. Source: RFC 3264 §5.1, §6.1.
    """

    send: tuple[tuple[Codec, int], ...] = ()
    """The number of each codec in packets to the party."""
    receive: tuple[tuple[int, RtpFormat], ...] = ()
    """What a number means in packets from the party."""

    def sending(self, codec: Codec) -> int:
        """Return the number by which a codec is sent."""
        return dict(self.send).get(codec, STATIC_PAYLOAD_TYPES[codec])

    def receiving(self, codecs: tuple[Codec, ...], events: int | None) -> dict[int, RtpFormat]:
        """Return what each number means in packets from the party, our numbers for the first codec first.

        `events` is the number by which telephone events are sent.
        """
        ours = dict(self.receive)
        static: dict[int, RtpFormat] = {STATIC_PAYLOAD_TYPES[codec]: codec for codec in codecs}
        theirs: dict[int, RtpFormat] = {} if events is None else {events: "telephone-event"}
        every = static | theirs | ours
        return dict(sorted(every.items(), key=lambda item: (item[1] != codecs[0], item[0] not in ours)))
