"""`python -m holdfast.voice.media_process --socket PATH [--ip 127.0.0.1 --base 16384 --rows N]`."""

from __future__ import annotations

import gc
import os
import sys


def main() -> int:
    """Run the media process until it is asked to end; return its exit status."""
    # numpy's library for matrix products starts a thread per core, and the threads busy-wait for each other. Our
    # products are small, and the cores are shared. The library reads this once, when it is loaded.
    os.environ["OPENBLAS_NUM_THREADS"] = "1"
    gc.disable()  # nothing here makes reference cycles, and a collection would be a late tick
    from holdfast.voice.media_process.start import run

    return run()


if __name__ == "__main__":
    sys.exit(main())
