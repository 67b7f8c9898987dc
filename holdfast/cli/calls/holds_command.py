"""Run `holdfast hold`, `resume` and `holds`: the product at the command line."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import Annotated, Any

import typer

from holdfast.cli.client import Client, make_client
from holdfast.cli.options import WRONG_SETTINGS, Config, Store, number_of, settings_from
from holdfast.cli.terminal import CommandStopped, print_line, print_note, print_table


def hold(
    call: Annotated[str, typer.Argument(metavar="CALL", help="The call's SID, CA….")],
    music: Annotated[str | None, typer.Option(metavar="URL", help="The hold music; else the default music.")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who holds the call.")] = None,
    reason: Annotated[str | None, typer.Option(metavar="TEXT", help="The reason, for the history.")] = None,
    limit: Annotated[
        str | None,
        typer.Option(metavar="SECONDS", help="The longest hold; within 5 s after it, the call is resumed."),
    ] = None,
    config: Config = None,
    store: Store = None,
) -> None:
    """Put a call on hold: the party hears music, and no other party hears it.

    Holding a held call is no error: the hold stays the same. Prints the id of the hold.

    \b
    holdfast calls                     find the call
    holdfast hold CA…
    holdfast hold CA… --music https://example.com/music.mp3 --by alice
    holdfast resume CA…
    """
    limit_s = None if limit is None else number_of("--limit", limit)
    body: dict[str, object] = {"call": call, "music": music, "by": by, "reason": reason, "limit_s": limit_s}
    done = make_client(settings_from(config=config, store=store)).post("/holds", body, required_key="status")
    print_line(f"{done['id']} {done['status']}")


def resume(
    which: Annotated[str, typer.Argument(metavar="CALL|HOLD", help="The call's SID, CA…, or the hold's id, HO….")],
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who resumes the call.")] = None,
    config: Config = None,
    store: Store = None,
) -> None:
    """Resume a held call: the party is in its conversation again.

    \b
    holdfast resume CA…                by the call
    holdfast resume HO…                by the hold
    """
    if not which.startswith(("CA", "HO")) or not which.isalnum():
        raise CommandStopped(
            f"{which!r} is neither a call (CA…) nor a hold (HO…)", fix="holdfast holds", status=WRONG_SETTINGS
        )
    done = make_client(settings_from(config=config, store=store)).post(
        f"/holds/{which}/resume", {"by": by}, required_key="status"
    )
    print_line(f"{done['id']} {done['status']}")


def holds(
    watch: Annotated[bool, typer.Option("--watch", help="Print events as they happen, until Ctrl-C.")] = False,
    config: Config = None,
    store: Store = None,
) -> None:
    """List the holds, newest first, or watch their events.

    \b
    holdfast holds
    holdfast holds --watch             until Ctrl-C
    """
    client = make_client(settings_from(config=config, store=store))
    with ExitStack() as stack:
        # The watch begins before the list, so that no event between them is missed.
        events = stack.enter_context(client.events("/events")) if watch else None
        _list(client)
        if events is not None:
            print_note("watching; Ctrl-C ends it")
            for event in events:
                print_line(f"{_clock(event['at'])}  {event['hold']}  {event['call']}  {event['kind']}{_detail(event)}")
            raise CommandStopped("the server has stopped", fix="holdfast serve")


def _list(client: Client) -> None:
    print_table(
        ("HOLD", "CALL", "STATUS", "BY", "SINCE"),
        [_row(hold) for hold in client.get("/holds", required_key="holds")["holds"]],
        empty="no call was held yet; holdfast calls lists the calls you can hold",
    )


def _row(hold: dict[str, Any]) -> tuple[str, ...]:
    since = hold.get("held_at") or hold.get("asked_at")
    return (
        str(hold["id"]),
        str(hold["call"]),
        str(hold["status"]),
        str(hold.get("by") or ""),
        _clock(since) if since else "",
    )


def _detail(event: dict[str, Any]) -> str:
    return f"  {event['detail']}" if event.get("detail") else ""


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at))
