"""Run `holdfast calls`: list the live calls and what each hears."""

from __future__ import annotations

from typing import Any

from holdfast.cli.client import make_client
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import print_table


def calls(config: Config = None, store: Store = None) -> None:
    """List the live calls: their parties, whether they are held, and what each hears.

    \b
    holdfast calls
    holdfast calls | cut -f1           without a terminal: one call per line, with tabs
    holdfast hold CA…
    """
    listed = make_client(settings_from(config=config, store=store)).get("/calls", required_key="calls")
    print_table(
        ("CALL", "FROM", "TO", "STATUS", "HELD", "HEARS", "HOLD"),
        [call_row(call) for call in listed["calls"]],
        empty="no live calls; a phone can call in now (docs/phones.md), or an app can POST Calls",
    )


def call_row(call: dict[str, Any]) -> tuple[str, ...]:
    """Return a call as the table shows it. HELD tells a hold of the service from one by the phone itself."""
    shown = [call.get(key) for key in ("sid", "from", "to", "status")]
    held = ", ".join(word for word, key in (("held", "held"), ("by phone", "held_by_phone")) if call.get(key))
    hears = call.get("hears") or ("nothing" if call.get("held_by_phone") else "")
    return (*(str(value or "") for value in shown), held, str(hears), str(call.get("hold") or ""))
