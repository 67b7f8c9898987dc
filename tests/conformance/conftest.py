"""What the conformance tests of the REST door share."""

import pytest

from tests.conformance.rest_client import RestApi, new_rest_api


@pytest.fixture
async def api() -> RestApi:
    """A REST door with an engine behind it."""
    return await new_rest_api()
