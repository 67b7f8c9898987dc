"""`holdfast demo`: two calls held and resumed before your eyes."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import WRONG_SETTINGS
from holdfast.cli.terminal import CommandStopped


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

    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=out):
            pass
    except OSError as error:
        raise CommandStopped(
            f"nothing can be written to {out}: {error.strerror}",
            fix="Name a folder of yours: holdfast demo --out FOLDER",
            status=WRONG_SETTINGS,
        ) from error
    raise typer.Exit(play(out))
