"""What answers a number of a server that runs already."""

import asyncio

from holdfast.cli.client import Client
from holdfast.store.account import Credentials
from holdfast.testing.server import Server


async def answers(server: Server, number: str, url: str) -> None:
    """Have this URL answer this number from now on."""
    api = Client(url=server.url, credentials=Credentials(sid=server.account_sid, token=server.auth_token))
    await asyncio.to_thread(api.post, "/engine/numbers", {"phone_number": number, "voice_url": url})
