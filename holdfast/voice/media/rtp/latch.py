"""Symmetric RTP and latching: decide from which address a leg's packets are accepted, and so where ours are sent.

The address in the SDP is always the party's. A phone behind a router sends from another address; then only the host
that its signalling comes from is accepted, because an unauthenticated sender could otherwise hear one party and speak
to the other. Any other source is accepted only if a setting allows it.

A choice is final once several packets agree in SSRC and sequence: one stray packet of an earlier call moves no leg. For
the same reason a leg whose SDP moved is not moved back by late packets from its old address, and a leg that was heard
before moves to another host only after a long silence.
SRTP proves who made a packet, not who sent it: a copy of it decrypts as well. So a key opens no other address.
Source: RFC 4961 (symmetric RTP); RFC 7362 §4 (latching) and its §5 (whom one may latch on to); RFC 3550 appendix A.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Address = tuple[str, int]

RtpSource = Literal["named", "signalling", "any"]
"""The sources that are accepted: the address in the SDP (`named`), also the host that the signalling comes from
(`signalling`), or any (`any`)."""

MIN_PACKETS = 3
TAKEOVER_PACKETS = 50
"""A second of audio: longer than delayed packets can arrive."""
MAX_AHEAD, MAX_BEHIND = 100, 100
"""How far a sequence number may be from the one before and still agree with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIdentity:
    """A packet identity is the part of a valid packet that says which stream it belongs to."""

    source: Address
    ssrc: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketRun:
    """A packet run is a number of packets that agree: one source, one SSRC, and rising sequence numbers."""

    newest: PacketIdentity
    seen: int = 1

    def extend(self, packet: PacketIdentity) -> PacketRun:
        """Return the run with the next packet; a packet that does not agree begins a new run."""
        if (packet.source, packet.ssrc) != (self.newest.source, self.newest.ssrc):
            return PacketRun(newest=packet)
        ahead = packet.sequence - self.newest.sequence & 0xFFFF
        if 0 < ahead <= MAX_AHEAD:
            return PacketRun(newest=packet, seen=self.seen + 1)
        return self if -ahead & 0xFFFF <= MAX_BEHIND else PacketRun(newest=packet)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedSources:
    """Admitted sources say from where a leg's packets are examined at all; others are unauthenticated."""

    addresses: frozenset[Address] = frozenset()
    signalling_host: str | None = None
    any_source: bool = False

    def admits(self, source: Address) -> bool:
        """Return whether a packet from this source may be the party's."""
        return self.any_source or source in self.addresses or source[0] == self.signalling_host


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketFilter:
    """A socket filter says which datagrams the sockets of a leg let through.

    `connected` None: every admitted source; `watched` is an address that is received beside `connected`.
    """

    admitted: AdmittedSources
    connected: Address | None
    watched: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """A latch holds from where a leg is received.

    `sdp_address` is the one in the SDP, `latched` the one that packets came from, None while the latch is unlocked.
    Invariant: `final` only when `latched`.
    `signalling_host` is the host of the party's signalling. `before_hold` is the SDP address before a hold by the
    address 0.0.0.0; `old_address` is where the leg was received from before the SDP named another address; `peer_lost`
    says that neither audio nor reports came for long.
    """

    sdp_address: Address | None = None
    signalling_host: str | None = None
    rtp_source: RtpSource = "signalling"
    latched: Address | None = None
    final: bool = False
    previous: Address | None = None
    before_hold: Address | None = None
    old_address: Address | None = None
    peer_lost: bool = False
    sdp_run: PacketRun | None = None
    old_run: PacketRun | None = None
    other_run: PacketRun | None = None

    @property
    def remote(self) -> Address | None:
        """The address to send to now."""
        return self.latched or (None if self.sdp_address is None else self.previous or self.sdp_address)

    @property
    def admitted(self) -> AdmittedSources:
        """The sources that are examined."""
        return AdmittedSources(
            addresses=self.known,
            signalling_host=None if self.rtp_source == "named" else self.signalling_host,
            any_source=self.rtp_source == "any",
        )

    @property
    def known(self) -> frozenset[Address]:
        """The addresses that are certainly the party's."""
        return frozenset(
            address for address in (self.sdp_address, self.before_hold, self.previous) if address is not None
        )

    @property
    def socket_filter(self) -> SocketFilter:
        """The filter of the leg's sockets. The address in the SDP is received whatever was chosen."""
        connected = self.latched if self.final else None
        watched = None if connected in (None, self.sdp_address) else self.sdp_address
        return SocketFilter(admitted=self.admitted, connected=connected, watched=watched)


