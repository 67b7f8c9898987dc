"""What the conformance tests of the REST door share."""

import pytest

from tests.conformance.asking import Place, new_place


@pytest.fixture
async def place() -> Place:
    """A REST door with an engine behind it."""
    return await new_place()
