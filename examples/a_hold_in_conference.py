"""(a) Put a conference participant on hold: they hear your music, and no other participant hears them.

    python examples/a_hold_in_conference.py CF… CA… https://example.com/music.mp3

An audio file plays once; give the URL of a TwiML document (<Play loop="0">) for music without end.
Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import os
import sys

from twilio.rest import Client

client = Client()
client.api.base_url = os.environ.get("TWILIO_API_BASE_URL", client.api.base_url)

conference, call, music = sys.argv[1:]
participant = client.conferences(conference).participants(call).update(hold=True, hold_url=music, hold_method="GET")
print(f"{call} on hold: {participant.hold}")
