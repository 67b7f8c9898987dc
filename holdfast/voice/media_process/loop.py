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
"""Epoll counts whole milliseconds and rounds up: the loop leaves it this early and sleeps through the rest."""
_EVENTS = 64
LOAD_TICKS = 250
"""Ticks between two `Load` facts."""


@dataclass(slots=True)
class TickTimings:
    """Tick timings are what the ticks since the last `Load` took. Units: seconds."""

    ticks: int = 0
    skipped: int = 0
    durations_s: list[float] = field(default_factory=list)
    cpu_times_s: list[float] = field(default_factory=list)
    latest_start_s: float = 0.0
    cpu_s: float = field(default_factory=time.process_time)

    def add(self, *, skipped: int, late_s: float, durations_s: float, cpu_s: float) -> None:
        """Count one tick."""
        self.ticks += 1
        self.skipped += skipped
        self.durations_s.append(durations_s)
        self.cpu_times_s.append(cpu_s)
        self.latest_start_s = max(self.latest_start_s, late_s)

    def load(self, rows: int) -> m.Load:
        """Return the load as a fact. Time in which the machine ran something else does not count as busy."""
        cpu_s = time.process_time() - self.cpu_s
        durations_s = sorted(self.durations_s)
        return m.Load(
            rows=rows,
            ticks=self.ticks,
            ticks_skipped=self.skipped,
            busy=round(cpu_s / ((self.ticks + self.skipped) * TICK_S), 4),
            p50_tick_ms=round(durations_s[len(durations_s) // 2] * 1000, 3),
            p99_tick_ms=round(durations_s[-1 - len(durations_s) // 100] * 1000, 3),
            p99_worked_ms=round(sorted(self.cpu_times_s)[-1 - len(durations_s) // 100] * 1000, 3),
            longest_tick_ms=round(durations_s[-1] * 1000, 3),
            latest_start_ms=round(self.latest_start_s * 1000, 3),
        )


class MediaLoop:
    """The media loop is one thread that does everything. After `stopping` is set, it ends with the current tick."""

    def __init__(
        self, server: MediaServer, control_socket: ControlSocket, facts: FactQueue, *, supervisor: int | None
    ) -> None:
        self.stopping = False
        self._server = server
        self._control_socket = control_socket
        self._facts = facts
        self._supervisor = None if supervisor is None else os.pidfd_open(supervisor)
        self._epoll = select.epoll()
        for descriptor in (control_socket.listener, self._supervisor):
            if descriptor is not None:
                self._epoll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Tick until `stopping` is set or the supervisor ends."""
        ticker = Ticker(time.monotonic())
        timings = TickTimings()
        while not self.stopping:
            self._serve_until(ticker.deadline)
            began, began_cpu = time.monotonic(), time.thread_time()
            late_s = began - ticker.deadline
            skipped = ticker.begin(began)
            if skipped:
                self._facts.post(m.TicksSkipped(count=skipped))
            self._server.receive(began)
            # A request that arrived until this moment takes effect in this tick.
            self._serve(0.0)
            self._server.tick(skipped=skipped)
            timings.add(
                skipped=skipped,
                late_s=late_s,
                durations_s=time.monotonic() - began,
                cpu_s=time.thread_time() - began_cpu,
            )
            self._server.after_tick(began)
            if timings.ticks == LOAD_TICKS:
                self._facts.post(timings.load(self._server.in_use))
                timings = TickTimings()
            self._control_socket.flush()
        self._server.close(time.monotonic())
        self._control_socket.close()

    def _serve_until(self, deadline: float) -> None:
        """Serve control until the deadline."""
        while (left_s := deadline - time.monotonic()) > _EARLY_S and not self.stopping:
            self._serve(left_s - _EARLY_S)
        if left_s > 0:
            time.sleep(left_s)

    def _serve(self, timeout_s: float) -> None:
        """Wait at most this long for something to serve, and serve all that waits."""
        for descriptor, _ in self._epoll.poll(timeout_s, _EVENTS):
            if descriptor == self._control_socket.listener:
                self._accept()
            elif descriptor == self._supervisor:
                self.stopping = True
            else:
                self._handle_requests()

    def _accept(self) -> None:
        """Accept a control connection. The one before, if any, leaves the epoll by being closed."""
        if self._control_socket.accept(self._server.greeting) and (control := self._control_socket.control) is not None:
            self._epoll.register(control, select.EPOLLIN)
            self._control_socket.flush()

    def _handle_requests(self) -> None:
        """Handle the requests of control and reply."""
        now = time.monotonic()
        for request, audio in self._control_socket.read_requests():
            if (reply := self._server.handle(request, audio, now)) is not None:
                self._control_socket.reply(reply)
        self._control_socket.flush()
