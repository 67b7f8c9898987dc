"""Settings every test shares."""

import pytest


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop the engine runs on."""
    return "asyncio"
