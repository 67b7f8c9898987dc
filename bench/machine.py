"""Measure how busy the machine was with other programs, which tells what wall-clock times are worth."""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

LOADED = 0.15
"""The share of the whole machine above which wall-clock times are partly caused by other programs."""


_CPU_DMA_LATENCY = Path("/dev/cpu_dma_latency")


@contextmanager
def awake() -> Iterator[bool]:
    """Keep the cores from sleeping between two packets, as latency tools do; yield whether that was possible.

    The time a core of a virtual machine takes to wake up depends on its host, and differs from minute to minute. It
    needs root. Source: Linux, Documentation/power/pm_qos_interface.rst.
    """
    try:
        latency = _CPU_DMA_LATENCY.open("wb", buffering=0)
    except OSError:
        yield False
        return
    with latency:
        # The setting holds until the file is closed. Units: microseconds.
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
    """The load of the machine since this object was made. Ours is what this process used, with its ended children."""

    def __init__(self, *, awake: bool = False) -> None:
        self._awake = awake
        self.cores = os.cpu_count() or 1
        self._began = _used()

    def others(self) -> float:
        """Return the share of the machine that other programs used, 0 to 1; stolen time is counted with it."""
        began, now = self._began, _used()
        used_s = (now.all_s - began.all_s) - (now.ours_s - began.ours_s)
        return max(0.0, min(1.0, used_s / (self.cores * (now.at_s - began.at_s))))

    def stolen(self) -> float:
        """Return the share of the machine that its host withheld."""
        now = _used()
        return (now.stolen_s - self._began.stolen_s) / (self.cores * (now.at_s - self._began.at_s))

    def summary(self) -> str:
        """Return a sentence for a reader of the figures."""
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
    """Read the processor times. Source: proc(5), /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal."""
    ticks = [int(each) for each in Path("/proc/stat").read_text("ascii").split("\n", 1)[0].split()[1:9]]
    hz = os.sysconf("SC_CLK_TCK")
    ours = os.times()
    return Used(
        all_s=(sum(ticks) - ticks[3] - ticks[4]) / hz,
        stolen_s=ticks[7] / hz,
        ours_s=ours.user + ours.system + ours.children_user + ours.children_system,
    )
