"""Settings every test shares."""

import gc

import pytest
from hypothesis import settings

# Collected tests stay to the end: looking through them again and again is a fifth of the whole run.
gc.disable()
YOUNG_OBJECTS = 50_000
"""New objects after which garbage is looked for: reference counts free nearly all of it before."""

# As many examples as three minutes for all tests allow; `make fuzz` looks further.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")


def pytest_collection_finish() -> None:
    """From here on there is garbage to collect, among what the tests make themselves."""
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
    gc.enable()


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop the engine runs on."""
    return "asyncio"
