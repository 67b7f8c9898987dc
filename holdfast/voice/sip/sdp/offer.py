"""Offer and answer: what both sides agreed to send, where and how.

There is one `Negotiation` per session. Direction is one value that the description and the sender of RTP both obey; an
answer is computed from the offer and our direction, never replayed. Source: RFC 3264; RFC 6337; RFC 4568 for keys.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from ipaddress import ip_address
from typing import Literal, Protocol, get_args

from holdfast.voice.model.payload_types import Codec, PayloadTypes, RtpFormat
from holdfast.voice.sip.errors import NotAcceptableHere, OfferOutOfOrder
from holdfast.voice.sip.sdp import sdes
from holdfast.voice.sip.sdp.payload_numbers import (
    RTP_PROTOCOLS,
    SRTP_PROTOCOLS,
    agreed_payload_types,
    bind,
    offered_payload_type,
    payload_type_of,
    shared_codecs,
)
from holdfast.voice.sip.sdp.sdp import (
    Direction,
    Media,
    SessionDescription,
    build,
    parse,
)

RtpAddress = tuple[str, int]
"""The address of RTP: a numeric host and a port."""

SrtpPolicy = Literal["refused", "accepted", "offered", "required"]
"""Our policy for SRTP in a session: never accept it, accept it, offer it, or require it."""

CODECS: tuple[Codec, ...] = get_args(Codec)
"""The codecs we support, most preferred first."""


class Destinations(Protocol):
    """A port that decides where RTP may be sent."""

    def refusal(self, host: str, port: int) -> str | None:
        """Return why RTP must not be sent to this numeric address, in words for a peer; None when it may."""
        ...


@dataclass(frozen=True, slots=True)
class AnyDestination:
    """The policy that refuses no destination."""

    def refusal(self, host: str, port: int) -> str | None:
        """Return None."""
        return None


MAX_REPEATED_FORMATS = 16
"""How many formats of a line our answer repeats when it refuses the line."""

ANSWER_DIRECTION: dict[tuple[Direction, Direction], Direction] = {
    (offered, local): Direction.of(
        sends=offered.receives and local.sends,
        receives=offered.sends and local.receives,
    )
    for offered in Direction
    for local in Direction
}
"""The answer's direction for an offered direction and ours. Source: RFC 3264 §6.1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreed:
    """The agreement of the two sides that is in force.

    `remote` is None while the peer receives no RTP at all (`c=0.0.0.0`, or its audio was removed: port 0). `peer_holds`
    is true while the peer does not receive: `sendonly`, `inactive` or one of these.
    """

    remote: RtpAddress | None
    codec: Codec
    dtmf_payload_type: int | None
    """The payload type by which we send telephone events: that of the peer's description."""
    send: bool
    receive: bool
    peer_holds: bool
    srtp: sdes.SdesKeys | None = None
    """The keys of SRTP in both directions; None for plain RTP."""
    other_codecs: tuple[Codec, ...] = ()
    """Codecs that the peer may send besides `codec`, and switch to at any time. Source: RFC 3264 §6.1, §5.1."""
    payload_types: PayloadTypes = field(default_factory=PayloadTypes)
    """The other payload types that are not static, by the peer's description and by ours."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Negotiation:
    """The offer/answer state of one session.

    Invariant: our `o=` version rises by one with each description that differs from the one in force, and only then; a
    description has the `m=` lines of the one before in the same places; a payload type that either side bound to
    a format means no other one in an offer of ours. Source: RFC 3264 §8, §8.3.2.
    """

    local: RtpAddress
    """The address at which we receive RTP."""
    session_id: int
    """The number in our `o=`; unique among our sessions."""
    codecs: tuple[Codec, ...] = CODECS
    """The codecs of this session, most preferred first."""
    telephone_events: bool = True
    """Whether digits may be sent as telephone events; else they are tones in the audio. Source: RFC 4733 §1.1."""
    local_direction: Direction = Direction.SENDRECV
    srtp_policy: SrtpPolicy = "refused"
    crypto: tuple[sdes.Crypto, ...] = ()
    """Our `a=crypto` lines with the keys of this session; they never change."""
    version: int = 0
    """The highest version of a description of ours."""
    local_media: tuple[Media, ...] = ()
    """The media of our description in force, or of our outstanding offer."""
    in_force: tuple[tuple[Media, ...], int] = ((), 0)
    """The media of our description in force, and its version."""
    bound: Mapping[str, str] = field(default_factory=dict)
    """The format that either side's descriptions first gave each dynamic payload type, or `SEVERAL`."""
    offered: bool = False
    """Whether an offer of ours is outstanding."""
    agreed: Agreed | None = None
    destinations: Destinations = field(default=AnyDestination(), repr=False)


