"""(d) Hold one leg of a two-leg call: it waits in a queue of its own and hears your music.

    python examples/d_hold_a_leg.py CA… https://example.com/music.mp3

CA… is the leg that was dialled; the other one must have a document to continue with (c). Redirected first, the
leg that dialled would end this one.
Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import os
import sys

from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

client = Client()
client.api.base_url = os.environ.get("TWILIO_API_BASE_URL", client.api.base_url)

call, music = sys.argv[1:]
wait = VoiceResponse()
wait.enqueue(f"hold-{call}", wait_url=music, wait_url_method="GET")
client.calls(call).update(twiml=str(wait))
print(f"{call} waits in hold-{call}")
