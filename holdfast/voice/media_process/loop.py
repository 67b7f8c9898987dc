"""The loop of the media process: wait for the next deadline, serve control meanwhile, then tick."""

from __future__ import annotations

import os
import select
import time
from dataclasses import dataclass, field

from holdfast.voice.media_process.control_link import protocol as m
from holdfast.voice.media_process.control_link.control_socket import ControlSocket
from holdfast.voice.media_process.control_link.fact_queue import FactQueue
from holdfast.voice.media_process.server import MediaServer
from holdfast.voice.media_process.ticker import TICK_S, Ticker

_EARLY_S = 0.0015
"""Epoll counts whole milliseconds and rounds up; it is left this early, and the rest is slept through."""
_EVENTS = 64
LOAD_TICKS = 250
"""Ticks between two lines of what the process works."""


@dataclass(slots=True)
class Effort:
    """What the ticks since the last `Load` took. Units: seconds."""

    ticks: int = 0
    skipped: int = 0
    took_s: list[float] = field(default_factory=list)
    ticked_s: list[float] = field(default_factory=list)
    latest_s: float = 0.0
    worked_s: float = field(default_factory=time.process_time)

    def add(self, *, skipped: int, late_s: float, took_s: float, worked_s: float) -> None:
        """Count one tick."""
        self.ticks += 1
        self.skipped += skipped
        self.took_s.append(took_s)
        self.ticked_s.append(worked_s)
        self.latest_s = max(self.latest_s, late_s)

    def load(self, rows: int) -> m.Load:
        """As it is told. Time in which the machine did something else is not ours, and not counted as busy."""
        worked_s = time.process_time() - self.worked_s
        took_s = sorted(self.took_s)
        return m.Load(
            rows=rows,
            ticks=self.ticks,
            ticks_skipped=self.skipped,
            busy=round(worked_s / ((self.ticks + self.skipped) * TICK_S), 4),
            p50_tick_ms=round(took_s[len(took_s) // 2] * 1000, 3),
            p99_tick_ms=round(took_s[-1 - len(took_s) // 100] * 1000, 3),
            p99_worked_ms=round(sorted(self.ticked_s)[-1 - len(took_s) // 100] * 1000, 3),
            longest_tick_ms=round(took_s[-1] * 1000, 3),
            latest_start_ms=round(self.latest_s * 1000, 3),
        )


class MediaLoop:
    """One thread, which does everything. Once `ending` is set, it stops after the tick it is in."""

    def __init__(self, plane: MediaServer, door: ControlSocket, outbox: FactQueue, *, supervisor: int | None) -> None:
        self.ending = False
        self._plane = plane
        self._door = door
        self._facts = outbox
        self._supervisor = None if supervisor is None else os.pidfd_open(supervisor)
        self._epoll = select.epoll()
        for descriptor in (door.listening, self._supervisor):
            if descriptor is not None:
                self._epoll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Tick until told to end, or until the supervisor is no more."""
        ticker = Ticker(time.monotonic())
        effort = Effort()
        while not self.ending:
            self._serve_until(ticker.deadline)
            began, began_worked = time.monotonic(), time.thread_time()
            late_s = began - ticker.deadline
            skipped = ticker.begin(began)
            if skipped:
                self._facts.put(m.TicksSkipped(count=skipped))
            self._plane.receive(began)
            # What control asked until this moment is heard in this tick.
            self._serve(0.0)
            self._plane.tick(skipped=skipped)
            effort.add(
                skipped=skipped,
                late_s=late_s,
                took_s=time.monotonic() - began,
                worked_s=time.thread_time() - began_worked,
            )
            self._plane.tell(began)
            if effort.ticks == LOAD_TICKS:
                self._facts.put(effort.load(self._plane.in_use))
                effort = Effort()
            self._door.flush()
        self._plane.close(time.monotonic())
        self._door.close()

    def _serve_until(self, deadline: float) -> None:
        """Serve control until the deadline."""
        while (left_s := deadline - time.monotonic()) > _EARLY_S and not self.ending:
            self._serve(left_s - _EARLY_S)
        if left_s > 0:
            time.sleep(left_s)

    def _serve(self, timeout_s: float) -> None:
        """Wait for something to serve, at most so long, and serve what waits."""
        for descriptor, _ in self._epoll.poll(timeout_s, _EVENTS):
            if descriptor == self._door.listening:
                self._admit()
            elif descriptor == self._supervisor:
                self.ending = True
            else:
                self._answer()

    def _admit(self) -> None:
        """A control comes. The one before, if any, leaves the epoll by being closed."""
        if self._door.admit(self._plane.greeting) and (control := self._door.control) is not None:
            self._epoll.register(control, select.EPOLLIN)
            self._door.flush()

    def _answer(self) -> None:
        """Control asks."""
        now = time.monotonic()
        for request, sound in self._door.requests():
            self._door.reply(self._plane.answer(request, sound, now))
        self._door.flush()