def make_offer(state: Negotiation) -> tuple[Negotiation, bytes]:
    """Make an offer of our codecs and direction.

    Raises: OfferOutOfOrder while an offer of ours is outstanding.
    """
    if state.offered:
        raise OfferOutOfOrder("an offer is outstanding")
    use_srtp = _offers_srtp(state)
    place = _audio_place(state.local_media)
    with_feedback = place < len(state.local_media) and state.local_media[place].proto in (
        RTP_PROTOCOLS[1],
        SRTP_PROTOCOLS[1],
    )
    wanted: tuple[RtpFormat, ...] = (*_preference(state), *(("telephone-event",) if state.telephone_events else ()))
    numbers: dict[RtpFormat, str] = {}
    for name in wanted:
        used = payload_type_of(state.local_media[place], name) if place < len(state.local_media) else None
        number = offered_payload_type(name, used=used, bound=state.bound)
        numbers |= {} if number is None else {name: number}
    ours = Media(
        kind="audio",
        port=state.local[1],
        proto=(SRTP_PROTOCOLS if use_srtp else RTP_PROTOCOLS)[with_feedback],
        formats=tuple(numbers.values()),
        address=state.local[0],
        direction=state.local_direction,
        rtpmap=tuple((number, name, 8000) for name, number in numbers.items()),
        ptime_ms=20,
        crypto=state.crypto if use_srtp else (),
    )
    media = (*state.local_media[:place], ours, *state.local_media[place + 1 :])
    return _describe(state, media, is_offer=True)


def repeat_offer(state: Negotiation) -> tuple[Negotiation, bytes]:
    """Repeat our description in force as an offer, with its version, for a refresh.

    Raises: OfferOutOfOrder while an offer of ours is outstanding. Source: RFC 4028 §7.4.
    """
    if state.offered or not state.local_media:
        return make_offer(state)
    return _describe(state, state.local_media, is_offer=True)


def withdraw_offer(state: Negotiation) -> Negotiation:
    """Withdraw our refused offer: the former agreement stays, and so does our description of it."""
    return replace(state, offered=False, local_media=state.in_force[0])


def apply_answer(state: Negotiation, body: bytes) -> Negotiation:
    """Apply the peer's answer to our offer. In a session with audio, an answer without audio removes it.

    Raises: SdpUnreadable, NotAcceptableHere, OfferOutOfOrder (there was no offer).
    """
    if not state.offered:
        raise OfferOutOfOrder("an answer without an offer")
    answer = _without_unreachable(parse(body), state.local[0])
    place = _audio_place(state.local_media)
    if len(answer.media) <= place:
        raise NotAcceptableHere("the answer has no m= line in the place of our audio")
    medium, ours = answer.media[place], state.local_media[place]
    media, version = state.in_force
    if state.local_media != media:
        version = state.version
    answered = replace(state, offered=False, in_force=(state.local_media, version))
    if state.agreed is not None and 0 in (medium.port, ours.port):
        return replace(answered, agreed=_without_rtp(state.agreed))
    shared = tuple(codec for codec, _ in shared_codecs(medium, state.codecs) if payload_type_of(ours, codec))
    if not shared or medium.proto != ours.proto:
        raise NotAcceptableHere("the answer refuses the audio, or shares no codec with the offer")
    keys = sdes.answered_keys(medium.crypto, ours.crypto)
    if medium.proto in SRTP_PROTOCOLS and keys is None:
        raise NotAcceptableHere("the answer has no key for any suite of the offer")
    agreed = _agree(state, medium, ours, shared, ours.direction, keys)
    if state.agreed is not None and not ours.direction.sends:
        agreed = replace(agreed, peer_holds=state.agreed.peer_holds)  # It was not asked whether it receives.
    return replace(answered, agreed=agreed, bound=bind(state.bound, medium))


