"""Define the records of the directory: lines, phone numbers, applications and routes."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from ipaddress import ip_address, ip_network
from typing import ClassVar

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    Method,
    WebRequest,
)
from holdfast.voice.model.phone_hold_music import PhoneHoldMusic
from holdfast.voice.runtime.directory.collection import DirectoryRecord, ResourceRecord
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.digest import Ha1
from holdfast.voice.sip.message.uri import DEFAULT_PORTS

MIN_PASSWORD_LENGTH = 8
"""The minimum length of a line's password where hosts other than this machine can try it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRecord(DirectoryRecord):
    """A line is a SIP user that may register, and may call numbers and names with a prefix in `may_call`.

    Shape: `may_call` ("",) allows everything we answer, () nothing. The password is not stored: `ha1` verifies it in
    our realm.
    """

    KIND: ClassVar[str] = "line"
    KEY: ClassVar[str] = "name"
    name: str
    ha1: Ha1
    may_call: tuple[str, ...] = ("",)
    short: bool = False
    """Whether the password is shorter than `MIN_PASSWORD_LENGTH`, which is allowed on loopback only."""
    rtp_source: RtpSource | None = None
    """The addresses from which its phones' RTP is accepted; None: those of the settings."""

    @classmethod
    def with_password(
        cls,
        *,
        name: str,
        password: str,
        may_call: tuple[str, ...] = ("",),
        rtp_source: RtpSource | None = None,
    ) -> LineRecord:
        """Return a line with this password."""
        return cls(
            name=name,
            ha1=Ha1.of(name, password),
            may_call=may_call,
            short=len(password) < MIN_PASSWORD_LENGTH,
            rtp_source=rtp_source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """Voice settings say how a number or an application answers a call.

    Source: Twilio API, Application resource, Voice* and Status*.
    """

    voice_url: str | None = None
    voice_method: Method = "POST"
    voice_fallback_url: str | None = None
    voice_fallback_method: Method = "POST"
    status_callback: str | None = None
    status_callback_method: Method = "POST"
    voice_caller_id_lookup: bool = False

    def instruction(self) -> Instruction | None:
        """Return the document that answers a call, or None if there is none."""
        if not self.voice_url:
            return None
        fallback = None
        if self.voice_fallback_url:
            fallback = WebRequest(url=self.voice_fallback_url, method=self.voice_fallback_method)
        return Instruction(request=WebRequest(url=self.voice_url, method=self.voice_method), fallback=fallback)

    def callback(self) -> Callback | None:
        """Return the status callback, or None; inbound calls report `completed` only."""
        if not self.status_callback:
            return None
        return Callback(url=self.status_callback, method=self.status_callback_method)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecord(ResourceRecord):
    """A phone number of the account; `voice_application_sid` replaces the number's own voice settings.

    Source: Twilio API, IncomingPhoneNumber.
    """

    KIND: ClassVar[str] = "number"
    KEY: ClassVar[str] = "phone_number"
    phone_number: str
    voice: VoiceSettings = VoiceSettings()
    voice_application_sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRecord(ResourceRecord):
    """An application holds voice settings under one name.

    Source: Twilio API, Application.
    """

    KIND: ClassVar[str] = "application"
    voice: VoiceSettings = VoiceSettings()


_LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")


def trunk_host(text: str) -> str:
    """Return a numeric address or a host name in its plain form. Raises: ValueError."""
    try:
        return str(ip_address(text))
    except ValueError:
        name = text.lower().removesuffix(".")
        labels = name.split(".")
        if len(name) > 253 or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError(f"{text!r} is neither a numeric address nor a host name") from None
        return name


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRecord(DirectoryRecord):
    """A route sends calls to the numbers that begin with `prefix`, unless a longer prefix fits, to a trunk.

    Shape: `host` is a numeric address or a name. For a name `port` None and `transport` None leave it to DNS.
    `realm` None: the first challenge decides; several may be named, separated by commas. `caller_id` is sent in From
    in place of the call's own number. `tls_name` is the name in the trunk's certificate, if that is not its address.
    Calls from the networks in `sources` are accepted without authentication. With `register` we register with the
    trunk as `user`, and accept calls from its address too. `domain` is the name under which the trunk knows us, in
    From and in our registration. `backup` is the trunk that is tried if this one does not answer.
    """

    KIND: ClassVar[str] = "route"
    KEY: ClassVar[str] = "prefix"
    prefix: str
    host: str
    port: int | None = None
    transport: Transport | None = "UDP"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    realm: str | None = None
    caller_id: str | None = None
    identity: str | None = None
    """The identity in P-Asserted-Identity: a number, or `caller` for the call's own number."""
    tls_name: str | None = None
    sources: tuple[str, ...] = ()
    register: bool = False
    domain: str | None = None
    rtp_source: RtpSource | None = None
    """The addresses from which its RTP is accepted; None: those of the settings."""
    phone_hold_music: PhoneHoldMusic | None = None
    """Whether its phones that hold and go on sending are heard; None: as the settings say."""
    backup: RouteRecord | None = None

    @property
    def address(self) -> Address:
        """Return the address to which calls are sent, for a numeric `host`."""
        transport = self.transport or "UDP"
        return Address(self.host, DEFAULT_PORTS[transport] if self.port is None else self.port, transport)

    @property
    def is_named(self) -> bool:
        """Return whether `host` is a name."""
        try:
            ip_address(self.host)
        except ValueError:
            return True
        return False

    def completed(self) -> RouteRecord:
        """Return the route with the port and the transport of a numeric host filled in."""
        return self if self.is_named else replace(self, port=self.address.port, transport=self.address.transport)

    @property
    def realms(self) -> tuple[str, ...]:
        """Return the realms whose challenges are answered: `realm` as it is, and its parts between commas."""
        named = (self.realm or "", *(self.realm or "").split(","))
        return tuple(dict.fromkeys(realm.strip() for realm in named if realm.strip()))

    @property
    def trunks(self) -> tuple[RouteRecord, ...]:
        """Return this trunk and those that are tried after it."""
        return (self, *(self.backup.trunks if self.backup is not None else ()))

    def trusts(self, host: str) -> bool:
        """Return whether calls from this numeric host are accepted as those of this trunk, without authentication."""
        address = ip_address(host)
        registered = self.register and address == ip_address(self.host)
        return registered or any(address in ip_network(network) for network in self.sources)
