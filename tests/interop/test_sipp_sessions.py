"""sipp in sessions that must be refreshed: by it, by us, by nobody; and changes of both sides that meet."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import pytest

pytestmark = [pytest.mark.interop, pytest.mark.anyio]


@pytest.mark.timeout(120)
async def test_sessions_are_refreshed_or_end(sessions: Future[dict[str, str]]) -> None:
    """And a registration that nobody renews is over."""
    statuses = await asyncio.wrap_future(sessions)
    assert set(statuses.values()) == {"completed"}
