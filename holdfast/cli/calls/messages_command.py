"""Run `holdfast messages`: list the messages that programs sent, none of which was delivered."""

from __future__ import annotations

from typing import Any

from holdfast.cli.client import make_client
from holdfast.cli.options import Config, Store, settings_from
from holdfast.cli.terminal import print_table


def messages(config: Config = None, store: Store = None) -> None:
    """List the messages that programs sent by REST, the newest first. None was delivered: they are only recorded.

    \b
    holdfast messages
    holdfast messages | cut -f5        without a terminal: one message per line, with tabs
    """
    client = make_client(settings_from(config=config, store=store))
    path = f"/2010-04-01/Accounts/{client.credentials.sid}/Messages.json?PageSize=1000"
    listed = client.get(path, required_key="messages")
    print_table(
        ("MESSAGE", "DATE", "FROM", "TO", "TEXT", "STATUS"),
        [message_row(message) for message in listed["messages"]],
        empty="no messages; a program can POST Messages, and they are recorded here and not delivered",
    )


def message_row(message: dict[str, Any]) -> tuple[str, ...]:
    """Return a message as the table shows it: its text in one line."""
    text = " ".join(str(message.get("body") or "").split())
    media = f"[{message['num_media']} media]" if message.get("num_media") not in (None, "0") else ""
    sender = message.get("from") or message.get("messaging_service_sid")
    shown = (message.get("sid"), message.get("date_created"), sender, message.get("to"))
    return (*(str(value or "") for value in shown), f"{text} {media}".strip(), "not delivered")
