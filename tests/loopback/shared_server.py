"""Send requests to the server that tests share (`shared` in `conftest.py`)."""

import asyncio

from holdfast.cli.client import Client
from holdfast.store.account_file import StoredAccount
from holdfast.testing.server import Server

PASSWORD = "wonderland"
"""Of every line: alice, bob, carol and `CUSTOMER`."""
CUSTOMER = "+15550123"
"""A number that rings the line of its name."""


def client(server: Server) -> Client:
    """Return a client of a server's JSON API."""
    return Client(url=server.url, credentials=StoredAccount(sid=server.account_sid, token=server.auth_token))


async def answers(server: Server, number: str, url: str) -> None:
    """Let this URL answer this number from now on."""
    await asyncio.to_thread(client(server).post, "/engine/numbers", {"phone_number": number, "voice_url": url})
