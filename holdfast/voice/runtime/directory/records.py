"""What the directory lists: lines, phone numbers, applications and routes, as values that survive as JSON."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.commands import (
    Callback,
    Instruction,
    Method,
    WebRequest,
)
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.digest import Ha1

MIN_PASSWORD_LENGTH = 8
"""How many characters the password of a line has at least where others than this machine can try it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LineRecord:
    """A SIP user who may register, and call the numbers and names that begin with one of `may_call`.

    Shape: `may_call` ("",) is everything we answer, () nothing. The password is not kept: `ha1` proves it in our realm.
    """

    name: str
    ha1: Ha1
    may_call: tuple[str, ...] = ("",)
    short: bool = False
    """Whether the password has fewer than `LEAST_PASSWORD` characters, which is enough on loopback alone."""
    rtp_source: RtpSource | None = None
    """From where its phones' sound is believed; None: as the settings say."""

    @classmethod
    def with_password(
        cls,
        *,
        name: str,
        password: str,
        may_call: tuple[str, ...] = ("",),
        rtp_source: RtpSource | None = None,
    ) -> LineRecord:
        """The line that this password proves."""
        return cls(
            name=name,
            ha1=Ha1.of(name, password),
            may_call=may_call,
            short=len(password) < MIN_PASSWORD_LENGTH,
            rtp_source=rtp_source,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class VoiceSettings:
    """How a number or an application answers a call. Source: Twilio API, Application resource, Voice* and Status*."""

    voice_url: str | None = None
    voice_method: Method = "POST"
    voice_fallback_url: str | None = None
    voice_fallback_method: Method = "POST"
    status_callback: str | None = None
    status_callback_method: Method = "POST"
    voice_caller_id_lookup: bool = False

    def instruction(self) -> Instruction | None:
        """What to run when a call is answered by this, or None when it names no document."""
        if not self.voice_url:
            return None
        fallback = None
        if self.voice_fallback_url:
            fallback = WebRequest(url=self.voice_fallback_url, method=self.voice_fallback_method)
        return Instruction(request=WebRequest(url=self.voice_url, method=self.voice_method), fallback=fallback)

    def callback(self) -> Callback | None:
        """Who hears that the call is over: inbound calls tell of `completed` alone."""
        if not self.status_callback:
            return None
        return Callback(url=self.status_callback, method=self.status_callback_method)


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRecord:
    """A phone number of ours. `voice_application_sid` wins over the number's own voice settings.

    Units: `…_at` seconds since the Unix epoch. Source: Twilio API, IncomingPhoneNumber.
    """

    sid: str
    phone_number: str
    friendly_name: str
    created_at: float
    updated_at: float
    voice: VoiceSettings = VoiceSettings()
    voice_application_sid: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationRecord:
    """Voice settings under one name. Units: `…_at` seconds since the Unix epoch. Source: Twilio API, Application."""

    sid: str
    friendly_name: str
    created_at: float
    updated_at: float
    voice: VoiceSettings = VoiceSettings()


@dataclass(frozen=True, slots=True, kw_only=True)
class RouteRecord:
    """A trunk, and the numbers that leave by it: those that begin with `prefix`, unless a longer prefix fits too.

    `realm` None: the first challenge decides; several may be named, with commas between them. `caller_id` stands in
    From instead of the call's own number. `tls_name` is the name in the trunk's certificate, when that is not its
    address. From the networks in `sources` calls come in without a password. With `register` we register there as
    `user`, and calls come in from its address too. `domain` is the name under which it knows us, in From and in our
    registration. `backup` is the trunk that is tried when this one does not answer.
    """

    prefix: str
    host: str
    port: int
    transport: Transport = "UDP"
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    realm: str | None = None
    caller_id: str | None = None
    identity: str | None = None
    """Who P-Asserted-Identity says is calling: a number, or `caller` for the call's own if that is a number."""
    tls_name: str | None = None
    sources: tuple[str, ...] = ()
    register: bool = False
    domain: str | None = None
    rtp_source: RtpSource | None = None
    """From where its sound is believed; None: as the settings say."""
    backup: RouteRecord | None = None

    @property
    def address(self) -> Address:
        """Where calls are sent."""
        return Address(self.host, self.port, self.transport)

    @property
    def realms(self) -> tuple[str, ...]:
        """The realms to which a request is proved, each that asks: `realm` as it stands, and what commas divide."""
        named = (self.realm or "", *(self.realm or "").split(","))
        return tuple(dict.fromkeys(realm.strip() for realm in named if realm.strip()))

    @property
    def trunks(self) -> tuple[RouteRecord, ...]:
        """This trunk and those that are tried after it."""
        return (self, *(self.backup.trunks if self.backup is not None else ()))

    def trusts(self, host: str) -> bool:
        """Whether calls from this numeric host come in without a password, as those of this trunk itself."""
        address = ip_address(host)
        registered = self.register and address == ip_address(self.host)
        return registered or any(address in ip_network(network) for network in self.sources)


def write_record(record: LineRecord | NumberRecord | ApplicationRecord | RouteRecord) -> str:
    """The listing as JSON."""
    return json.dumps(asdict(record))


def read_line(text: str) -> LineRecord:
    """The line that `write` wrote. Raises: StoreFailed."""
    try:
        values = json.loads(text)
        return LineRecord(**(values | {"ha1": Ha1(**values["ha1"]), "may_call": tuple(values["may_call"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored line cannot be read: {error!r}") from error


def read_route(text: str) -> RouteRecord:
    """The route that `write` wrote. Raises: StoreFailed."""
    try:
        return _route(json.loads(text))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored route cannot be read: {error!r}") from error


def _route(values: dict[str, Any]) -> RouteRecord:
    backup = values.get("backup")
    sources, second = tuple(values["sources"]), None if backup is None else _route(backup)
    return RouteRecord(**(values | {"sources": sources, "backup": second}))


def read_number(text: str) -> NumberRecord:
    """The number that `write` wrote. Raises: StoreFailed."""
    try:
        values = json.loads(text)
        return NumberRecord(**(values | {"voice": VoiceSettings(**values["voice"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored phone number cannot be read: {error!r}") from error


def read_application(text: str) -> ApplicationRecord:
    """The application that `write` wrote. Raises: StoreFailed."""
    try:
        values = json.loads(text)
        return ApplicationRecord(**(values | {"voice": VoiceSettings(**values["voice"])}))
    except (KeyError, TypeError, ValueError) as error:
        raise StoreFailed(f"a stored application cannot be read: {error!r}") from error
