"""Every story runs twice: straight, and killed and rebuilt from the journal's text after each message."""

from __future__ import annotations

import pytest

from holdfast.testing.world import World


@pytest.fixture(params=[False, True], ids=["straight", "killed-and-rebuilt"])
def world(request: pytest.FixtureRequest) -> World:
    """A world for one story."""
    return World(killed=request.param)
