"""The application behind a number: it answers webhooks with documents, and notes when each was requested."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from urllib.parse import parse_qs

from holdfast.testing.loopback_server import Handler, LoopbackServer


class Application(LoopbackServer):
    """A web server on a free loopback port that keeps connections open, as web servers do.

    Shape: `requested_at` is by the `From` of the webhook; a page is its documents: the first request gets the first,
    and so on; all requests after the last get that one. Units: seconds since the Unix epoch.
    """

    def __init__(self, **pages: Sequence[str]) -> None:
        super().__init__()
        self._pages = pages
        self.requests: Counter[str] = Counter()
        self.requested_at: dict[str, float] = {}

    def _next(self, page: str) -> bytes:
        documents = self._pages[page]
        number = min(self.requests[page], len(documents) - 1)
        self.requests[page] += 1
        return documents[number].encode()

    def handler(self) -> type[Handler]:
        """Return the request handler that serves the documents."""
        application = self

        class Webhooks(Handler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                asked_at = time.time()
                application.requested_at[parse_qs(self.body().decode()).get("From", [""])[0]] = asked_at
                self.answer(application._next(self.path.strip("/")), kind="text/xml")

        return Webhooks
