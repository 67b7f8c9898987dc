"""Write which files of the package a process enters between two signals. Python imports this by PYTHONPATH.

SIGUSR1 begins: it creates `PID.begun` in the folder of the variable `PYTHON_ENTERED_FILES`. SIGUSR2 ends: it writes
`PID.entered`, one line for each file, with the time at which it was first entered. Every thread counts.
"""

import os
import signal
import sys
import threading
import time
from pathlib import Path
from types import FrameType

PACKAGE = str(Path(__file__).resolve().parents[3] / "holdfast") + os.sep


class Recorder:
    """Record the first time at which each file is entered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entered: dict[str, float] = {}
        self.is_recording = False

    def profile(self, frame: FrameType, event: str, _: object) -> None:
        if self.is_recording and event == "call" and frame.f_code.co_filename not in self.entered:
            self.entered[frame.f_code.co_filename] = time.monotonic()

    def begin(self, *_: object) -> None:
        self.entered.clear()
        self.is_recording = True
        sys.setprofile(self.profile)
        (self.folder / f"{os.getpid()}.begun").touch()

    def end(self, *_: object) -> None:
        sys.setprofile(None)
        self.is_recording = False
        lines = [f"{at} {name}\n" for name, at in self.entered.items() if name.startswith(PACKAGE)]
        written = self.folder / f"{os.getpid()}.written"
        written.write_text("".join(lines))
        written.rename(written.with_suffix(".entered"))


if given := os.environ.get("PYTHON_ENTERED_FILES"):
    recorder = Recorder(Path(given))
    threading.setprofile(recorder.profile)
    signal.signal(signal.SIGUSR1, recorder.begin)
    signal.signal(signal.SIGUSR2, recorder.end)
