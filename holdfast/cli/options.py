"""Options that several commands share, and the settings they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from holdfast.cli.terminal import CommandStopped
from holdfast.settings import RtpSource, Settings, SettingsInvalid, read

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A settings file, instead of ./holdfast.toml.")
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="sqlite:///FILE", help="Where calls, holds and numbers are kept.")
]

Word = TypeVar("Word")

WRONG_SETTINGS = 2
"""The exit status for a command that was called in a wrong way, as of a shell's own commands."""


def settings_from(*, config: Path | None = None, **flags: object) -> Settings:
    """The settings of this start. Raises: Stop."""
    try:
        return read(flags, file=config)
    except SettingsInvalid as error:
        message = "\n".join(["the settings cannot be used:", *error.problems])
        raise CommandStopped(message, fix="docs/settings.md lists every setting.", status=WRONG_SETTINGS) from error


def number_of(flag: str, text: str) -> float:
    """The number above 0 given with an option. Raises: Stop."""
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < float("inf"):
        raise CommandStopped(
            f"{flag} {text!r} is not a number above 0", fix=f"Such as {flag} 90", status=WRONG_SETTINGS
        )
    return number


def rtp_source_from(text: str | None) -> RtpSource | None:
    """From where RTP is believed, as given with --rtp-source; None when it was not given. Raises: Stop."""
    words: dict[str, RtpSource] = {"named": "named", "signalling": "signalling", "any": "any"}
    return None if text is None else choice_of("--rtp-source", text, words)


def choice_of(flag: str, text: str, words: Mapping[str, Word]) -> Word:
    """What the word given with an option means, in capitals or not. Raises: Stop."""
    if text.lower() not in words:
        raise CommandStopped(f"{flag} {text!r} is not one of {', '.join(words)}", status=WRONG_SETTINGS)
    return words[text.lower()]