def apply_sdp(
    latch: Latch,
    *,
    sdp_address: Address | None,
    receives_again: bool,
    signalling_host: str | None = None,
    rtp_source: RtpSource = "signalling",
) -> Latch:
    """Return the latch after an offer and answer.

    Another SDP address forgets the choice. A party that may send again unlocks the latch; so does a latched address
    that is no longer admitted, because the signalling comes from another host now.
    """
    updated = replace(latch, signalling_host=signalling_host, rtp_source=rtp_source)
    if sdp_address == latch.sdp_address:
        still_admitted = latch.latched is None or updated.admitted.admits(latch.latched)
        return updated if still_admitted and not receives_again else unlock(updated)
    fresh = Latch(sdp_address=sdp_address, signalling_host=signalling_host, rtp_source=rtp_source)
    last_source = latch.latched or latch.previous
    if sdp_address is None:
        return replace(fresh, previous=last_source, before_hold=latch.sdp_address or latch.before_hold)
    if latch.sdp_address is None and latch.before_hold in (None, sdp_address):
        # Back from a hold by the address 0.0.0.0: the party is where it was.
        return fresh if latch.before_hold is None else replace(fresh, previous=last_source)
    return replace(fresh, old_address=last_source or latch.sdp_address or latch.before_hold)


def unlock(latch: Latch, *, peer_lost: bool = False) -> Latch:
    """Unlock the latch: a known address is latched at once, another one when its packets agree."""
    return Latch(
        sdp_address=latch.sdp_address,
        signalling_host=latch.signalling_host,
        rtp_source=latch.rtp_source,
        previous=latch.latched or latch.previous,
        before_hold=latch.before_hold,
        peer_lost=peer_lost,
    )


def receive(latch: Latch, packet: PacketIdentity, *, authenticated: bool = False) -> Latch:
    """Return the latch after a valid packet. The packet is accepted if its source is latched now.

    `authenticated` says that the packet was encrypted with the party's key.
    """
    source = packet.source
    if source[1] == 0 or not latch.admitted.admits(source) or (latch.final and source == latch.latched):
        return latch
    if source == latch.sdp_address:
        run = _extended(latch.sdp_run, packet)
        agrees = run.seen >= MIN_PACKETS
        latch = replace(latch, sdp_run=run, old_run=None, other_run=None)
        if agrees:
            return _latched(latch, source)
        return replace(latch, latched=source) if latch.latched is None else latch
    if latch.final:
        return latch
    if source == latch.old_address:
        run = _extended(latch.old_run, packet)
        return _latched(latch, source) if run.seen >= TAKEOVER_PACKETS else replace(latch, old_run=run)
    run = _extended(latch.other_run, packet)
    needed = _packets_needed(latch, source, authenticated=authenticated)
    if needed is not None and run.seen >= needed:
        return _latched(latch, source)
    returns_to_known = latch.latched is None and source in latch.known
    return replace(latch, other_run=run, latched=source if returns_to_known else latch.latched)


def _extended(run: PacketRun | None, packet: PacketIdentity) -> PacketRun:
    return PacketRun(newest=packet) if run is None else run.extend(packet)


def _latched(latch: Latch, source: Address) -> Latch:
    return Latch(
        sdp_address=latch.sdp_address,
        signalling_host=latch.signalling_host,
        rtp_source=latch.rtp_source,
        before_hold=latch.before_hold,
        latched=source,
        final=True,
    )


def _packets_needed(latch: Latch, source: Address, *, authenticated: bool) -> int | None:
    """Return how many packets in a row latch a source for good; None when no number does."""
    if latch.latched not in (None, source):
        # A known source has sent, if only once.
        return TAKEOVER_PACKETS
    hosts = {host for host, _ in latch.known} | {latch.signalling_host}
    if authenticated or latch.previous is None or source[0] in hosts:
        return MIN_PACKETS
    return TAKEOVER_PACKETS if latch.peer_lost else None
