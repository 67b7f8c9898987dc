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

AGREEING_PACKETS = 3
INSISTING_PACKETS = 50
"""A second of audio: longer than packets that were under way can last."""
MOST_AHEAD, MOST_BEHIND = 100, 100
"""How far a sequence number may be from the one before and still agree with it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """What of a valid packet says whose it is."""

    source: Address
    ssrc: int
    sequence: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Packets of one source that agree: one SSRC, and sequence numbers that rise."""

    newest: Heard
    seen: int = 1

    def and_then(self, heard: Heard) -> Run:
        """The run with the next packet; a packet that does not agree begins a new one."""
        if (heard.source, heard.ssrc) != (self.newest.source, self.newest.ssrc):
            return Run(newest=heard)
        ahead = heard.sequence - self.newest.sequence & 0xFFFF
        if 0 < ahead <= MOST_AHEAD:
            return Run(newest=heard, seen=self.seen + 1)
        return self if -ahead & 0xFFFF <= MOST_BEHIND else Run(newest=heard)


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """From where a leg's packets are looked at at all; others are a stranger's."""

    addresses: frozenset[Address] = frozenset()
    host: str | None = None
    anybody: bool = False

    def admits(self, source: Address) -> bool:
        """Whether a packet from there may be the party's."""
        return self.anybody or source in self.addresses or source[0] == self.host


@dataclass(frozen=True, slots=True, kw_only=True)
class Listening:
    """What the leg's sockets do. Shape: `only` None: everybody who is admitted is listened to; `watched` is an address
    that is listened to beside `only`.
    """

    admitted: Admitted
    only: Address | None
    watched: Address | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whom a leg listens to. Shape: `named` by the SDP; `settled` once packets came, None while the window is open.

    Invariant: `final` only when `settled`.
    `host` is where the party's signalling comes from. `unheld` is what the SDP named before it held by the address
    0.0.0.0; `left` is where the leg was heard from before the SDP named another address; `lost` says that nothing came
    of the party for long, neither audio nor reports.
    """

    named: Address | None = None
    host: str | None = None
    rule: RtpSource = "signalling"
    settled: Address | None = None
    final: bool = False
    previous: Address | None = None
    unheld: Address | None = None
    left: Address | None = None
    lost: bool = False
    of_named: Run | None = None
    of_left: Run | None = None
    of_another: Run | None = None

    @property
    def sends_to(self) -> Address | None:
        """Where to send now."""
        return self.settled or (None if self.named is None else self.previous or self.named)

    @property
    def admitted(self) -> Admitted:
        """From where packets are looked at."""
        return Admitted(
            addresses=self.known, host=None if self.rule == "named" else self.host, anybody=self.rule == "any"
        )

    @property
    def known(self) -> frozenset[Address]:
        """The addresses that are the party's for sure."""
        return frozenset(address for address in (self.named, self.unheld, self.previous) if address is not None)

    @property
    def listening(self) -> Listening:
        """What the leg's sockets are to do. The address in the SDP is listened to whatever was chosen."""
        only = self.settled if self.final else None
        watched = None if only in (None, self.named) else self.named
        return Listening(admitted=self.admitted, only=only, watched=watched)


def describe(
    latch: Latch,
    *,
    named: Address | None,
    may_speak_again: bool,
    host: str | None = None,
    rule: RtpSource = "signalling",
) -> Latch:
    """The latch after a new agreement: another address forgets all; a party that may speak again opens the window.

    So does one that is settled where it may not be any more, because its signalling comes from another host now.
    """
    told = replace(latch, host=host, rule=rule)
    if named == latch.named:
        stays = latch.settled is None or told.admitted.admits(latch.settled)
        return told if stays and not may_speak_again else reopen(told)
    fresh = Latch(named=named, host=host, rule=rule)
    was = latch.settled or latch.previous
    if named is None:
        return replace(fresh, previous=was, unheld=latch.named or latch.unheld)
    if latch.named is None and latch.unheld in (None, named):
        # Back from a hold by the address 0.0.0.0: it is where it was.
        return fresh if latch.unheld is None else replace(fresh, previous=was)
    return replace(fresh, left=was or latch.named or latch.unheld)


def reopen(latch: Latch, *, lost: bool = False) -> Latch:
    """The window is open: a known address is settled on at once, another when its packets agree."""
    return Latch(
        named=latch.named,
        host=latch.host,
        rule=latch.rule,
        previous=latch.settled or latch.previous,
        unheld=latch.unheld,
        lost=lost,
    )


def hear(latch: Latch, heard: Heard, *, proven: bool = False) -> Latch:
    """The latch after a valid packet, which was believed if its source is settled on now.

    `proven` is what was encrypted with the party's key.
    """
    source = heard.source
    if source[1] == 0 or not latch.admitted.admits(source) or (latch.final and source == latch.settled):
        return latch
    if source == latch.named:
        run = _after(latch.of_named, heard)
        agrees = run.seen >= AGREEING_PACKETS
        latch = replace(latch, of_named=run, of_left=None, of_another=None)
        if agrees:
            return _settled(latch, source)
        return replace(latch, settled=source) if latch.settled is None else latch
    if latch.final:
        return latch
    if source == latch.left:
        run = _after(latch.of_left, heard)
        return _settled(latch, source) if run.seen >= INSISTING_PACKETS else replace(latch, of_left=run)
    run = _after(latch.of_another, heard)
    needed = _needed(latch, source, proven=proven)
    if needed is not None and run.seen >= needed:
        return _settled(latch, source)
    is_back = latch.settled is None and source in latch.known
    return replace(latch, of_another=run, settled=source if is_back else latch.settled)


def _after(run: Run | None, heard: Heard) -> Run:
    return Run(newest=heard) if run is None else run.and_then(heard)


def _settled(latch: Latch, source: Address) -> Latch:
    return Latch(named=latch.named, host=latch.host, rule=latch.rule, unheld=latch.unheld, settled=source, final=True)


def _needed(latch: Latch, source: Address, *, proven: bool) -> int | None:
    """How many packets in a row from there settle it for good; None: no number does."""
    if latch.settled not in (None, source):
        # Somebody known has spoken, if only once.
        return INSISTING_PACKETS
    hosts = {host for host, _ in latch.known} | {latch.host}
    if proven or latch.previous is None or source[0] in hosts:
        return AGREEING_PACKETS
    return INSISTING_PACKETS if latch.lost else None
