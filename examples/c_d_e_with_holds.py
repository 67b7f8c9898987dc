"""(c), (d) and (e) in one line each: a web application whose two-leg calls can be held, either leg, again and again.

    python examples/c_d_e_with_holds.py http://127.0.0.1:8000

(c) The voice URL of a number:  http://127.0.0.1:8000/twiml/dial?to=%2B15550123
(d) Hold either leg:            curl -X POST http://127.0.0.1:8000/holds --json '{"call": "CA…"}'
(e) Resume it:                  curl -X POST http://127.0.0.1:8000/holds/HO…/resume
Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import asyncio
import sys
from urllib.parse import urlsplit

import uvicorn

from holdfast.holds import Account, Holds
from holdfast.holds.web.app import make_web


async def main(public_url: str) -> None:
    """Serve the web application.

    Any client that reaches this port may hold: put your own login in front of all but /twiml.
    """
    async with Holds(Account.twilio(), public_url=public_url) as holds:
        await uvicorn.Server(uvicorn.Config(make_web(holds), port=urlsplit(public_url).port or 80)).serve()


asyncio.run(main(sys.argv[1]))
