"""Run `holdfast account`: print the variables with which a program uses the engine."""

from __future__ import annotations

import shlex

from holdfast.cli.client import load_credentials
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.run_file import address_of
from holdfast.cli.terminal import OUT, print_line, print_note


def account(config: Config = None, store: Store = None) -> None:
    """Print the account as lines for a shell.

    The SID and the token are made on first use and kept beside the store, in a file that only you can read.

    \b
    holdfast account                   print them
    eval "$(holdfast account)"         use them in this shell
    python examples/a_hold_in_conference.py CF… CA… http://…
    """
    settings = settings_from(config=config, store=store)
    credentials = load_credentials(settings)
    url = address_of(settings)
    values = {
        "TWILIO_ACCOUNT_SID": credentials.sid,
        "TWILIO_AUTH_TOKEN": credentials.token,
        "TWILIO_API_BASE_URL": url,
    }
    for name, value in values.items():
        print_line(f"export {name}={shlex.quote(value)}")
    if OUT.is_terminal:
        print_note(f'# in code: client.api.base_url = "{url}"   or, without an edit: holdfast run -- python app.py')
