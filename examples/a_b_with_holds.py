"""(a) and (b) in one line each: hold a call, wait for Enter, resume it.

    python examples/a_b_with_holds.py CA… https://example.com/music.mp3

Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import asyncio
import sys

from holdfast.holds import Account, Holds


async def main(call: str, music: str) -> None:
    async with Holds(Account.twilio()) as holds:
        hold = await holds.hold(call, music=music)  # (a)
        print(f"{call}: {hold.status}", flush=True)
        await asyncio.to_thread(sys.stdin.readline)
        hold = await holds.resume(hold)  # (b), and a party who has left is an outcome like any other
        print(f"{call}: {hold.status}")


asyncio.run(main(*sys.argv[1:]))
