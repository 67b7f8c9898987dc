"""Parse session descriptions from hostile text into frozen values, and build ours.

Only what we use is read strictly, because it would reach a socket or an array: addresses are numeric, ports and payload
types in range. All else costs only itself: `v=`, `o=`, `s=` and `t=` may be missing or wrong, an unreadable attribute
or address counts as missing, and a media line out of the grammar is one that we refuse. Size and media lines are
bounded.
Source: RFC 8866; RFC 3264 §5; RFC 4568 §9.1; RFC 4733 §2.4.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from enum import Enum
from ipaddress import ip_address

from holdfast.voice.sip.errors import NotAcceptableHere, SdpUnreadable
from holdfast.voice.sip.sdp import sdes

MAX_BYTES = 65_536
MAX_MEDIA = 64

MAX_PTIME_MS = 200
"""The longest packets that we take, as our descriptions say. Source: RFC 8866 §6.5; RFC 3551 §4.2."""

STATIC_CODECS = {"0": ("PCMU", 8000), "8": ("PCMA", 8000), "9": ("G722", 8000)}
"""Payload types that need no `a=rtpmap`. Source: RFC 3551 §6."""

_MONO = [name for name, _ in STATIC_CODECS.values()]
_LINE_END = re.compile(r"\r\n|\n|\r")
_BLANKS = re.compile(r"[ \t]+")
_WORD = re.compile(r"[!-~]{1,32}")
"""A word of a media line that is short and printable, so that our answer may repeat it."""
_PORT = re.compile(r"([0-9]{1,5})(?:/[0-9]+)?")
_RTPMAP = re.compile(r"\s*(\d{1,3})\s+([\w.+-]+)/(\d{1,9})(?:/(\w+))?\s*\Z", re.ASCII)
_PTIME = re.compile(r"\s*(\d{1,4})(?:\.\d*)?\s*\Z", re.ASCII)


class Direction(Enum):
    """The direction of media, from the writer's side. Source: RFC 8866 §6.7."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @classmethod
    def of(cls, *, sends: bool, receives: bool) -> Direction:
        """Return the direction of a side that sends or receives, or both."""
        if sends:
            return cls.SENDRECV if receives else cls.SENDONLY
        return cls.RECVONLY if receives else cls.INACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Media:
    """One `m=` line with its attributes. `direction` and `address` include those of the session level.

    Invariant: address numeric, or None without a usable `c=`.
    """

    kind: str
    port: int | None
    """The port in 1..65535; 0 in a refused line, None in one whose port cannot be read."""
    proto: str
    formats: tuple[str, ...]
    address: str | None = None
    direction: Direction = Direction.SENDRECV
    rtpmap: tuple[tuple[str, str, int], ...] = ()
    """Payload type, encoding name, clock rate in Hz."""
    ptime_ms: int | None = None
    crypto: tuple[sdes.Crypto, ...] = ()
    """The usable `a=crypto` lines."""

    def codec(self, payload_type: str) -> tuple[str, int] | None:
        """Return encoding name (upper case) and clock rate in Hz of a payload type of this line.

        A static payload type keeps its clock, whatever the line says of it.
        """
        static = STATIC_CODECS.get(payload_type)
        for listed, name, rate_hz in self.rtpmap:
            if listed == payload_type:
                return static if static and name.upper() == static[0] else (name.upper(), rate_hz)
        return static


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """The part of a session description that a voice engine needs."""

    media: tuple[Media, ...]
    origin: str = ""
    """The text of `o=` in a description of ours; that of the peer is not read."""


@dataclass(slots=True)
class _Section:
    """The lines read so far of the session level or of one medium."""

    address: str | None = None
    connected: bool = False
    """Whether there was a `c=` line, readable or not."""
    direction: Direction | None = None
    rtpmap: dict[str, tuple[str, int]] = field(default_factory=dict)
    ptime_ms: int | None = None
    crypto: tuple[sdes.Crypto, ...] = ()


