"""`holdfast console`: a link that signs a browser in to the console."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.client import client_of
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import note, say
from holdfast.console.app import KEYS
from holdfast.console.sessions import link


def console(
    local: Annotated[
        bool, typer.Option("--local", help="A link to this machine's own address, where public_url names another.")
    ] = False,
    config: Config = None,
    store: Store = None,
) -> None:
    """Print a link that signs a browser in to the console. It is good once, for ten minutes.

    The session it begins lasts 12 hours at most, and ends with the server.

    \b
    holdfast console
    xdg-open "$(holdfast console)"     open it at once
    """
    settings = settings_from(config=config, store=store)
    client = client_of(settings)
    key = str(client.post(KEYS, has="key")["key"])
    say(link(client.url if local else settings.public_url or client.url, key))
    note("good once, for ten minutes")
