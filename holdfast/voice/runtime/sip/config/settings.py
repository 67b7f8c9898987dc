"""Settings of the SIP shell: addresses, transports, SRTP, digest algorithms, and where RTP may come from."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from holdfast.voice.media.rtp.latch import RtpSource
from holdfast.voice.model.phone_hold_music import PhoneHoldMusic
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
    """The addresses at which SIP is spoken, and the identity it is spoken with.

    `domain` is the realm of our challenges, and a host name that phones may use for us. With `trust_loopback` clients
    on loopback may call without a password, while we listen on loopback ourselves. With `tls` SIP is spoken over TLS
    too, at `tls_port` (0: any free port).
    """

    address: tuple[str, int]
    advertised_ip: str | None = None
    """The numeric address that phones are given; None: the one they reach us at. The ports are ours."""
    rtp_ip: str | None = None
    """The address at which media rows receive RTP; None: the one SIP listens at, which may be every address."""
    rtp_ports: range = range(0)
    """All ports that media rows may have."""
    http: tuple[str, int] | None = None
    """The address our web server listens at."""
    trust_loopback: bool = False
    tls: Tls | None = None
    tls_port: int = DEFAULT_PORTS["TLS"]
    srtp: SrtpSetting = "accept"
    """How TLS lines use SRTP: it is accepted, offered, or required."""
    quiet: bool = False
    """Whether scanners, and unauthenticated peers that do not register, get no response at all."""
    rtp_source: RtpSource = "signalling"
    """Where a phone's RTP is accepted from, if neither its line nor its trunk says so."""
    phone_hold_music: PhoneHoldMusic = "trunks"
    """Which phones that hold and go on sending are heard, if their trunk does not say so."""
    trusted_proxies: tuple[str, ...] = ()
    """Networks of the proxies that may name the host whose requests they forward."""
    srtp_without_tls: bool = False
    """Whether SRTP keys are accepted over UDP and TCP, where every host on the way can read them."""
    liveness: Liveness = DEFAULT_LIVENESS
    trunk_timeout_s: float = 4.0
    """How long a trunk may send no response before its backup is tried."""
    nameservers: tuple[tuple[str, int], ...] = ()
    """The DNS servers at which the names of trunks are looked up, with their ports; (): those of the system."""
    trunk_allow: tuple[str, ...] = ()
    """Networks, addresses and names that are private, and to which the name of a trunk may lead."""
    domain: str = REALM
    user_agent: str = "Holdfast"
    sha256: bool = False
    """Whether our digest challenges offer SHA-256, before MD5.

    Deviation: RFC 8760 §2.4 requires it always. Phones on libre before 2.0 (baresip 1.0 of Debian 12) abandon a
    registration if any challenge in the list has an algorithm they do not know. A phone that uses SHA-256 unasked is
    accepted.
    """

    @property
    def algorithms(self) -> tuple[str, ...]:
        """Return the algorithms of our digest challenges, the preferred one first."""
        return ("SHA-256", "MD5") if self.sha256 else ("MD5",)

    @property
    def transports(self) -> tuple[Transport, ...]:
        """Return the transports that are spoken here."""
        return ("UDP", "TCP") if self.tls is None else ("UDP", "TCP", "TLS")

    def srtp_policy(self, transport: Transport) -> SrtpPolicy:
        """Return how SRTP is used in a session that is signalled by this transport."""
        if transport == "TLS":
            return _ON_TLS[self.srtp]
        return "accepted" if self.srtp_without_tls else "refused"


def loopback_form(listening: Address) -> Address:
    """Return the address at which we receive our own messages: on loopback, if we listen at every address."""
    host = ip_address(listening.host)
    if not host.is_unspecified:
        return listening
    return listening._replace(host="::1" if host.version == 6 else "127.0.0.1")
