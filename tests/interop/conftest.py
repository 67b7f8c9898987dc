"""What the interop tests share."""

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sdks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SDKs of this run are installed."""
    return tmp_path_factory.mktemp("sdks")
