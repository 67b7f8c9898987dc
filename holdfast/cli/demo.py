"""Run `holdfast demo`: hold and resume two calls on this machine, and measure them."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.options import WRONG_SETTINGS
from holdfast.cli.terminal import CommandStopped


def demo(
    out: Annotated[
        Path,
        typer.Option("--out", metavar="FOLDER", help="The folder for the audio files, the picture and the report."),
    ] = Path("demo-out"),
) -> None:
    """Hold and resume two calls on this machine, and measure what each phone hears.

    It starts its own server on free loopback ports, with two phones for each of two calls: one in a conference, one
    of two independent legs. It takes half a minute, and the exit status is 0 only if each phone heard what it should.

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
            fix="Name a folder you can write to: holdfast demo --out FOLDER",
            status=WRONG_SETTINGS,
        ) from error
    raise typer.Exit(play(out))
