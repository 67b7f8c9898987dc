"""Run `holdfast explain`: say why a call is silent, and what it waits for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import typer

from holdfast.cli.client import call_errors, make_client
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import print_line


def explain(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    config: Config = None,
    store: Store = None,
) -> None:
    """Say in plain words why a call is silent, and what it waits for.

    \b
    holdfast explain CA…
    """
    client = make_client(settings_from(config=config, store=store))
    with call_errors(call):
        text = client.text(f"/engine/explain/{call}")
    for line in [*text.splitlines(), *holds_of(call, client.get("/calls", required_key="calls")["calls"])]:
        print_line(line)


def holds_of(call: str, calls: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield what only the holds service knows: which hold keeps the call, or the other party."""
    live = {each["sid"]: each for each in calls}
    this = live.get(call, {})
    for party, known in (("It", this), ("The other party", live.get(this.get("peer") or "", {}))):
        if known.get("held") and known.get("hold"):
            yield f"{party} is kept by hold {known['hold']}, until `holdfast resume {known['hold']}`."
