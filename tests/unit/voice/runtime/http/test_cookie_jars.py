"""Each call has its own cookies and passwords."""

import pytest
from yarl import URL

from holdfast.voice.model.ids import CallSid
from holdfast.voice.runtime.http.cookie_jars import CookieJars

pytestmark = pytest.mark.anyio


async def test_each_call_has_its_own_jar_until_it_ends() -> None:
    visitors = CookieJars()
    alice, bob = CallSid("CA1"), CallSid("CA2")
    visitors.jar_of(alice).cookies.update_cookies({"a": "1"}, URL("http://127.0.0.1/"))

    assert visitors.jar_of(alice) is visitors.jar_of(alice)
    assert len(visitors.jar_of(alice).cookies) == 1
    assert len(visitors.jar_of(bob).cookies) == 0
    visitors.forget(alice)
    visitors.forget(alice)
    assert len(visitors.jar_of(alice).cookies) == 0


async def test_the_least_recently_used_jars_are_dropped() -> None:
    visitors = CookieJars(capacity=2)
    first, second = visitors.jar_of(CallSid("CA1")), visitors.jar_of(CallSid("CA2"))
    visitors.jar_of(CallSid("CA1"))
    visitors.jar_of(CallSid("CA3"))

    assert visitors.jar_of(CallSid("CA1")) is first
    assert visitors.jar_of(CallSid("CA2")) is not second
