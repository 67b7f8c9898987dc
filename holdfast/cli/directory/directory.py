"""The directory of lines and numbers: asked of the running server, else changed in the store itself."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Literal, TypeVar

from holdfast.cli.client import Client, load_credentials, make_client
from holdfast.cli.run_file import find_run_file
from holdfast.cli.terminal import CommandStopped, print_note
from holdfast.settings import Settings
from holdfast.voice.model.errors import StoreFailed
from holdfast.voice.model.ids import AccountSid
from holdfast.voice.runtime.directory.directory import Directory

R = TypeVar("R")

Section = Literal["lines", "numbers", "routes"]
"""What the directory holds, as `holdfast.toml` and the engine's own API call it."""


def find_server(settings: Settings) -> Client | None:
    """The running server, which must be asked because it holds the directory in memory; None when none runs."""
    return make_client(settings) if find_run_file(settings.store_path) else None


def remove_entry(
    settings: Settings,
    section: Section,
    key: str,
    work: Callable[[Directory], Awaitable[bool]],
    *,
    missing: CommandStopped,
) -> None:
    """Remove a line, a number or a route. Raises: `missing` when it is not there, Stop."""
    server = find_server(settings)
    removed = server.delete(f"/engine/{section}/{key}") if server else with_stored_directory(settings, work)
    if not removed:
        raise missing


def note_if_in_file(section: Section, key: str, listed: Collection[str]) -> None:
    """Say so when the settings still list what was removed."""
    if key in listed:
        print_note(f"it stands in holdfast.toml too, and comes back with the next start: remove it from [{section}]")


def with_stored_directory(settings: Settings, work: Callable[[Directory], Awaitable[R]]) -> R:
    """Work on the stored directory while no server runs. Raises: Stop."""
    # The database is a quarter of a second of imports, which other commands need not wait for.
    from holdfast.cli.server.stored_row_readers import READERS
    from holdfast.store.database import DatabaseInvalid, open_database
    from holdfast.store.key_values import SqlKeyValues

    async def opened() -> R:
        async with open_database(settings.store_path, readers=READERS) as database:
            account = AccountSid(load_credentials(settings).sid)
            return await work(await Directory.open(SqlKeyValues(database), account=account, now=time.time()))

    try:
        return asyncio.run(opened())
    except (DatabaseInvalid, StoreFailed) as error:
        raise CommandStopped(str(error)) from error
