"""Run `holdfast ladder`: draw everything that happened to one call."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import typer

from holdfast.cli.client import call_errors, make_client
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import print_line


def ladder(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    sip: Annotated[bool, typer.Option("--sip", help="Print the whole SIP messages instead.")] = False,
    config: Config = None,
    store: Store = None,
) -> None:
    """Draw a call's SIP messages, webhooks, verbs and audio changes as one ladder.

    \b
    holdfast ladder CA…
    holdfast ladder CA… | less
    holdfast ladder CA… --sip
    """
    client = make_client(settings_from(config=config, store=store))
    path = f"/engine/ladder/{call}"
    with call_errors(call):
        drawn = "\n".join(messages(client.get(path, required_key="entries"))) if sip else client.text(path)
    for line in drawn.splitlines():
        print_line(line)


def messages(ladder: Mapping[str, Any]) -> Iterator[str]:
    """Yield the SIP messages of a call as they were sent and received, the oldest first."""
    began = ladder["entries"][0]["at"]
    for entry in ladder["entries"]:
        if entry["kind"] == "sip":
            way = "from" if entry["data"]["received"] else "to"
            yield f"{entry['at'] - began:9.3f}  {way} {entry['data']['peer']}"
            yield ""
            yield from entry["data"]["text"].splitlines()
            yield ""
