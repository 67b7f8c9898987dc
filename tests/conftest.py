"""Settings every test shares."""

import gc

import pytest
from hypothesis import settings

# What is collected stays to the end: looking through it again and again is a fifth of the whole run.
gc.disable()

# As many examples as three minutes for all tests allow; `make fuzz` looks further.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """From here on there is garbage to collect, among what the tests make themselves."""
    gc.collect()
    gc.freeze()
    gc.enable()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop the engine runs on."""
    return "asyncio"
