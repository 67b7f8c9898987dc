"""`python -m holdfast`, and the `holdfast` command."""

from __future__ import annotations

import gc
import sys

from holdfast.cli import INTERRUPTED


def main() -> None:
    """Run one command and exit with its status."""
    try:
        gc.disable()  # what is imported stays: looking through it meanwhile is a tenth of the start
        from holdfast.cli.app import run

        gc.freeze()
        gc.enable()

        sys.exit(run(sys.argv[1:]))
    except KeyboardInterrupt:  # before there was a command to be interrupted
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
