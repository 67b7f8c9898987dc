"""What the interop tests share."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.interop import sessions as long_scenes


@pytest.fixture(scope="session")
def sdks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the SDKs of this run are installed."""
    return tmp_path_factory.mktemp("sdks")


@pytest.fixture(scope="session")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Future[dict[str, str]]]:
    """What lasts a minute, under way beside the tests from the first that names it; awaited by the last."""
    folder = tmp_path_factory.mktemp("sessions")
    with ThreadPoolExecutor(1, "sessions") as pool:
        yield pool.submit(lambda: asyncio.run(long_scenes.run(folder)))
