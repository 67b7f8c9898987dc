"""(c) Keep the other leg alive, with an `action` on the <Dial>. The voice URL of a number is /voice here.

    python examples/c_keep_other_leg_action.py 8000 +15550123

When the dialled leg is held (d), the <Dial> of this one ends without a DialCallDuration: then it waits.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs

from twilio.twiml.voice_response import VoiceResponse


def answer(path: str, form: dict[str, list[str]]) -> VoiceResponse:
    response = VoiceResponse()
    if path == "/voice":
        response.dial(sys.argv[2], action="/after")
    elif "DialCallDuration" in form:
        response.hangup()
    else:
        response.pause(length=20)
        response.redirect("/after")
    return response


class App(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        form = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        body = str(answer(self.path, form)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(sys.argv[1])), App).serve_forever()
