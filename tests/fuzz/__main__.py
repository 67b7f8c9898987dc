"""`make fuzz`: throw hostile packets for a minute, or as long as asked, and name those that find a fault.

`python -m tests.fuzz --seconds 600 --from 1000000` tries new numbers. A found packet goes into `tests/fuzz/seeds.txt`
as `target number`, and stays a test.
"""

from __future__ import annotations

import argparse
import time

from tests.fuzz.targets import TARGETS

CHUNK = 50


def main() -> int:
    """Return 0 when no fault was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long (default: 60)")
    parser.add_argument("--from", type=int, default=1_000_000, dest="first", help="the first number (default: 1000000)")
    given = parser.parse_args()
    found = tried = 0
    first, end = given.first, time.monotonic() + given.seconds
    while time.monotonic() < end:
        for name in TARGETS:
            numbers = range(first, first + CHUNK)
            tried += CHUNK
            wrong = attempt(name, numbers)
            if wrong:
                found += 1
                small = next((number for number in numbers if attempt(name, [number])), None)
                where = f"{name} {small}" if small is not None else f"{name} {numbers.start} to {numbers.stop - 1}"
                print(f"{where}: {wrong[0]}", flush=True)
        first += CHUNK
    print(f"{tried} hostile packets, numbers {given.first} to {first - 1}: {found} found something")
    return 1 if found else 0


def attempt(name: str, numbers: range | list[int]) -> list[str]:
    """Return the faults, an exception included: no packet may raise one."""
    try:
        return TARGETS[name](numbers)
    except Exception as error:
        return [f"{type(error).__name__}: {error}"]


if __name__ == "__main__":
    raise SystemExit(main())
