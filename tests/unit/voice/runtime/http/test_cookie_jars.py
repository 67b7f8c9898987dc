"""Each call has its own cookies and passwords."""

import pytest
from yarl import URL

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.cookie_jars import CookieJars

pytestmark = pytest.mark.anyio


async def test_each_call_has_its_own_until_it_is_over() -> None:
    visitors = CookieJars()
    alice, bob = CallSid("CA1"), CallSid("CA2")
    visitors.of(alice).cookies.update_cookies({"a": "1"}, URL("http://127.0.0.1/"))

    assert visitors.of(alice) is visitors.of(alice)
    assert len(visitors.of(alice).cookies) == 1
    assert len(visitors.of(bob).cookies) == 0
    visitors.forget(alice)
    visitors.forget(alice)
    assert len(visitors.of(alice).cookies) == 0


async def test_the_longest_unseen_are_forgotten() -> None:
    visitors = CookieJars(kept=2)
    first, second = visitors.of(CallSid("CA1")), visitors.of(CallSid("CA2"))
    visitors.of(CallSid("CA1"))
    visitors.of(CallSid("CA3"))

    assert visitors.of(CallSid("CA1")) is first
    assert visitors.of(CallSid("CA2")) is not second
