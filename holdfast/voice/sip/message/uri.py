"""Parse SIP URIs, name-addr values and parameters, and find the addresses that a socket can reach.

Texts are kept as they arrived, beside the parsed values, so that they can be echoed byte for byte.
Source: RFC 3261 §19.1, §20.10, §25.1.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import quote, unquote

from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.errors import UriUnreadable

TRANSPORTS: tuple[Transport, ...] = ("UDP", "TCP", "TLS")

DEFAULT_PORTS: dict[Transport, int] = {"UDP": 5060, "TCP": 5060, "TLS": 5061}
"""Default ports. Source: RFC 3261 §18.1.1, §19.1.2."""

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"
"""The grammar of a token. Source: RFC 3261 §25.1."""

_URI = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*):"
    r"(?:(?P<user>[^@<>\"\s\x00-\x1f]*)@)?"
    r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)"
    r"(?::(?P<port>\d{1,5}))?"
    r"(?P<params>(?:;[^;?@<>\"\s]+)*)"
    r"(?:\?(?P<headers>[^@<>\"\s]*))?\Z",
    re.ASCII,
)
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):", re.ASCII)
_SUBSCRIBER = re.compile(r"\+?[0-9*#().-]+\Z", re.ASCII)
"""A number before its parameters. Source: RFC 3966 §3 (global-number-digits, local-number-digits)."""
_VISUAL = re.compile(r"[().-]")
_PREFIX = re.compile(r"\+[0-9]{1,15}\Z", re.ASCII)
_QUOTED = r'"(?:[^"\\]|\\.)*"'
_PARAM = re.compile(rf"\s*;\s*({TOKEN})\s*(?:=\s*({_QUOTED}|[^;,\"<>\s]+)\s*)?", re.DOTALL)
_QUOTED_NAME = re.compile(rf"\s*({_QUOTED})\s*<", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Uri:
    """A `sip:` or `sips:` URI. `user` is percent-decoded and without password; `port` is in 1..65535 or None."""

    text: str
    scheme: str
    user: str
    host: str
    port: int | None
    params: tuple[tuple[str, str | None], ...]

    def param(self, name: str) -> str | None:
        """Return a parameter's value; "" when it has none; None when it is absent."""
        return next((value or "" for listed, value in self.params if listed == name), None)


def scheme_of(text: str) -> str | None:
    """Return the scheme of any URI, in lower case, or None when the text does not begin like a URI."""
    found = _SCHEME.match(text)
    return found[1].lower() if found else None


def parse_uri(text: str) -> Uri:
    """Parse a SIP URI.

    Raises: UriUnreadable.
    """
    found = _URI.match(text)
    if not found or found["scheme"].lower() not in ("sip", "sips"):
        raise UriUnreadable("not a SIP URI")
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise UriUnreadable("a SIP URI with an impossible port")
    params = []
    for part in filter(None, found["params"].split(";")):
        name, equals, value = part.partition("=")
        params.append((name.lower(), value if equals else None))
    return Uri(
        text=text,
        scheme=found["scheme"].lower(),
        user=unquote((found["user"] or "").partition(":")[0]),
        host=found["host"].strip("[]").lower(),
        port=port,
        params=tuple(params),
    )


def as_sip(text: str, host: str) -> str:
    """Return a `tel:` URI as a SIP URI at this host, any other URI unchanged. Source: RFC 3261 §19.1.6."""
    scheme, _, subscriber = text.partition(":")
    host = f"[{host}]" if ":" in host else host
    return f"sip:{subscriber}@{host};user=phone" if scheme.lower() == "tel" else text


def number_of(user: str) -> str:
    """Return the number in a user part that is a number with parameters, any other user part unchanged.

    A local number gets the prefix in its `phone-context`, unless it begins with that already. Parameters of number
    portability are ignored: they are for routing.
    Source: RFC 3966 §3, §5.1.5; RFC 4694.
    """
    number, semicolon, params = user.partition(";")
    if not semicolon or not _SUBSCRIBER.match(number):
        return user
    fields = (field.partition("=") for field in params.split(";"))
    context = next((value for name, _, value in fields if name.lower() == "phone-context"), "")
    prefix, digits = _VISUAL.sub("", context), _VISUAL.sub("", number)
    if number.startswith("+") or not _PREFIX.match(prefix):
        return number
    return f"+{digits}" if f"+{digits}".startswith(prefix) else f"{prefix}{digits}"


def sip_uri(user: str, address: Address) -> str:
    """Return our URI for From and To, without the transport. Source: RFC 3261 §19.1.1, table 1."""
    part = quote(user, safe="-_.!~*'()&=+$,;?/") + "@" if user else ""
    return f"sip:{part}{host_port(address)}"


def contact_at(user: str, address: Address, *, secure: bool = False) -> str:
    """Return our URI for Contact, with the transport that reaches us. A `secure` one is `sips:`.

    Source: RFC 3261 §8.1.1.8, §12.1.1.
    """
    if secure:
        return "sips" + sip_uri(user, address).removeprefix("sip")
    return sip_uri(user, address) + (f";transport={address.transport.lower()}" if address.reliable else "")


