"""The application behind a number: answers its webhooks with documents, and knows when each call was asked for."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Self
from urllib.parse import parse_qs


class Application:
    """Serves on a free loopback port and keeps connections open, as web servers do.

    Shape: `asked_at` is by the `From` of the webhook; a page is its documents, the first of which the first to ask
    gets, and so on; all who come after the last get that. Units: seconds since the Unix epoch.
    """

    def __init__(self, **pages: Sequence[str]) -> None:
        self._pages = pages
        self.asked: Counter[str] = Counter()
        self.asked_at: dict[str, float] = {}

    def _next(self, page: str) -> bytes:
        documents = self._pages[page]
        number = min(self.asked[page], len(documents) - 1)
        self.asked[page] += 1
        return documents[number].encode()

    def __enter__(self) -> Self:
        application = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                asked_at = time.time()
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                application.asked_at[parse_qs(body).get("From", [""])[0]] = asked_at
                document = application._next(self.path.strip("/"))
                self.send_response(200)
                self.send_header("Content-Type", "text/xml")
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), name="application", daemon=True
        )
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, page: str) -> str:
        """Of a page."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{page}"
