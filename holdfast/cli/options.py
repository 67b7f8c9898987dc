"""Define options that several commands share, and read the settings they make."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, TypeVar, get_args

import typer

from holdfast.cli.terminal import CommandStopped
from holdfast.settings import PhoneHoldMusic, RtpSource, Settings, SettingsInvalid, read

Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A settings file, instead of ./holdfast.toml.")
]
Store = Annotated[
    str | None, typer.Option("--store", metavar="sqlite:///FILE", help="The file for calls, holds and numbers.")
]

Word = TypeVar("Word")

WRONG_SETTINGS = 2
"""The exit status for a command with wrong options or settings, as shells use it."""


def settings_from(*, config: Path | None = None, **flags: object) -> Settings:
    """Return the settings of this start. Raises: CommandStopped."""
    try:
        return read(flags, file=config)
    except SettingsInvalid as error:
        message = "\n".join(["the settings cannot be used:", *error.problems])
        raise CommandStopped(message, fix="docs/settings.md lists every setting.", status=WRONG_SETTINGS) from error


def number_of(flag: str, text: str) -> float:
    """Return the number above 0 that was given with an option. Raises: CommandStopped."""
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
    """Return the rule given with --rtp-source, or None when it was not given. Raises: CommandStopped."""
    words: dict[str, RtpSource] = {"named": "named", "signalling": "signalling", "any": "any"}
    return None if text is None else choice_of("--rtp-source", text, words)


def phone_hold_music_from(text: str | None) -> PhoneHoldMusic | None:
    """Return the rule given with --phone-hold-music, or None when it was not given. Raises: CommandStopped."""
    words: dict[str, PhoneHoldMusic] = {each: each for each in get_args(PhoneHoldMusic)}
    return None if text is None else choice_of("--phone-hold-music", text, words)


def choice_of(flag: str, text: str, words: Mapping[str, Word]) -> Word:
    """Return the meaning of the word given with an option, in any case. Raises: CommandStopped."""
    if text.lower() not in words:
        raise CommandStopped(f"{flag} {text!r} is not one of {', '.join(words)}", status=WRONG_SETTINGS)
    return words[text.lower()]
