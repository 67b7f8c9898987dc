"""Settings of the SIP shell: addresses, transports, SRTP, digest algorithms, and where RTP may come from."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.runtime.sip.config.liveness import DEFAULT_LIVENESS, Liveness
from holdfast.voice.runtime.sip.config.tls import Tls
from holdfast.voice.sip.effects import Address, Transport
from holdfast.voice.sip.message.digest import REALM
from holdfast.voice.sip.message.uri import (
    DEFAULT_PORTS,
)
from holdfast.voice.sip.sdp.offer import SrtpPolicy

SrtpSetting = Literal["accept", "offer", "require"]


_ON_TLS: dict[SrtpSetting, SrtpPolicy] = {"accept": "accepted", "offer": "offered", "require": "required"}


@dataclass(frozen=True, slots=True, kw_only=True)
class SipSettings:
    """Where SIP is spoken, and as whom.

    `domain` is the realm of our challenges, and a name under which phones know us too. With `trust_loopback` anybody
    on loopback may call without being a line, while we listen on loopback ourselves. With `tls` SIP is spoken over
    TLS too, at `tls_port` (0: any that is free).
    """

    address: tuple[str, int]
    advertised_ip: str | None = None
    """The numeric address that phones are told to reach us at; None: the one they find us at. The ports are ours."""
    rtp_ip: str | None = None
    """Where media rows await sound; None: where SIP listens, which may be everywhere."""
    rtp_ports: range = range(0)
    """All ports that media rows may have."""
    http: tuple[str, int] | None = None
    """Where our web server listens."""
    trust_loopback: bool = False
    tls: Tls | None = None
    tls_port: int = DEFAULT_PORTS["TLS"]
    srtp: SrtpSetting = "accept"
    """What we think of SRTP on TLS lines: take it, ask for it, or do nothing without it."""
    quiet: bool = False
    """Whether scanners, and strangers that do not register, get no answer at all."""
    rtp_source: RtpSource = "signalling"
    """From where a phone's sound is believed, where neither its line nor its trunk says so."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of proxies whose word is taken for whose signalling they pass on."""
    srtp_without_tls: bool = False
    """Whether keys may be taken over UDP and TCP, where everybody on the way can read them."""
    liveness: Liveness = DEFAULT_LIVENESS
    trunk_timeout_s: float = 4.0
    """How long a trunk may say nothing before its backup is tried."""
    domain: str = REALM
    user_agent: str = "Holdfast"
    sha256: bool = False
    """Whether our digest challenges offer SHA-256, before MD5.

    Deviation: RFC 8760 §2.4 wants it always. Phones on libre before 2.0 (baresip 1.0 of Debian 12) give a registration
    up when any challenge in the list has an algorithm they do not know. A phone that proves itself by SHA-256 unasked
    is let in.
    """

    @property
    def algorithms(self) -> tuple[str, ...]:
        """What our digest challenges offer, most wanted first."""
        return ("SHA-256", "MD5") if self.sha256 else ("MD5",)

    def srtp_policy(self, transport: Transport) -> SrtpPolicy:
        """What we think of SRTP in a session that is signalled so."""
        if transport == "TLS":
            return _ON_TLS[self.srtp]
        return "accepted" if self.srtp_without_tls else "refused"


def loopback_form(listening: Address) -> Address:
    """Whence and where what we send to ourselves comes in: by loopback, when we listen everywhere."""
    host = ip_address(listening.host)
    if not host.is_unspecified:
        return listening
    return listening._replace(host="::1" if host.version == 6 else "127.0.0.1")
