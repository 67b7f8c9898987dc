"""Fixtures of the conformance tests of the REST API."""

import pytest

from tests.conformance.rest_client import RestApi, new_rest_api


@pytest.fixture
async def api() -> RestApi:
    """A REST API with an engine."""
    return await new_rest_api()
