"""The payload types of a session: what each number means in a description, and which numbers our offers use.

Source: RFC 3264 §5.1, §6.1, §8.3.2; RFC 3551 §6.
"""

from __future__ import annotations

from collections.abc import Mapping

from holdfast.voice.model.payload_types import STATIC_PAYLOAD_TYPES, Codec, PayloadTypes, RtpFormat
from holdfast.voice.sip.sdp import sdes
from holdfast.voice.sip.sdp.sdp import Media

RTP_PROTOCOLS, SRTP_PROTOCOLS = ("RTP/AVP", "RTP/AVPF"), (sdes.SAVP, "RTP/SAVPF")
"""The protocols of an `m=` line with plain RTP, and of one with SRTP.

The second of each lets both sides send feedback, which we do not. Source: RFC 4585 §4; RFC 5124 §3.
"""

DTMF_PAYLOAD_TYPES = ("101", *(str(number) for number in range(96, 128)))
"""The payload types of telephone-event in our offers, most preferred first; in an answer it is that of the offer."""

SEVERAL = "several"
"""What a payload type is bound to that was given more than one format: our offers do not use it."""


def bind(bound: Mapping[str, str], *media: Media) -> Mapping[str, str]:
    """Return the payload types bound so far and by these lines of the audio."""
    after = dict(bound)
    for medium in media:
        for payload_type in medium.formats if medium.port else ():
            if is_dynamic(payload_type):
                name, rate_hz = medium.codec(payload_type) or ("", 0)
                given = f"{name}/{rate_hz}"
                after[payload_type] = given if after.get(payload_type, given) == given else SEVERAL
    return after


def offered_payload_type(name: RtpFormat, *, used: str | None, bound: Mapping[str, str]) -> str | None:
    """Return the payload type of a format in our next offer; None if no number is free for it.

    It is `used`, that of our description in force, else the static one, else one never bound to another format.
    Source: RFC 3264 §8.3.2.
    """

    def is_free(payload_type: str) -> bool:
        return not is_dynamic(payload_type) or bound.get(payload_type, given) == given

    given = f"{name.upper()}/8000"
    if name == "telephone-event":
        others = (*(number for number, name_bound in bound.items() if name_bound == given), *DTMF_PAYLOAD_TYPES)
    else:
        others = (str(STATIC_PAYLOAD_TYPES[name]),)
    return next((number for number in (used, *others) if number is not None and is_free(number)), None)


def shared_codecs(medium: Media, codecs: tuple[Codec, ...]) -> tuple[tuple[Codec, str], ...]:
    """Return our codecs that this line names, with their payload types, in the peer's order.

    There is none in a line that we cannot use.
    """
    if (
        medium.kind != "audio"
        or not medium.port
        or medium.proto not in RTP_PROTOCOLS + SRTP_PROTOCOLS
        or medium.address is None
    ):
        return ()
    shared = [(codec, found) for codec in codecs if (found := payload_type_of(medium, codec)) is not None]
    return tuple(sorted(shared, key=lambda found: medium.formats.index(found[1])))


def payload_type_of(medium: Media, name: RtpFormat) -> str | None:
    """Return the first payload type of this line that means this format: its static one, or a dynamic one.

    Source: RFC 3551 §6; RFC 4733 §2.5.1.1.
    """
    static = "" if name == "telephone-event" else str(STATIC_PAYLOAD_TYPES[name])
    for payload_type in medium.formats:
        if medium.codec(payload_type) == (name.upper(), 8000) and (payload_type == static or is_dynamic(payload_type)):
            return payload_type
    return None


def is_dynamic(payload_type: str) -> bool:
    """Return whether descriptions give this payload type its meaning. Source: RFC 3551 §3; RFC 5761 §4."""
    number = int(payload_type) if payload_type.isascii() and payload_type.isdigit() and len(payload_type) <= 3 else 0
    return 35 <= number <= 63 or 96 <= number <= 127


def agreed_payload_types(peer: Media, ours: Media, codecs: tuple[Codec, ...], events: int | None) -> PayloadTypes:
    """Return the numbers of these codecs and of telephone events where they are not static, in each direction.

    Some peers send by the number of their own description: it is understood where ours does not mean another format.
    """
    names: tuple[RtpFormat, ...] = codecs if events is None else (*codecs, "telephone-event")
    send = {codec: int(payload_type_of(peer, codec) or 0) for codec in codecs}
    receive = {
        int(found): name
        for medium in (peer, ours)
        for name in names
        if (found := payload_type_of(medium, name)) is not None and is_dynamic(found)
    }
    return PayloadTypes(
        send=tuple((codec, number) for codec, number in send.items() if number != STATIC_PAYLOAD_TYPES[codec]),
        receive=tuple(item for item in sorted(receive.items()) if item != (events, "telephone-event")),
    )
