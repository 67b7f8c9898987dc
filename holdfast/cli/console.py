"""Run `holdfast console`: print a link that signs a browser in to the console."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.client import make_client
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import print_line, print_note
from holdfast.console.app import KEYS
from holdfast.console.sessions import sign_in_url


def console(
    local: Annotated[
        bool, typer.Option("--local", help="Print a link to this machine's own address, not to public_url.")
    ] = False,
    config: Config = None,
    store: Store = None,
) -> None:
    """Print a link that signs a browser in to the console. It can be used once, within ten minutes.

    Its session lasts 12 hours at most, and ends when the server stops.

    \b
    holdfast console
    xdg-open "$(holdfast console)"     open it in a browser
    """
    settings = settings_from(config=config, store=store)
    client = make_client(settings)
    key = str(client.post(KEYS, required_key="key")["key"])
    print_line(sign_in_url(client.url if local else settings.public_url or client.url, key))
    print_note("it can be used once, within ten minutes")
