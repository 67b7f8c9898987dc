"""Options that several commands share, and the settings they make."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from holdfast.cli.terminal import Stop
from holdfast.settings import Settings, SettingsWrong, read

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A settings file, instead of ./holdfast.toml.")
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="sqlite:///FILE", help="Where calls, holds and numbers are kept.")
]

WRONG_SETTINGS = 2
"""The exit status for a command that was called in a wrong way, as of a shell's own commands."""


def settings_from(*, config: Path | None = None, **flags: object) -> Settings:
    """The settings of this start. Raises: Stop."""
    try:
        return read(flags, file=config)
    except SettingsWrong as error:
        message = "\n".join(["the settings cannot be used:", *error.problems])
        raise Stop(message, fix="docs/settings.md lists every setting.", status=WRONG_SETTINGS) from error
