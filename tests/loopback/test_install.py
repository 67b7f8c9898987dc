"""`scripts/install` where a program is missing: one line says what installs it, and nothing is left behind."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "install"
OLD = '#!/bin/bash\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n'
NO_VENV = """#!/bin/bash
case "$*" in
  *ensurepip*) exit 1 ;;
  *print*) echo 3.11 ;;
esac
exit 0
"""
NO_INDEX = """#!/bin/bash
case "$*" in
  *"-m venv"*) mkdir -p .venv/bin && cp "$0" .venv/bin/python ;;
  *"-m pip"*) echo "ERROR: Could not find a version" >&2; exit 1 ;;
esac
exit 0
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A checkout with only the files of the script, and a `sudo` that must not be called."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts" / "install")
    (tmp_path / "requirements.lock").write_text("numpy==1.0 --hash=sha256:00\n")
    return tmp_path


def install(tree: Path, python: str | None) -> subprocess.CompletedProcess[str]:
    """Run the script with this as the only Python."""
    fake = tree / "python"
    if python is not None:
        fake.write_text(python)
        fake.chmod(0o755)
    return subprocess.run(
        [str(tree / "scripts" / "install")],
        env={"PATH": os.environ["PATH"], "PYTHON": str(fake)},
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


@pytest.mark.parametrize(
    ("python", "says", "remedy"),
    [
        (None, "here is no Python at all", "apt-get install -y python3.11 python3.11-venv"),
        (OLD, "here is Python 3.9.2", "apt-get install -y python3.11 python3.11-venv"),
        (NO_VENV, "cannot make virtual environments here", "apt-get install -y python3.11-venv"),
        (NO_INDEX, "The packages could not be installed", "check the network, then run the same command again"),
    ],
)
def test_a_missing_program_is_named_with_the_command_that_installs_it(
    tree: Path, python: str | None, says: str, remedy: str
) -> None:
    done = install(tree, python)
    assert done.returncode == 1
    assert says in done.stderr
    assert remedy in done.stderr
    assert not (tree / ".venv" / ".installed").exists()
