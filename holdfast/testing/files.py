"""A small web server for tests and benches: the files it is given, and documents put there while it runs."""

from __future__ import annotations

import mimetypes
import threading
from collections import deque
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit


class FileServer:
    """Serves on a free loopback port, to GET and POST alike; `asked` lists the paths that were asked for."""

    def __init__(self, *files: Path) -> None:
        self._contents = {f"/{path.name}": path.read_bytes() for path in files}
        self._kept = frozenset(self._contents)
        """What may be cached: the files do not change, the documents put there may."""
        self.asked: deque[str] = deque()

    def __enter__(self) -> Self:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append(urlsplit(self.path).path)
                body = server._contents.get(urlsplit(self.path).path)
                self.send_response(404 if body is None else 200)
                self.send_header("Content-Type", mimetypes.guess_type(urlsplit(self.path).path)[0] or "text/plain")
                self.send_header("Content-Length", str(len(body or b"")))
                if urlsplit(self.path).path in server._kept:
                    self.send_header("Cache-Control", "public, max-age=3600")
                self.end_headers()
                self.wfile.write(body or b"")

            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.do_GET()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing: what was asked is in `asked`."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="files", daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def url(self, name: str) -> str:
        """The URL of a file."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/{name}"

    def put(self, name: str, text: str) -> str:
        """Serve this text under a name from now on; its URL."""
        self._contents[f"/{name}"] = text.encode()
        return self.url(name)
