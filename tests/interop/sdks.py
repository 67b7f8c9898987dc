"""The official SDKs, any version, each installed once into a folder of its own. One that cannot be had is a failure."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

PROGRAMS = Path(__file__).parent / "sdk"
INSTALLING_S = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Sdk:
    """An SDK, and how a program of `PROGRAMS` is run with it."""

    folder: Path
    interpreter: str

    def command(self, program: str, *arguments: str) -> list[str]:
        """The command line. Node looks for the SDK beside the program, so it is put there."""
        return [self.interpreter, str(shutil.copy(PROGRAMS / program, self.folder / program)), *arguments]


@cache
def python(folder: Path, requirement: str) -> Sdk:
    """A Python with this SDK and nothing else, below a folder that all tests share."""
    own = folder / f"python-{_plain(requirement)}"
    run([sys.executable, "-m", "venv", str(own)])
    interpreter = str(own / "bin" / "python")
    run([interpreter, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", requirement])
    return Sdk(folder=own, interpreter=interpreter)


@cache
def node(folder: Path, requirement: str) -> Sdk:
    """A Node that finds this SDK, below a folder that all tests share."""
    if shutil.which("npm") is None or shutil.which("node") is None:
        pytest.fail("node and npm are not installed: sudo apt-get install -y nodejs npm")
    own = folder / f"node-{_plain(requirement)}"
    own.mkdir()
    (own / "package.json").write_text("{}")
    run(["npm", "install", "--no-audit", "--no-fund", "--silent", requirement], own)
    return Sdk(folder=own, interpreter="node")


def run(command: list[str], folder: Path | None = None) -> None:
    """Run to its end; what went wrong is the test's failure."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALLING_S, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(command)} failed: {(done.stderr or done.stdout)[-800:]}")


def _plain(requirement: str) -> str:
    return "".join(sign if sign.isalnum() else "-" for sign in requirement)
