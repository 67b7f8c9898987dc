"""Where a leg's packets may come from, and so where ours go.

A phone behind a router sends from another address than its SDP says, so the source of its packets is believed. But
not at once: a datagram from the address in the SDP settles it, one from elsewhere only when several in a row come
from there, because one stray packet of an earlier call, or of a stranger, must not carry a leg away.
Source: RFC 4961 (symmetric RTP); RFC 7362 §4 (latching) and its §5 (whom one may latch on to).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

Address = tuple[str, int]

STRANGER_PACKETS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Latch:
    """Whom a leg listens to. Shape: `named` by the SDP; `settled` once packets came, None while the window is open."""

    named: Address | None = None
    settled: Address | None = None
    previous: Address | None = None
    candidate: Address | None = None
    seen: int = 0

    @property
    def sends_to(self) -> Address | None:
        """Where to send now."""
        return self.settled or self.previous or self.named


def describe(latch: Latch, *, named: Address | None, may_speak_again: bool) -> Latch:
    """The latch after a new agreement: another address forgets all; a party that may speak again opens the window."""
    if named != latch.named:
        return Latch(named=named)
    return reopen(latch) if may_speak_again else latch


def reopen(latch: Latch) -> Latch:
    """The window is open: whoever comes first from a known address, or insists, is settled on."""
    return Latch(named=latch.named, previous=latch.settled or latch.previous)


def hear(latch: Latch, source: Address) -> Latch:
    """The latch after a valid packet from `source`, which was believed if it is settled on now."""
    if latch.settled is not None or source[1] == 0:
        return latch
    seen = latch.seen + 1 if source == latch.candidate else 1
    if source in (latch.named, latch.previous) or latch.named is None or seen >= STRANGER_PACKETS:
        return Latch(named=latch.named, settled=source)
    return replace(latch, candidate=source, seen=seen)