def answer_offer(state: Negotiation, body: bytes) -> tuple[Negotiation, bytes]:
    """Agree to the peer's offer and return our answer.

    Raises: SdpUnreadable, NotAcceptableHere (answer 488; the former agreement stays), OfferOutOfOrder (answer 491).
    """
    if state.offered:
        raise OfferOutOfOrder("both sides offered")
    offer = _without_unreachable(parse(body), state.local[0])
    usable = [(place, found) for place, m in enumerate(offer.media) if (found := _shared_codec(m, state))]
    if not usable and state.agreed is not None and _removes_audio(offer.media):
        return _answer_without_audio(state, state.agreed, offer.media)
    if not usable:
        raise NotAcceptableHere("no audio with a supported codec in the offer")
    place, (codec, payload_type), srtp = _choose_line(state, offer.media, usable)
    medium = offer.media[place]
    direction = ANSWER_DIRECTION[_peer_direction(medium), state.local_direction]
    dtmf = payload_type_of(medium, "telephone-event") if state.telephone_events else None
    events = () if dtmf is None else (dtmf,)
    ours = Media(
        kind="audio",
        port=state.local[1],
        proto=medium.proto,
        formats=(payload_type, *events),
        address=state.local[0],
        direction=direction,
        rtpmap=((payload_type, codec, 8000), *((event, "telephone-event", 8000) for event in events)),
        ptime_ms=20,
        crypto=() if srtp is None else (srtp[0],),
    )
    refused = _refused(offer.media)
    media = (*refused[:place], ours, *refused[place + 1 :])
    agreed = _agree(state, medium, ours, (codec,), state.local_direction, None if srtp is None else srtp[1])
    return _describe(replace(state, agreed=agreed, bound=bind(state.bound, medium)), media, is_offer=False)


def _removes_audio(media: tuple[Media, ...]) -> bool:
    """Return whether an offer removes the audio of a session, which some phones do to hold.

    An offer of fax in its place (T.38) does not: when refused, a gateway goes on with fax as audio.
    Source: RFC 3264 §8.2; RFC 3261 §14.2.
    """
    wanted = {medium.kind for medium in media if medium.port != 0}
    return any(medium.kind == "audio" for medium in media) and not wanted & {"audio", "image"}


def _answer_without_audio(state: Negotiation, agreed: Agreed, media: tuple[Media, ...]) -> tuple[Negotiation, bytes]:
    """Answer an offer without audio: all lines are refused and no RTP is sent until a later offer has audio again."""
    refused = tuple(replace(medium, address=state.local[0], direction=Direction.INACTIVE) for medium in _refused(media))
    return _describe(replace(state, agreed=_without_rtp(agreed)), refused, is_offer=False)


def _refused(media: tuple[Media, ...]) -> tuple[Media, ...]:
    """Return lines that refuse those of an offer: the formats mean nothing, but one must be there.

    Source: RFC 3264 §6.
    """
    return tuple(
        Media(kind=medium.kind, port=0, proto=medium.proto, formats=medium.formats[:MAX_REPEATED_FORMATS] or ("0",))
        for medium in media
    )


def _without_rtp(agreed: Agreed) -> Agreed:
    """Return the agreement after the peer removed its audio; its SRTP keys stay, so that it never becomes plain."""
    return replace(agreed, remote=None, send=False, receive=False, peer_holds=True)


def _without_unreachable(description: SessionDescription, local: str) -> SessionDescription:
    """Return the peer's description without the addresses that our address cannot send to.

    `c=IN IP6 ::` receives nothing, whatever the family.
    """

    def reached(medium: Media) -> bool:
        there = None if medium.address is None else ip_address(medium.address)
        return there is not None and (there.is_unspecified or there.version == ip_address(local).version)

    media = tuple(medium if reached(medium) else replace(medium, address=None) for medium in description.media)
    return replace(description, media=media)


def _offers_srtp(state: Negotiation) -> bool:
    """Return whether our offer uses SRTP: a session that began with SRTP keeps it."""
    if state.agreed is not None:
        return state.agreed.srtp is not None
    return state.srtp_policy in ("offered", "required")


