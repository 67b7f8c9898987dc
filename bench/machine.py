"""How busy the machine was with other things while it was measured: what times on a clock are worth."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LOADED = 0.15
"""Of the whole machine. More, and a time that a clock tells is partly somebody else's."""


_CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")


@contextmanager
def awake() -> Iterator[bool]:
    """Keep the cores from going to sleep between two packets, as tools that measure latency do; whether it could be.

    What a core of a virtual machine pays to wake up is its host's matter, and differs from one minute to the next. It
    takes root. Source: Linux, Documentation/power/pm_qos_interface.rst.
    """
    try:
        latency = _CPU_DMA_LATENCY.open("wb", buffering=0)
    except OSError:
        yield False
        return
    with latency:
        # In force until it is closed. Units: microseconds.
        latency.write(struct.pack("i", 0))
        yield True


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """Processor time so far. Units: seconds of one core; `stolen` by the host of a virtual machine."""

    at_s: float = field(default_factory=time.monotonic)
    all_s: float
    stolen_s: float
    ours_s: float


class Machine:
    """Watched from its making on. Ours is what this process used, and those it started that have ended."""

    def __init__(self, *, awake: bool = False) -> None:
        self._awake = awake
        self.cores = os.cpu_count() or 1
        self._began = _used()

    def others(self) -> float:
        """The share of the machine that went to others, 0 to 1; what was stolen is counted with it."""
        began, now = self._began, _used()
        used_s = (now.all_s - began.all_s) - (now.ours_s - began.ours_s)
        return max(0.0, min(1.0, used_s / (self.cores * (now.at_s - began.at_s))))

    def stolen(self) -> float:
        """The share of the machine that its host did not give it."""
        now = _used()
        return (now.stolen_s - self._began.stolen_s) / (self.cores * (now.at_s - self._began.at_s))

    def summary(self) -> str:
        """For a person who reads the figures."""
        others, load = self.others(), os.getloadavg()[0]
        kept = "kept awake" if self._awake else "that sleep when there is nothing to do"
        text = (
            f"{self.cores} cores {kept}, {others:.0%} of them used by others meanwhile, {self.stolen():.0%} by its host"
        )
        if others < LOADED:
            return text
        return (
            f"{text} (load {load:.1f}): THIS MACHINE IS LOADED. Times on the clock, and what was lost or left out, are "
            "partly of the others' making; times of the processor are too, by some tenths"
        )


def _used() -> Used:
    """Source: proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal."""
    ticks = [int(each) for each in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    hz = os.sysconf("SC_CLK_TCK")
    ours = os.times()
    return Used(
        all_s=(sum(ticks) - ticks[3] - ticks[4]) / hz,
        stolen_s=ticks[7] / hz,
        ours_s=ours.user + ours.system + ours.children_user + ours.children_system,
    )
