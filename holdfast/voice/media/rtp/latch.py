"""Where a leg's packets may come from, and so where ours go.

The address that the description names is the party's whenever it speaks. A phone behind a router sends from another
address; then only the host that its own signalling comes from is believed, because a stranger who sends to our ports
would else hear one party and speak to the other. Anybody else is believed only where a setting says so.

A choice is final once several packets agree in SSRC and sequence: one stray packet of an earlier call carries no leg
away. For the same reason a leg that was told to move is not carried back by what its old address still sends, and one
that was heard before is another host's only when nothing at all came of it for long.
SRTP proves who made a packet, not who sent it from there: a copy of it opens as well. So a key opens no other address.
Source: RFC 4961 (symmetric RTP); RFC 7362 §4 (latching) and its §5 (whom one may latch on to); RFC 3550 appendix A.1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

Address = tuple[str, int]

RtpSource = Literal["named", "signalling", "any"]
"""From where a party's packets are believed: the address that its description names; also the host that its signalling
comes from; or anywhere."""

MIN_PACKETS = 3
TAKEOVER_PACKETS = 50
"""A second of audio: longer than packets that were under way can last."""
MAX_AHEAD, MAX_BEHIND = 100, 100
"""How far a sequence number may be from the one before and still agree with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketIdentity:
    """What of a valid packet says whose it is."""

    source: Address
    ssrc: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class PacketRun:
    """Packets of one source that agree: one SSRC, and sequence numbers that rise."""

    newest: PacketIdentity
    seen: int = 1

    def extend(self, packet: PacketIdentity) -> PacketRun:
        """The run with the next packet; a packet that does not agree begins a new one."""
        if (packet.source, packet.ssrc) != (self.newest.source, self.newest.ssrc):
            return PacketRun(newest=packet)
        ahead = packet.sequence - self.newest.sequence & 0xFFFF
        if 0 < ahead <= MAX_AHEAD:
            return PacketRun(newest=packet, seen=self.seen + 1)
        return self if -ahead & 0xFFFF <= MAX_BEHIND else PacketRun(newest=packet)


@dataclass(frozen=True, slots=True, kw_only=True)
class AdmittedSources:
    """From where a leg's packets are looked at at all; others are a stranger's."""

    addresses: frozenset[Address] = frozenset()
    signalling_host: str | None = None
    any_source: bool = False

    def admits(self, source: Address) -> bool:
        """Whether a packet from there may be the party's."""
        return self.any_source or source in self.addresses or source[0] == self.signalling_host


@dataclass(frozen=True, slots=True, kw_only=True)
class SocketFilter:
    """What the leg's sockets do. Shape: `only` None: everybody who is admitted is listened to; `watched` is an address
    that is listened to beside `only`.
    """

    admitted: AdmittedSources
    connected: Address | None
    watched: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whom a leg listens to. Shape: `named` by the SDP; `settled` once packets came, None while the window is open.

    Invariant: `final` only when `settled`.
    `host` is where the party's signalling comes from. `unheld` is what the SDP named before it held by the address
    0.0.0.0; `left` is where the leg was heard from before the SDP named another address; `lost` says that nothing came
    of the party for long, neither audio nor reports.
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
        """Where to send now."""
        return self.latched or (None if self.sdp_address is None else self.previous or self.sdp_address)

    @property
    def admitted(self) -> AdmittedSources:
        """From where packets are looked at."""
        return AdmittedSources(
            addresses=self.known,
            signalling_host=None if self.rtp_source == "named" else self.signalling_host,
            any_source=self.rtp_source == "any",
        )

    @property
    def known(self) -> frozenset[Address]:
        """The addresses that are the party's for sure."""
        return frozenset(
            address for address in (self.sdp_address, self.before_hold, self.previous) if address is not None
        )

    @property
    def socket_filter(self) -> SocketFilter:
        """What the leg's sockets are to do. The address in the SDP is listened to whatever was chosen."""
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
    """The latch after a new agreement: another address forgets all; a party that may speak again opens the window.

    So does one that is settled where it may not be any more, because its signalling comes from another host now.
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
        # Back from a hold by the address 0.0.0.0: it is where it was.
        return fresh if latch.before_hold is None else replace(fresh, previous=last_source)
    return replace(fresh, old_address=last_source or latch.sdp_address or latch.before_hold)


def unlock(latch: Latch, *, peer_lost: bool = False) -> Latch:
    """The window is open: a known address is settled on at once, another when its packets agree."""
    return Latch(
        sdp_address=latch.sdp_address,
        signalling_host=latch.signalling_host,
        rtp_source=latch.rtp_source,
        previous=latch.latched or latch.previous,
        before_hold=latch.before_hold,
        peer_lost=peer_lost,
    )


def receive(latch: Latch, packet: PacketIdentity, *, authenticated: bool = False) -> Latch:
    """The latch after a valid packet, which was believed if its source is settled on now.

    `proven` is what was encrypted with the party's key.
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
    """How many packets in a row from there settle it for good; None: no number does."""
    if latch.latched not in (None, source):
        # Somebody known has spoken, if only once.
        return TAKEOVER_PACKETS
    hosts = {host for host, _ in latch.known} | {latch.signalling_host}
    if authenticated or latch.previous is None or source[0] in hosts:
        return MIN_PACKETS
    return TAKEOVER_PACKETS if latch.peer_lost else None
