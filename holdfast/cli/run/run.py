"""Run `holdfast run`: start a program so that its official Twilio SDK uses the engine."""

from __future__ import annotations

import os
import shutil
from typing import Annotated

import typer

from holdfast.cli.client import load_credentials
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.run.environment import child_environment
from holdfast.cli.run_file import address_of, find_run_file
from holdfast.cli.terminal import CommandStopped, print_note

NOT_FOUND, NOT_STARTED = 127, 126
"""The exit status for a program that is missing, or cannot be run. Source: POSIX, Shell Command Language, 2.8.2."""


def run(
    command: Annotated[list[str], typer.Argument(metavar="-- PROGRAM [ARGUMENT]…", help="The program to start.")],
    config: Config = None,
    store: Store = None,
) -> None:
    """Start a program whose official Twilio SDK (Python or Node) then uses the engine, without an edit.

    The program has the engine's account in its environment, and its SDK uses the engine's address.

    \b
    holdfast run -- python app.py
    holdfast run -- flask run --port 5000
    holdfast run -- node server.js

    A program whose code has an account SID and a token must read them from TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN
    instead.
    """
    settings = settings_from(config=config, store=store)
    credentials = load_credentials(settings)
    if shutil.which(command[0]) is None:
        raise CommandStopped(
            f"there is no program {command[0]!r}", fix="holdfast run -- python app.py", status=NOT_FOUND
        )
    if find_run_file(settings.store_path) is None:
        print_note("no Holdfast runs with this store yet; start it in another terminal: holdfast serve")
    environment = child_environment(os.environ, url=address_of(settings), sid=credentials.sid, token=credentials.token)
    try:
        os.execvpe(command[0], command, environment)
    except OSError as error:
        fix = "A script without `#!` needs its interpreter: holdfast run -- python app.py"
        raise CommandStopped(
            f"{command[0]!r} cannot be started: {error.strerror}", fix=fix, status=NOT_STARTED
        ) from error
