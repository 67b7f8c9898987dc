"""What the interop tests share."""

import asyncio
from collections.abc import Callable, Iterator
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
    """What lasts a minute, under way beside the tests from the first that names it; awaited by the last.

    Where that last one is not among the tests that run, nobody waits: it is ended.
    """
    folder, ending = tmp_path_factory.mktemp("sessions"), Future[Callable[[], object]]()

    async def run() -> dict[str, str]:
        scenes, loop = asyncio.ensure_future(long_scenes.run(folder)), asyncio.get_running_loop()
        ending.set_result(lambda: loop.call_soon_threadsafe(scenes.cancel))
        return await scenes

    with ThreadPoolExecutor(1, "sessions") as pool:
        under_way = pool.submit(lambda: asyncio.run(run()))
        yield under_way
        if not under_way.done():
            ending.result()()
