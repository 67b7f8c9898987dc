"""Print every figure beside its bar: `make bench`. `--holds 100` is quicker; `--only media` is one part."""

from __future__ import annotations

import argparse
import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import nullcontext

from rich.console import Console

from bench import call_rate, conference_size, hold_latency, impaired, media, queue_wait, redirect_latency, steady_stream
from bench.figures import Figure, NotMeasured, line, not_measured, show
from bench.machine import Machine, awake

TABLE_COLUMNS = 150
Measure = Callable[[], Awaitable[list[Figure]]]


def measurements(console: Console, *, holds: int, seconds: int) -> Mapping[str, Measure]:
    """Return each measurement by name; each runs on an engine of its own."""
    return {
        "stream": lambda: steady_stream.measure(console, cycles=steady_stream.cycles(holds)),
        "holds": lambda: hold_latency.measure(console, holds=holds),
        "redirects": lambda: redirect_latency.measure(console, redirects=holds),
        "conference_size": lambda: conference_size.measure(console, holds=min(holds, 200)),
        "media": lambda: media.measure(console, seconds=seconds),
        "impaired": lambda: impaired.measure(console),
        "calls": lambda: call_rate.measure(console),
        "queue": lambda: queue_wait.measure(console),
    }


async def measure_all(console: Console, chosen: Mapping[str, Measure]) -> list[Figure]:
    """Run one measurement after the other. Results are printed at once; one that fails does not stop the others."""
    figures: list[Figure] = []
    for number, (name, measure) in enumerate(chosen.items(), 1):
        console.print(f"[bold]\\[{number}/{len(chosen)}] {name}[/]")
        began_s = time.monotonic()
        try:
            found: Sequence[Figure] = await measure()
        except (NotMeasured, OSError, TimeoutError, ExceptionGroup) as error:
            found = [not_measured(name, _reason(error))]
        for figure in found:
            console.print(line(figure))
        console.print(f"   [dim]{time.monotonic() - began_s:.0f} s[/]")
        figures += found
    return figures


def _reason(error: Exception) -> str:
    """Return the message of the first error."""
    while isinstance(error, ExceptionGroup):
        error = error.exceptions[0]
    return str(error) or type(error).__name__


def main() -> int:
    """Run the chosen measurements; return 0 if every figure keeps its bar."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--holds", type=int, default=500, help="holds and resumes per way (default: 500)")
    parser.add_argument("--seconds", type=int, default=media.SECONDS, help="length of each run of many legs")
    console = Console()
    if not console.is_terminal:
        console = Console(width=TABLE_COLUMNS)
    names = list(measurements(console, holds=0, seconds=0))
    parser.add_argument("--only", choices=names, nargs="+", default=names, help="some of the measurements")
    parser.add_argument("--asleep", action="store_true", help="let idle cores sleep between packets")
    given = parser.parse_args()
    chosen = measurements(console, holds=given.holds, seconds=given.seconds)
    # The phones live in this process: its own stalls must not count as the engine's.
    gc.freeze()
    with nullcontext(False) if given.asleep else awake() as is_awake:
        machine = Machine(awake=is_awake)
        figures = asyncio.run(measure_all(console, {name: chosen[name] for name in given.only}))
    show(figures, console, caption=machine.summary())
    return 0 if all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
