"""(c) Keep the other leg alive, with a <Redirect> after the <Dial>. The voice URL of a number is /voice here.

    python examples/c_keep_other_leg_redirect.py 8000 +15550123

When the dialled leg is held (d), the <Dial> of this one ends, and it continues where the <Redirect> leads.
It goes there after any end of the <Dial>; the `action` of c_keep_other_leg_action.py can tell the ends apart.
"""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from twilio.twiml.voice_response import VoiceResponse


def answer(path: str) -> VoiceResponse:
    """Return the document for a path."""
    response = VoiceResponse()
    if path == "/voice":
        response.dial(sys.argv[2])
    else:
        response.pause(length=20)
    response.redirect("/waiting")
    return response


class App(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = str(answer(self.path)).encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/xml")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


ThreadingHTTPServer(("", int(sys.argv[1])), App).serve_forever()