def _choose_line(
    state: Negotiation, media: tuple[Media, ...], usable: list[tuple[int, tuple[Codec, str]]]
) -> tuple[int, tuple[Codec, str], tuple[sdes.Crypto, sdes.SdesKeys] | None]:
    """Return the chosen line of an offer, its codec, and its keys: SRTP is preferred to plain RTP.

    A session with SRTP never becomes plain. Raises: NotAcceptableHere.
    """
    if state.srtp_policy != "refused":
        for place, found in usable:
            keys = sdes.choose_keys(media[place].crypto, state.crypto) if media[place].proto in SRTP_PROTOCOLS else None
            if keys is not None:
                return place, found, keys
    was_sealed = state.agreed is not None and state.agreed.srtp is not None
    if state.srtp_policy != "required" and not was_sealed:
        for place, found in usable:
            if media[place].proto in RTP_PROTOCOLS:
                return place, found, None
    if any(media[place].proto in RTP_PROTOCOLS for place, _ in usable):
        raise NotAcceptableHere("RTP/AVP is offered, and this line accepts SRTP alone (RTP/SAVP with a=crypto)")
    if state.srtp_policy == "refused":
        raise NotAcceptableHere("RTP/SAVP is offered, and its keys could be read on the way: use TLS")
    raise NotAcceptableHere("RTP/SAVP is offered without a key for any supported suite")


def _describe(state: Negotiation, media: tuple[Media, ...], *, is_offer: bool) -> tuple[Negotiation, bytes]:
    former, version = state.in_force
    if media != former:
        version = state.version + 1
    family = "IP6" if ":" in state.local[0] else "IP4"
    origin = f"- {state.session_id} {version} IN {family} {state.local[0]}"
    body = build(SessionDescription(origin=origin, media=media))
    state = replace(state, version=max(state.version, version), local_media=media, offered=is_offer)
    in_force = state.in_force if is_offer else (media, version)
    return replace(state, in_force=in_force, bound=bind(state.bound, *media)), body


def _preference(state: Negotiation) -> tuple[Codec, ...]:
    """Return our codecs, the agreed one first and then by preference."""
    return tuple(sorted(state.codecs, key=lambda codec: state.agreed is None or codec != state.agreed.codec))


def _audio_place(media: tuple[Media, ...]) -> int:
    """Return the index of our audio line, or of the line it had before it was removed."""
    accepted = (place for place, medium in enumerate(media) if medium.port)
    audio = (place for place, medium in enumerate(media) if medium.kind == "audio")
    return next(accepted, next(audio, 0))


def _shared_codec(medium: Media, state: Negotiation) -> tuple[Codec, str] | None:
    """Return the codec chosen for this line, with its payload type there.

    It is the codec in use, or else our most preferred one, which all telephones have, so that audio passes between them
    unchanged; G.722 only for a line that names it before all our other codecs.
    """
    shared = shared_codecs(medium, state.codecs)
    if not shared or shared[0][0] == "G722":
        return shared[0] if shared else None
    return min(shared, key=lambda found: _preference(state).index(found[0]))


def _peer_direction(medium: Media) -> Direction:
    """Return the direction that the peer means: with `c=0.0.0.0` it receives nothing, whatever the attribute says.

    Source: RFC 3264 §8.4 (the hold of RFC 2543).
    """
    if medium.address is not None and ip_address(medium.address).is_unspecified:
        return Direction.of(sends=medium.direction.sends, receives=False)
    return medium.direction


def _agree(
    state: Negotiation,
    medium: Media,
    ours: Media,
    codecs: tuple[Codec, ...],
    local_direction: Direction,
    srtp: sdes.SdesKeys | None,
) -> Agreed:
    """Return the agreement that results from this line of the peer, and ours. Raises: NotAcceptableHere."""
    peer = _peer_direction(medium)
    direction = ANSWER_DIRECTION[peer, local_direction]
    dtmf = payload_type_of(medium, "telephone-event") if payload_type_of(ours, "telephone-event") is not None else None
    events = None if dtmf is None else int(dtmf)
    blackhole = medium.address is None or ip_address(medium.address).is_unspecified
    remote = None if blackhole or medium.address is None or not medium.port else (medium.address, medium.port)
    if remote is not None and (why := state.destinations.refusal(*remote)) is not None:
        raise NotAcceptableHere(why)
    return Agreed(
        remote=remote,
        codec=codecs[0],
        dtmf_payload_type=events,
        send=direction.sends,
        receive=direction.receives,
        peer_holds=not peer.receives,
        srtp=srtp,
        other_codecs=codecs[1:],
        payload_types=agreed_payload_types(medium, ours, codecs, events),
    )
