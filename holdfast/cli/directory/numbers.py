"""Run `holdfast number`: add, list and remove phone numbers, and the document that answers each."""

from __future__ import annotations

import re
import time
from dataclasses import replace
from typing import Annotated, Literal
from urllib.parse import urlsplit

import typer

from holdfast.cli.directory.directory_command import (
    list_entries,
    note_if_in_file,
    put_entry,
    remove_entry,
)
from holdfast.cli.options import WRONG_SETTINGS, Config, Store, choice_of, settings_from
from holdfast.cli.terminal import CommandStopped, print_line, print_table
from holdfast.voice.runtime.directory.directory import E164, Directory
from holdfast.voice.runtime.directory.records import NumberRecord

app = typer.Typer(
    no_args_is_help=True,
    help="Phone numbers, and the voice URL that answers each. `\\[numbers]` in holdfast.toml does the same.",
    epilog="They are also the IncomingPhoneNumbers of Twilio's REST API.",
)

_METHODS: dict[str, Literal["GET", "POST"]] = {"get": "GET", "post": "POST"}

Number = Annotated[str, typer.Argument(metavar="NUMBER", help="In E.164, such as +15550100.")]


@app.command("add")
def add(
    number: Number,
    voice_url: Annotated[
        str | None,
        typer.Option("--voice-url", metavar="URL", help="The document that answers; else the line of that name rings."),
    ] = None,
    voice_method: Annotated[
        str, typer.Option("--voice-method", metavar="GET|POST", help="The HTTP method of the voice URL.")
    ] = "POST",
    config: Config = None,
    store: Store = None,
) -> None:
    """Add a number, or change what answers it.

    \b
    holdfast number add +15550100 --voice-url http://127.0.0.1:5000/voice
    holdfast number add +15550101      rings the line registered as +15550101
    """
    number = _checked(number)
    if voice_url is not None and (
        urlsplit(voice_url).scheme not in ("http", "https") or not urlsplit(voice_url).netloc
    ):
        raise CommandStopped(f"{voice_url!r} is not a web address", fix="Give http://host/path.", status=WRONG_SETTINGS)
    method = choice_of("--voice-method", voice_method, _METHODS)
    settings = settings_from(config=config, store=store)
    fields: dict[str, object] = {"phone_number": number, "voice_url": voice_url, "voice_method": method}
    put_entry(settings, "numbers", fields, lambda directory: _put(directory, number, voice_url, method))
    print_line(f"number {number} " + (f"is answered by {voice_url}" if voice_url else f"rings the line {number}"))


@app.command("list")
def list_numbers(config: Config = None, store: Store = None) -> None:
    """List the numbers."""
    settings = settings_from(config=config, store=store)
    rows = list_entries(
        settings,
        "numbers",
        lambda entry: (str(entry["phone_number"]), str(entry["voice_url"] or "")),
        lambda directory: ((each.phone_number, each.voice.voice_url or "") for each in directory.numbers.all()),
    )
    print_table(("NUMBER", "VOICE URL"), rows, empty="no numbers yet: holdfast number add +15550100 --voice-url …")


@app.command("remove")
def remove(number: Number, config: Config = None, store: Store = None) -> None:
    """Remove a number. Live calls continue."""
    number = _checked(number)
    settings = settings_from(config=config, store=store)
    missing = CommandStopped(f"{number} is no number of yours", fix="holdfast number list")
    remove_entry(settings, "numbers", number, lambda directory: directory.numbers.remove(number), missing=missing)
    print_line(f"number {number} is removed")
    note_if_in_file("numbers", number, settings.numbers)


def _checked(number: str) -> str:
    if not re.match(E164, number):
        raise CommandStopped(
            f"{number!r} is not a phone number in E.164",
            fix="Give a plus, the country code and the number, only digits: +15550100",
            status=WRONG_SETTINGS,
        )
    return number


async def _put(directory: Directory, number: str, voice_url: str | None, method: Literal["GET", "POST"]) -> None:
    known: NumberRecord = directory.number(number) or directory.new_number(number, now=time.time())
    voice = replace(known.voice, voice_url=voice_url, voice_method=method)
    await directory.numbers.put(replace(known, voice=voice, voice_application_sid=None, updated_at=time.time()))
