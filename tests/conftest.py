"""Settings every test shares."""

import pytest
from hypothesis import settings

# As many examples as three minutes for all tests allow; `make fuzz` looks further.
settings.register_profile("suite", max_examples=40, deadline=None)
settings.load_profile("suite")


@pytest.fixture
def anyio_backend() -> str:
    """Async tests run on asyncio, the loop the engine runs on."""
    return "asyncio"
