"""`make bench`: every figure beside its bar. `python -m bench --holds 100` is quicker."""

from __future__ import annotations

import argparse
import asyncio
import gc

from rich.console import Console

from bench import call_rate, hold_latency, impaired, media, queue_wait, redirect_latency, steady_stream
from bench.figures import Figure, show

TABLE_COLUMNS = 130


async def measure_all(console: Console, *, holds: int, seconds: int) -> list[Figure]:
    """Each measurement in turn, on an engine of its own."""
    return [
        *await steady_stream.measure(console, holds=holds),
        *await hold_latency.measure(console, holds=holds),
        *await redirect_latency.measure(console, redirects=holds),
        *await media.measure(console, seconds=seconds),
        *await impaired.measure(console),
        *await call_rate.measure(console),
        *await queue_wait.measure(console),
    ]


def main() -> int:
    """0 when every figure keeps its bar."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--holds", type=int, default=500, help="holds and resumes per way (default: 500)")
    parser.add_argument("--seconds", type=int, default=media.SECONDS, help="length of each run of many legs")
    console = Console()
    if not console.is_terminal:
        console = Console(width=TABLE_COLUMNS)
    # The phones live in this process: what it stalls for is no figure of the engine.
    gc.freeze()
    given = parser.parse_args()
    figures = asyncio.run(measure_all(console, holds=given.holds, seconds=given.seconds))
    show(figures, console)
    return 0 if all(figure.within for figure in figures) else 1


if __name__ == "__main__":
    raise SystemExit(main())
