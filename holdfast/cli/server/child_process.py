"""`python -m holdfast.cli.server.child_process MODULE …`: one process of a server, begun and ended without waste.

What is imported stays to the end, so the garbage collector is kept from looking through it: neither while it comes,
which is a tenth of a start, nor in any later collection. At the end nothing is taken apart that ends with the process
anyway: `main` has closed what must be closed, and half a second of a restart is half a second without signalling.
"""

from __future__ import annotations

import gc
import importlib
import logging
import os
import sys
from typing import NoReturn


def run(module: str, arguments: list[str]) -> NoReturn:
    """Import a module, run its `main(arguments)`, and end this process with the status it returns."""
    gc.disable()
    main = importlib.import_module(module).main
    gc.freeze()
    gc.enable()
    status: int = main(arguments)
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)


def command(module: str, *arguments: str) -> list[str]:
    """What starts such a process."""
    return [sys.executable, "-m", __name__, module, *arguments]


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
