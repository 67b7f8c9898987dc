"""What `holdfast serve` says to the person who started it."""

from __future__ import annotations

import sys

from holdfast.cli.run_file import RunFile
from holdfast.console.sessions import Sessions, sign_in_url
from holdfast.store.account_file import StoredAccount


def sign_in_link(base_url: str, sessions: Sessions) -> str | None:
    """A link to the console for the person who starts the server; none where a log is all that reads it."""
    if not sys.stdout.isatty():
        return None
    return sign_in_url(base_url, sessions.new_key())


def greeting(
    running: RunFile, credentials: StoredAccount, tls_port: int | None, *, sign_in_url: str | None
) -> list[str]:
    """What a person wants to know when it has started. `secured` is the port of SIP over TLS."""
    console = "holdfast console prints a link to the console, good once, for ten minutes"
    if sign_in_url is not None:
        console = f"console, by this link once, for ten minutes: {sign_in_url} (another: holdfast console)"
    tls = "" if tls_port is None else f", over TLS at port {tls_port}"
    return [
        f"Holdfast is ready: console and API at {running.url}, SIP over UDP and TCP at {running.sip}{tls}",
        f"  {console}",
        f"  account {credentials.sid}; holdfast account prints the lines for your program",
        "  Ctrl-C hangs up every call and stops",
    ]
