"""`holdfast demo`: two calls held and resumed before your eyes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    out: Annotated[Path, typer.Option("--out", metavar="FOLDER", help="Where sounds, picture and report go.")] = Path(
        "demo-out"
    ),
) -> None:
    """Hold and resume two calls on this machine, and measure what every ear hears.

    It starts a server of its own on free loopback ports, with two phones for each of two calls: one through a
    conference, one by independent legs. Takes half a minute; ends with 0 only if every ear heard what it should.

    \b
    holdfast demo
    holdfast demo --out /tmp/demo      a WAV for each call, demo.png, report.json
    """
    from holdfast.testing.demo.play import play

    raise typer.Exit(play(out))
