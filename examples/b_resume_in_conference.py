"""(b) Resume a conference participant; if they hung up meanwhile, report it.

    python examples/b_resume_in_conference.py CF… CA…

Twilio: TWILIO_ACCOUNT_SID and TWILIO_AUTH_TOKEN. Holdfast's engine: the same, and TWILIO_API_BASE_URL.
"""

import os
import sys

from twilio.base.exceptions import TwilioRestException
from twilio.rest import Client

NOT_FOUND = 20404
"""The account does not list a participant who has left. Source: Twilio, error 20404."""

client = Client()
client.api.base_url = os.environ.get("TWILIO_API_BASE_URL", client.api.base_url)

conference, call = sys.argv[1:]
try:
    participant = client.conferences(conference).participants(call).update(hold=False)
except TwilioRestException as error:
    if error.code != NOT_FOUND:
        raise
    sys.exit(f"{call} has left the conference: there is nobody to resume")
print(f"{call} on hold: {participant.hold}")
