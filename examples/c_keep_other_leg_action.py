"""(c) Keep the other leg alive, with an `action` on the <Dial>. The voice URL of a number is /voice here.

    python examples/c_keep_other_leg_action.py 8000 +15550123

The <Dial> ends when the dialled leg is held (d), and when it hangs up: this one waits as long as the other lives.
"""

import os
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qsl, urlsplit

from twilio.rest import Client
from twilio.twiml.voice_response import VoiceResponse

client = Client()
client.api.base_url = os.environ.get("TWILIO_API_BASE_URL", client.api.base_url)


def answer(path: str, form: dict[str, str]) -> VoiceResponse:
    response, other = VoiceResponse(), form.get("other") or form.get("DialCallSid")
    if path == "/voice":
        response.dial(sys.argv[2], action="/after")
    elif other and client.calls(other).fetch().status == "in-progress":
        response.pause(length=5)
        response.redirect(f"/after?other={other}")
    return response  # without a verb in it: hang up


class App(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        url, body = urlsplit(self.path), self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.end_headers()
        self.wfile.write(str(answer(url.path, dict(parse_qsl(f"{url.query}&{body}")))).encode())


ThreadingHTTPServer(("", int(sys.argv[1])), App).serve_forever()
