"""Run the demo by `python -m holdfast.testing.demo`, without the command line around it."""

from __future__ import annotations

from pathlib import Path

from holdfast.testing.demo.play import play

if __name__ == "__main__":
    raise SystemExit(play(Path("demo-out")))
