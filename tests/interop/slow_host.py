"""A host with many slow HTTP connections: `python -m tests.interop.slow_host PORT SOURCE COUNT`, until it is ended.

Some say nothing, some half a header, some half a body; each says one byte more in a second, and one that was closed
comes again.
"""

from __future__ import annotations

import socket
import sys
import time
from contextlib import suppress

from holdfast.cli.server.http_limits import raise_file_limit

FIRST = (
    b"",
    b"GET /healthz HTTP/1.1\r\nHost: a\r\n",
    b"POST /holds HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{",
)
PAUSE_S = 1.0


def main(port: int, source: str, count: int) -> None:
    """Go on until ended. Says `all here` once all have come."""
    raise_file_limit()
    here: dict[int, socket.socket] = {}
    while True:
        for number in range(count):
            with suppress(OSError):
                if number not in here:
                    here[number] = socket.create_connection(("127.0.0.1", port), timeout=5, source_address=(source, 0))
                    here[number].setblocking(False)
                    here[number].send(FIRST[number % len(FIRST)])
                elif is_closed(here[number]):
                    here.pop(number).close()
                elif FIRST[number % len(FIRST)]:
                    here[number].send(b"x")
        print("all here", flush=True)
        time.sleep(PAUSE_S)


def is_closed(one: socket.socket) -> bool:
    """Whether the far end has closed it."""
    try:
        return not one.recv(1000)
    except BlockingIOError:
        return False
    except OSError:
        return True


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