def parse(body: bytes) -> SessionDescription:
    """Parse a session description.

    Raises: SdpUnreadable for text that is none; NotAcceptableHere for one beyond the bounds.
    """
    if len(body) > MAX_BYTES:
        raise NotAcceptableHere(f"a description of more than {MAX_BYTES} bytes")
    texts = _LINE_END.split(body.decode("utf-8", "replace").rstrip("\n\r \0"))
    session = _Section()
    media: list[tuple[Media, _Section]] = []
    section = session
    for kind, value in ((text[:2], text[2:].strip()) for text in texts):
        match kind:
            case "m=":
                if len(media) == MAX_MEDIA:
                    raise NotAcceptableHere(f"more than {MAX_MEDIA} media lines")
                section = _Section()
                media.append((_media_line(value), section))
            case "c=":
                section.address, section.connected = _connection(value) or section.address, True
            case "a=":
                _attribute(section, value)
            case _:
                pass
    if not media and texts[0].rstrip() != "v=0":
        raise SdpUnreadable("no session description: it neither begins with v=0 nor has a media line")
    return SessionDescription(
        media=tuple(
            replace(
                line,
                address=own.address if own.connected else session.address,
                direction=own.direction or session.direction or Direction.SENDRECV,
                rtpmap=tuple((payload_type, *mapped) for payload_type, mapped in own.rtpmap.items()),
                ptime_ms=own.ptime_ms or session.ptime_ms,
                crypto=own.crypto,
            )
            for line, own in media
        ),
    )


def _media_line(value: str) -> Media:
    """Parse an `m=` line. A word out of the grammar makes the line one that we cannot use, and no more.

    A refused line (port 0) may lack formats, which mean nothing there. Source: RFC 3264 §6.
    """
    kind, port, proto, *formats = [*_BLANKS.split(value), "", "", ""]
    found = _PORT.fullmatch(port)
    return Media(
        kind=kind.lower() if _WORD.fullmatch(kind) else "application",
        port=int(found[1]) if found and int(found[1]) <= 65535 else None,
        proto=proto.upper() if _WORD.fullmatch(proto) else "RTP/AVP",
        formats=tuple(word for word in formats if _WORD.fullmatch(word)),
    )


def _connection(value: str) -> str | None:
    """Return the address of a `c=` line; None for a host name, a multicast address or unreadable text."""
    parts = value.split()
    if len(parts) != 3 or parts[0].upper() != "IN" or parts[1].upper() not in ("IP4", "IP6"):
        return None
    try:
        address = ip_address(parts[2])
    except ValueError:
        return None
    return None if address.is_multicast else str(address)


def _attribute(section: _Section, value: str) -> None:
    name, _, rest = value.partition(":")
    match name.lower():
        case "sendrecv" | "sendonly" | "recvonly" | "inactive" if not rest:
            section.direction = Direction(name.lower())
        case "rtpmap":
            found = _RTPMAP.match(rest)
            if found and int(found[1]) <= 127 and (found[4] in (None, "1") or found[2].upper() not in _MONO):
                section.rtpmap.setdefault(str(int(found[1])), (found[2], int(found[3])))
        case "crypto":
            line = sdes.parse_crypto(rest)
            section.crypto += () if line is None else (line,)
        case "ptime":
            found = _PTIME.match(rest)
            section.ptime_ms = int(found[1]) or None if found else section.ptime_ms
        case _:
            pass


def build(description: SessionDescription) -> bytes:
    """Build our description. Its address stands at session level: that of an accepted line, if there is one.

    Raises: NotAcceptableHere when no line has an address.
    """
    ours = sorted((medium for medium in description.media if medium.address), key=lambda medium: not medium.port)
    address = ours[0].address if ours else None
    if address is None:
        raise NotAcceptableHere("nothing in the description is accepted")
    family = "IP6" if ":" in address else "IP4"
    lines = ["v=0", f"o={description.origin}", "s=-", f"c=IN {family} {address}", "t=0 0"]
    for medium in description.media:
        lines.append(f"m={medium.kind} {medium.port} {medium.proto} {' '.join(medium.formats)}")
        if medium.port == 0:
            lines += ["a=inactive"] if medium.direction is Direction.INACTIVE else []
            continue
        for payload_type, name, rate_hz in medium.rtpmap:
            lines.append(f"a=rtpmap:{payload_type} {name}/{rate_hz}")
            if name == "telephone-event":
                lines.append(f"a=fmtp:{payload_type} 0-15")
        lines += [f"a=crypto:{line.encode()}" for line in medium.crypto]
        lines += [] if medium.ptime_ms is None else [f"a=ptime:{medium.ptime_ms}", f"a=maxptime:{MAX_PTIME_MS}"]
        lines.append(f"a={medium.direction.value}")
    return ("\r\n".join(lines) + "\r\n").encode()
