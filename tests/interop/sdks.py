"""The official SDKs, any version, each installed into a folder of its own. One that cannot be had fails the test."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "sdk"


def python(folder: Path, requirement: str) -> list[str]:
    """A Python with this SDK and nothing else."""
    run([sys.executable, "-m", "venv", str(folder)])
    interpreter = str(folder / "bin" / "python")
    run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])
    return [interpreter]


def node(folder: Path, requirement: str) -> list[str]:
    """A Node that finds this SDK, from a folder of its own."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.fail("node and npm are not installed: sudo apt-get install -y nodejs npm")
    (folder / "package.json").write_text("{}")
    run(["npm", "install", "--no-audit", "--no-fund", "--silent", requirement], folder)
    return ["node"]


def run(command: list[str], folder: Path | None = None) -> None:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=200, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-800:]}")
