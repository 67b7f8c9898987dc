"""`holdfast explain`: why a call is silent, and what it waits for."""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.client import NOT_FOUND, Refused, client_of
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import Stop, say


def explain(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    config: Config = None,
    store: Store = None,
) -> None:
    """Say in plain words why a call is silent, and what it waits for.

    \b
    holdfast explain CA…
    """
    try:
        told = client_of(settings_from(config=config, store=store)).text(f"/engine/explain/{call}")
    except Refused as refused:
        if refused.http_status != NOT_FOUND:
            raise
        raise Stop(f"there is no call {call}", fix="holdfast calls lists the live ones.") from refused
    for line in told.splitlines():
        say(line)
