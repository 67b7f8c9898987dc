"""(e) Resume a held leg: the other one takes it out of its queue.

    python examples/e_resume_a_leg.py CA…held CA…other https://example.com/after

The last URL, where (c) lets the other leg wait, is where that one continues when the held leg is held again.
Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import os
import sys

from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

client = Client()
client.api.base_url = os.environ.get("TWILIO_API_BASE_URL", client.api.base_url)

held, other, after = sys.argv[1:]
connect = VoiceResponse()
connect.dial(action=after).queue(f"hold-{held}")
client.calls(other).update(twiml=str(connect))
print(f"{other} takes {held} out of hold-{held}")
