"""`holdfast ladder`: everything that happened to one call, drawn."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.client import NOT_FOUND, Refused, client_of
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import Stop, say


def ladder(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    config: Config = None,
    store: Store = None,
) -> None:
    """Draw a call's SIP messages, webhooks, verbs and audio changes as one ladder.

    \b
    holdfast ladder CA…
    holdfast ladder CA… | less
    """
    try:
        drawn = client_of(settings_from(config=config, store=store)).text(f"/engine/ladder/{call}")
    except Refused as refused:
        if refused.http_status != NOT_FOUND:
            raise
        raise Stop(f"there is no call {call}", fix="holdfast calls lists the live ones.") from refused
    for line in drawn.splitlines():
        say(line)
