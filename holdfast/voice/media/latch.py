"""Where a leg's packets may come from, and so where ours go.

A phone behind a router sends from another address than its SDP says, so the source of its packets is believed. But
not at once: a datagram from the address in the SDP settles it, one from elsewhere only when several in a row come
from there, because one stray packet of an earlier call, or of a stranger, must not carry a leg away. For the same
reason a leg that was told to move is not carried back by what its old address still sends, and one that was heard
before is another host's only when nothing at all came of it for long: its router may give it another port, but a host
that never took part would take over a call that is merely muted.
Source: RFC 4961 (symmetric RTP); RFC 7362 §4 (latching) and its §5 (whom one may latch on to).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Address = tuple[str, int]

STRANGER_PACKETS = 3
INSISTING_PACKETS = 50
"""A second of sound: longer than packets that were under way can last."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whom a leg listens to. Shape: `named` by the SDP; `settled` once packets came, None while the window is open.

    `left` is where it was heard from before the SDP named another address; `lost` says that nothing came of the party
    for long, neither sound nor reports.
    """

    named: Address | None = None
    settled: Address | None = None
    previous: Address | None = None
    left: Address | None = None
    lost: bool = False
    candidate: Address | None = None
    seen: int = 0
    left_seen: int = 0

    @property
    def sends_to(self) -> Address | None:
        """Where to send now."""
        return self.settled or self.previous or self.named


def describe(latch: Latch, *, named: Address | None, may_speak_again: bool) -> Latch:
    """The latch after a new agreement: another address forgets all; a party that may speak again opens the window."""
    if named == latch.named:
        return reopen(latch) if may_speak_again else latch
    if named is None or latch.named is None:
        # Held by the address 0.0.0.0, or back from it: it is where it was.
        return Latch(named=named)
    return Latch(named=named, left=latch.settled or latch.previous or latch.named)


def reopen(latch: Latch, *, lost: bool = False) -> Latch:
    """The window is open: whoever comes first from a known address, or insists, is settled on."""
    return Latch(named=latch.named, previous=latch.settled or latch.previous, lost=lost)


def hear(latch: Latch, source: Address, *, proven: bool = False) -> Latch:
    """The latch after a valid packet from `source`, which was believed if it is settled on now.

    `proven` is what was sealed with the party's key, wherever it comes from.
    """
    if latch.settled is not None or source[1] == 0:
        return latch
    if source == latch.left and source != latch.named:
        left_seen = latch.left_seen + 1
        return _settled(latch, source) if left_seen >= INSISTING_PACKETS else replace(latch, left_seen=left_seen)
    needed = _needed(latch, source, proven=proven)
    if needed is None:
        return latch
    seen = latch.seen + 1 if source == latch.candidate else 1
    return _settled(latch, source) if seen >= needed else replace(latch, candidate=source, seen=seen)


def _settled(latch: Latch, source: Address) -> Latch:
    return Latch(named=latch.named, settled=source)


def _needed(latch: Latch, source: Address, *, proven: bool) -> int | None:
    """How many packets in a row from there settle it; None: no number does."""
    known = [address for address in (latch.named, latch.previous) if address is not None]
    if source in known or not known:
        return 1
    if proven or latch.previous is None or source[0] in {host for host, _ in known}:
        return STRANGER_PACKETS
    return INSISTING_PACKETS if latch.lost else None
