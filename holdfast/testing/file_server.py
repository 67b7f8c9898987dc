"""A small web server for tests and benches: the files it is given, and documents added while it runs."""

from __future__ import annotations

import mimetypes
from collections import deque
from pathlib import Path
from urllib.parse import urlsplit

from holdfast.testing.loopback_server import Handler, LoopbackServer


class FileServer(LoopbackServer):
    """A server of files on a free loopback port, for GET and POST; `requested` lists the requested paths."""

    def __init__(self, *files: Path) -> None:
        super().__init__()
        self._contents = {f"/{path.name}": path.read_bytes() for path in files}
        self._cacheable = frozenset(self._contents)
        """The paths that may be cached: the files do not change, the documents may."""
        self.requested: deque[str] = deque()

    def handler(self) -> type[Handler]:
        """Return the request handler that serves the files."""
        server = self

        class Files(Handler):
            def do_GET(self) -> None:
                path = urlsplit(self.path).path
                server.requested.append(path)
                found = server._contents.get(path)
                cache_headers = {"Cache_Control": "public, max-age=3600"} if path in server._cacheable else {}
                kind = mimetypes.guess_type(path)[0] or "text/plain"
                self.answer(found or b"", kind=kind, status=404 if found is None else 200, **cache_headers)

            def do_POST(self) -> None:
                self.body()
                self.do_GET()

        return Files

    def put(self, name: str, text: str) -> str:
        """Serve this text under a name from now on, and return its URL."""
        self._contents[f"/{name}"] = text.encode()
        return self.url(name)