def host_port(address: Address) -> str:
    """Return `host:port` as Via and URIs write it."""
    host, port, _ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def transport_of(uri: Uri) -> Transport | None:
    """Return the transport that a URI asks for, or None for an unknown one.

    A `sips:` URI is reached over TLS alone. Source: RFC 3261 §19.1.2, §26.2.2; RFC 5630 §3.1.2.
    """
    wanted = (uri.param("transport") or "udp").upper()
    if uri.scheme == "sips":
        return "TLS" if uri.param("transport") in (None, "tcp", "tls", "TCP", "TLS") else None
    return next((known for known in TRANSPORTS if known == wanted), None)


def address_of(uri: Uri) -> Address | None:
    """Return the address of requests to a URI, or None for a host name and for an unknown transport."""
    transport = transport_of(uri)
    return None if transport is None else numeric_address(uri.host, uri.port, transport)


def numeric_address(host: str, port: int | None, transport: Transport = "UDP") -> Address | None:
    """Return the address of messages to this host, or None for a host name and for an address of no single host.

    Names are not resolved: a message of an unauthenticated peer would wait on a name server. `localhost` is 127.0.0.1.
    """
    if host.lower() == "localhost":
        host = "127.0.0.1"
    try:
        address = ip_address(host)
    except ValueError:
        return None
    if address.is_unspecified or address.is_multicast or str(address) == "255.255.255.255":
        return None
    return Address(str(address), DEFAULT_PORTS[transport] if port is None else port, transport)


@dataclass(frozen=True, slots=True, kw_only=True)
class NameAddr:
    """The value of From, To, Contact, Route and similar headers. `uri` is text; parameters belong to the header."""

    text: str
    name: str
    uri: str
    params: tuple[tuple[str, str | None], ...]

    @property
    def tag(self) -> str | None:
        """The dialog tag, if there is one."""
        return self.param("tag")

    def param(self, name: str) -> str | None:
        """Return a parameter's value; "" when it has none; None when it is absent."""
        return next((value or "" for listed, value in self.params if listed == name), None)


def parse_name_addr(text: str) -> NameAddr:
    """Parse `"name" <uri>;params`, `name <uri>;params` or `uri;params`.

    In the last form all parameters are the header's, and the URI may have no `?`, `,` or `;`.
    Raises: UriUnreadable.
    Source: RFC 3261 §20.10.
    """
    quoted = _QUOTED_NAME.match(text)
    opening = quoted.end() - 1 if quoted else text.find("<")
    if opening >= 0:
        closing = text.find(">", opening)
        name = re.sub(r"\\(.)", r"\1", quoted[1][1:-1]) if quoted else " ".join(text[:opening].split())
        if closing < 0 or (not quoted and '"' in name):
            raise UriUnreadable("an address with unbalanced quotes or brackets")
        uri, rest = text[opening + 1 : closing], text[closing + 1 :]
    else:
        uri, semicolon, rest = text.partition(";")
        uri, rest, name = uri.strip(), semicolon + rest, ""
        if "?" in uri or "," in uri or '"' in uri:
            raise UriUnreadable("an address that needs angle brackets")
    if scheme_of(uri) is None or re.search(r"\s", uri):
        raise UriUnreadable("an address without a URI")
    return NameAddr(text=text, name=name, uri=uri, params=parse_params(rest))


def parse_params(text: str) -> tuple[tuple[str, str | None], ...]:
    """Parse `;name=value;name`. Values lose their quotes; names become lower case.

    Raises: UriUnreadable when something is left over.
    """
    params: list[tuple[str, str | None]] = []
    text, position = text.rstrip(), 0
    while position < len(text):
        found = _PARAM.match(text, position)
        if not found:
            raise UriUnreadable("parameters that cannot be read")
        value = found[2]
        if value and value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        params.append((found[1].lower(), value))
        position = found.end()
    return tuple(params)


def split_values(text: str) -> list[str]:
    """Split a header field at its commas, not those inside quotes or angle brackets. Empty values are kept."""
    values, begin, quoted, bracket, escaped = [], 0, False, False, False
    for position, character in enumerate(text):
        if escaped:
            escaped = False
        elif character == "\\" and quoted:
            escaped = True
        elif character == '"':
            quoted = not quoted
        elif not quoted and character in "<>":
            bracket = character == "<"
        elif character == "," and not quoted and not bracket:
            values.append(text[begin:position].strip())
            begin = position + 1
    values.append(text[begin:].strip())
    return values


def is_behind_nat(contact: IPv4Address | IPv6Address, source: IPv4Address | IPv6Address) -> bool:
    """Return whether a phone with this Contact is behind a NAT, as seen from the source of its messages.

    Two addresses of one network are both reached: a message may have passed a proxy that does not stay in the path.
    """
    if contact in ip_network((str(source), 24 if source.version == 4 else 64), strict=False):
        return False
    if contact.is_loopback and source.is_loopback:
        return False
    return not contact.is_global
