"""Foreign programs the interop tests drive. One that is missing fails the test; nothing is skipped in silence."""

import shutil

import pytest

PACKAGES = {
    "baresip": "baresip",
    "chromium": "chromium",
    "ffmpeg": "ffmpeg",
    "nginx": "nginx",
    "sipp": "sip-tester",
    "sox": "sox",
}


def program(name: str) -> str:
    """Where the program is."""
    path = shutil.which(name) or shutil.which(name, path="/usr/sbin")
    if path is None:
        pytest.fail(f"{name} is not installed; install it with: sudo apt-get install -y {PACKAGES[name]}")
    return path
