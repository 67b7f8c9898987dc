"""Parse session descriptions from hostile text into frozen values, and build ours.

The parser is lenient where phones in the field are (missing `s=` or `t=`, bare line feeds), and strict where a wrong
value would reach a socket or an array: addresses are numeric, ports and payload types in range, counts bounded. An
unreadable attribute or address counts as missing, and the other media stay usable.
Source: RFC 8866; RFC 3264 §5; RFC 4568 §9.1; RFC 4733 §2.4.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address

from holdfast.voice.sip.errors import NotAcceptableHere, SdpUnreadable
from holdfast.voice.sip.sdp import sdes

MAX_BYTES = 16_384
MAX_LINES = 512
MAX_MEDIA = 16
MAX_FORMATS = 64

STATIC_CODECS = {"0": ("PCMU", 8000), "8": ("PCMA", 8000), "9": ("G722", 8000)}
"""Payload types that need no `a=rtpmap`. Source: RFC 3551 §6."""

_PRINTABLE = re.compile(r"[^\x00-\x08\x0b-\x1f\x7f]*\Z")
_RTPMAP = re.compile(r"\s*(\d{1,3})\s+([\w.+-]+)/(\d{1,9})(?:/\w+)?\s*\Z", re.ASCII)
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

    Invariant: port in 0..65535, 0 meaning refused; address numeric, or None without a usable `c=`.
    """

    kind: str
    port: int
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
        """Return encoding name (upper case) and clock rate in Hz of a payload type of this line."""
        for listed, name, rate_hz in self.rtpmap:
            if listed == payload_type:
                return name.upper(), rate_hz
        return STATIC_CODECS.get(payload_type)


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionDescription:
    """The part of a session description that a voice engine needs."""

    origin: str
    """The text of `o=`."""
    media: tuple[Media, ...]


@dataclass(slots=True)
class _Section:
    """The lines read so far of the session level or of one medium."""

    address: str | None = None
    connected: bool = False
    """Whether there was a `c=` line, readable or not."""
    direction: Direction | None = None
    rtpmap: tuple[tuple[str, str, int], ...] = ()
    ptime_ms: int | None = None
    crypto: tuple[sdes.Crypto, ...] = ()


def parse(body: bytes) -> SessionDescription:
    """Parse a session description.

    Raises: SdpUnreadable.
    """
    lines = _lines(body)
    origin: str | None = None
    session = _Section()
    media: list[tuple[Media, _Section]] = []
    section = session
    for kind, value in lines:
        match kind:
            case "o" if origin is None:
                origin = value
            case "m":
                if len(media) == MAX_MEDIA:
                    raise SdpUnreadable(f"more than {MAX_MEDIA} media lines")
                section = _Section()
                media.append((_media_line(value), section))
            case "c":
                section.address, section.connected = _connection(value), True
            case "a":
                _attribute(section, value)
            case _:
                pass
    if origin is None or len(origin.split()) < 6:
        raise SdpUnreadable("no usable o= line")
    return SessionDescription(
        origin=origin,
        media=tuple(
            Media(
                kind=line.kind,
                port=line.port,
                proto=line.proto,
                formats=line.formats,
                address=own.address if own.connected else session.address,
                direction=own.direction or session.direction or Direction.SENDRECV,
                rtpmap=own.rtpmap,
                ptime_ms=own.ptime_ms or session.ptime_ms,
                crypto=own.crypto,
            )
            for line, own in media
        ),
    )


def _lines(body: bytes) -> list[tuple[str, str]]:
    if len(body) > MAX_BYTES:
        raise SdpUnreadable(f"a description of more than {MAX_BYTES} bytes")
    texts = body.decode("utf-8", "replace").replace("\r\n", "\n").rstrip("\n\r \0").split("\n")
    if len(texts) > MAX_LINES:
        raise SdpUnreadable(f"more than {MAX_LINES} lines")
    lines = []
    for text in texts:
        if not _PRINTABLE.match(text):
            raise SdpUnreadable("a line with control characters")
        if text[1:2] == "=":
            lines.append((text[0], text[2:].strip()))
    if lines[:1] != [("v", "0")]:
        raise SdpUnreadable("does not begin with v=0")
    return lines


def _media_line(value: str) -> Media:
    parts = value.split()
    if len(parts) < 4 or len(parts) > 3 + MAX_FORMATS:
        raise SdpUnreadable("an m= line needs a medium, a port, a protocol and formats")
    port = parts[1].partition("/")[0]
    if not (port.isascii() and port.isdigit() and len(port) <= 5 and int(port) <= 65535):
        raise SdpUnreadable("an m= line with an impossible port")
    return Media(kind=parts[0].lower(), port=int(port), proto=parts[2].upper(), formats=tuple(parts[3:]))


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
            mapped = _rtpmap(rest)
            section.rtpmap += () if mapped is None else (mapped,)
        case "crypto":
            line = sdes.parse_crypto(rest)
            section.crypto += () if line is None else (line,)
        case "ptime":
            found = _PTIME.match(rest)
            section.ptime_ms = int(found[1]) or None if found else section.ptime_ms
        case _:
            pass


def _rtpmap(text: str) -> tuple[str, str, int] | None:
    found = _RTPMAP.match(text)
    if not found or int(found[1]) > 127:
        return None
    return str(int(found[1])), found[2], int(found[3])


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
        lines += [] if medium.ptime_ms is None else [f"a=ptime:{medium.ptime_ms}"]
        lines.append(f"a={medium.direction.value}")
    return ("\r\n".join(lines) + "\r\n").encode()
