"""`holdfast ladder`: everything that happened to one call, drawn."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from holdfast.cli.client import about_call, client_of
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import say


def ladder(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    sip: Annotated[bool, typer.Option("--sip", help="Its SIP messages instead, whole.")] = False,
    config: Config = None,
    store: Store = None,
) -> None:
    """Draw a call's SIP messages, webhooks, verbs and audio changes as one ladder.

    \b
    holdfast ladder CA…
    holdfast ladder CA… | less
    holdfast ladder CA… --sip
    """
    client = client_of(settings_from(config=config, store=store))
    path = f"/engine/ladder/{call}"
    with about_call(call):
        drawn = "\n".join(messages(client.get(path, has="entries"))) if sip else client.text(path)
    for line in drawn.splitlines():
        say(line)


def messages(ladder: Mapping[str, Any]) -> Iterator[str]:
    """The SIP messages of a call as they were sent and came, the oldest first."""
    began = ladder["entries"][0]["at"]
    for entry in ladder["entries"]:
        if entry["kind"] == "sip":
            way = "from" if entry["data"]["received"] else "to"
            yield f"{entry['at'] - began:9.3f}  {way} {entry['data']['peer']}"
            yield ""
            yield from entry["data"]["text"].splitlines()
            yield ""
