"""Write the lines that `holdfast serve` prints when it is ready."""

from __future__ import annotations

import sys

from holdfast.cli.run_file import RunFile
from holdfast.console.sessions import Sessions, sign_in_url
from holdfast.store.account_file import StoredAccount


def sign_in_link(base_url: str, sessions: Sessions) -> str | None:
    """Return a link that signs in to the console, or None when standard output is no terminal."""
    if not sys.stdout.isatty():
        return None
    return sign_in_url(base_url, sessions.new_key())


def greeting(
    running: RunFile, credentials: StoredAccount, tls_port: int | None, *, sign_in_url: str | None
) -> list[str]:
    """Return the lines to print when the server is ready. `tls_port` is the port of SIP over TLS."""
    console = "holdfast console prints a link to the console, valid once, for ten minutes"
    if sign_in_url is not None:
        console = f"console, by this link once, for ten minutes: {sign_in_url} (another: holdfast console)"
    tls = "" if tls_port is None else f", over TLS at port {tls_port}"
    return [
        f"Holdfast is ready: console and API at {running.url}, SIP over UDP and TCP at {running.sip}{tls}",
        f"  {console}",
        f"  account {credentials.sid}; holdfast account prints the lines for your program",
        "  Ctrl-C hangs up every call and stops",
    ]
