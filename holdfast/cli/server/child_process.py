"""Run one process of a server: `python -m holdfast.cli.server.child_process MODULE …`.

Imported modules stay until the process ends, so the garbage collector does not examine them: neither during the
import, which saves a tenth of the start, nor in later collections. At the end the interpreter is not torn down:
`main` has closed what must be closed, and half a second of a restart is half a second without signalling.
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
    """Return the command that starts such a process."""
    return [sys.executable, "-m", __name__, module, *arguments]


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
