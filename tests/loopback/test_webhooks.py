"""Documents, callbacks and notifications with real web servers."""

import asyncio

import pytest
from twilio.request_validator import RequestValidator

from holdfast.voice.model.commands import (
    Method,
    WebRequest,
)
from holdfast.voice.model.effects import FetchDocument, LogNotification, PostCallback, StopFetch
from holdfast.voice.model.facts import DocumentFetched, DocumentFetchFailed
from holdfast.voice.model.ids import CallSid
from tests.loopback.test_fetch import drip, endless, nothing, reset
from tests.loopback.web_server import Behaviour, Request, WebServer, answer, raw, reply, to
from tests.loopback.web_stack import ALICE, BOB, Shell, open_shell, token
from tests.unit.voice.runtime.sounds.files import file_of, tone

pytestmark = pytest.mark.anyio

WAV = file_of(tone(rate=8000, seconds=0.5), rate=8000, kind="WAV")
OTHER_WAV = file_of(tone(rate=8000, seconds=0.7), rate=8000, kind="WAV")


def fetch(
    url: str, number: int = 0, *, call: CallSid = ALICE, method: Method = "POST", keep: bool = False
) -> FetchDocument:
    form = (("CallSid", call), ("CallStatus", "in-progress"))
    return FetchDocument(
        token=token(call, number), call=call, request=WebRequest(url=url, method=method, form=form), cacheable=keep
    )


async def fetched(shell: Shell, effect: FetchDocument) -> DocumentFetched:
    shell.webhooks.carry_out(effect)
    fact = await shell.fact()
    assert isinstance(fact, DocumentFetched), fact
    assert fact.token == effect.token
    return fact


async def missed(shell: Shell, effect: FetchDocument) -> DocumentFetchFailed:
    shell.webhooks.carry_out(effect)
    fact = await shell.fact()
    assert isinstance(fact, DocumentFetchFailed), fact
    assert fact.token == effect.token
    return fact


def callback(url: str, number: int = 0, *, call: CallSid | None = ALICE, room: str = "") -> PostCallback:
    form = (("SequenceNumber", str(number)), *((("ConferenceSid", room),) if room else ()))
    return PostCallback(call=call, kind="conference" if room else "call", request=WebRequest(url=url, form=form))


def superseded(url: str) -> PostCallback:
    return PostCallback(call=ALICE, kind="superseded", request=WebRequest(url=url, form=(("DialCallStatus", "x"),)))


# --- documents ----------------------------------------------------------------------------------------------


async def test_a_document_is_requested_with_a_signature_and_posted() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/voice", reply("<Response/>", kind="text/xml; charset=utf-8"))

        fact = await fetched(shell, fetch(url + "?a=b"))

        assert fact == DocumentFetched(
            token=token(ALICE), url=url + "?a=b", content_type="text/xml", body="<Response/>", clip=None
        )
        request = server.requests[0]
        signature = request.headers["x-twilio-signature"]
        assert RequestValidator("secret").validate(url + "?a=b", request.form, signature)
        seen = (await shell.sees("document"))[0]
        assert (seen.call, seen.method, seen.url, seen.status) == (ALICE, "POST", url + "?a=b", 200)
        assert (seen.content_type, seen.body, seen.error) == ("text/xml", "<Response/>", "")
        assert dict(seen.form) == {"CallSid": ALICE, "CallStatus": "in-progress"}


async def test_the_posted_url_is_the_last_of_a_redirect_and_each_hop_is_traced() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/a", to("/dir/b", status=307))
        server.on("/dir/b", reply("<Response/>"))

        assert (await fetched(shell, fetch(url))).url == server.url("/dir/b")
        seen = await shell.sees("document", 2)
        assert [(one.url, one.status) for one in seen] == [(url, 307), (server.url("/dir/b"), 200)]


@pytest.mark.parametrize("kind", ["text/xml", "application/xml", "text/html", "text/plain", "Text/XML ; x=y"])
async def test_types_of_documents(kind: str) -> None:
    async with WebServer() as server, open_shell() as shell:
        fact = await fetched(shell, fetch(server.on("/a", reply("<Response>ü</Response>", kind=kind))))

        assert fact.body == "<Response>ü</Response>"
        assert fact.content_type == kind.partition(";")[0].strip().lower()


@pytest.mark.parametrize("kind", [None, "application/octet-stream"])
async def test_a_document_without_a_type_is_read_with_a_warning(kind: str | None) -> None:
    async with WebServer() as server, open_shell() as shell:
        fact = await fetched(shell, fetch(server.on("/a", reply("<Response/>", kind=kind))))

        assert (fact.content_type, fact.body) == ("text/xml", "<Response/>")
        assert list(shell.codes()) == [12300]


@pytest.mark.parametrize("kind", ["audio/wav", "application/octet-stream", None])
@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_sound_in_place_of_a_document_becomes_a_clip(kind: str | None, method: Method) -> None:
    async with WebServer() as server, open_shell() as shell:
        fact = await fetched(shell, fetch(server.on("/a", reply(WAV, kind=kind)), method=method))

        assert fact.body == ""
        assert fact.clip is not None
        assert shell.library.has_clip(fact.clip)
        assert fact.clip in shell.bank.clips
        assert (await shell.sees("document"))[0].body == ""


@pytest.mark.parametrize("kind", ["text/html; charset=UTF-8", "text/plain", "text/xml", "audio/mpeg", None])
@pytest.mark.parametrize("size", [20_000, 100_000])
async def test_a_sound_that_is_called_a_text_becomes_a_clip_in_place_of_a_document(kind: str | None, size: int) -> None:
    body = b"\r\n" + file_of(tone(rate=16_000, seconds=size / 2000), rate=16_000, kind="MP3")
    async with WebServer() as server, open_shell() as shell:
        fact = await fetched(shell, fetch(server.on("/a", reply(body, kind=kind))))

        assert fact.body == ""
        assert fact.clip in shell.bank.clips
        assert (await shell.sees("document"))[0].body == ""


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (reply(status=404), 11200),
        (reply("<Response/>", status=500), 11200),
        (reply(""), 11770),
        (reply(status=204, kind=None), 11770),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 11770),
        (reply("<Response/>", kind="application/json"), 12300),
        (reply("plain", kind="application/octet-stream"), 12300),
        (reply(b"\x89PNG", kind="image/png"), 12300),
        (reply(b"plain", kind=None), 12300),
        (reply(b"<Response>\xff</Response>"), 12100),
        (reply(b"<Response/>", kind="text/xml; charset=zlib"), 12100),
        (reply("<html>", kind="audio/mpeg"), 13420),
        (reply(b"x" * 65_537), 11750),
        (endless, 11750),
        (nothing, 11200),
        (drip, 11203),
        (reset, 11206),
        (to("/a"), 11215),
        (to("http://169.254.169.254/"), 11205),
        (to("file:///etc/passwd"), 11100),
        (raw(b"rubbish\r\n\r\n"), 11206),
    ],
)
async def test_a_failure_is_posted_with_twilios_code(behaviour: Behaviour, code: int) -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/a", behaviour)

        fact = await missed(shell, fetch(url))

        assert (fact.code, fact.url) == (code, url)
        seen = await shell.sees("document")
        assert seen[-1].error.startswith(f"{code} ")


@pytest.mark.parametrize(
    ("url", "code"),
    [("/relative", 11100), ("", 11100), ("http://user:secret@127.0.0.1:1/#rc=9", 11243), ("http://10.0.0.1/", 11205)],
)
async def test_a_forbidden_address_is_not_requested(url: str, code: int) -> None:
    async with open_shell() as shell:
        fact = await missed(shell, fetch(url))

        assert fact.code == code
        assert "secret" not in fact.url + fact.message


async def test_a_response_that_no_script_waits_for_is_dropped() -> None:
    async with WebServer() as server:
        async with open_shell() as shell:
            for number, behaviour in enumerate((reply("<Response/>"), reply(status=500))):
                shell.webhooks.carry_out(fetch(server.on(f"/{number}", behaviour), number))
                shell.webhooks.carry_out(StopFetch(token=token(ALICE, number)))
            await shell.sees("document", 2)
        assert shell.told == []


async def test_cookies_are_sent_with_documents_of_the_same_call_only() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/a", reply("<Response/>", headers={"Set-Cookie": "session=1"}))
        await fetched(shell, fetch(url, 1))
        await fetched(shell, fetch(url, 2))
        await fetched(shell, fetch(url, 3, call=BOB))
        shell.webhooks.carry_out(callback(url))
        await shell.sees("call")
        shell.webhooks.carry_out(superseded(url))
        await shell.sees("superseded")
        shell.webhooks.forget(ALICE)
        await fetched(shell, fetch(url, 4))

        cookies = [request.headers.get("cookie") for request in server.requests]
        assert cookies == [None, "session=1", None, None, "session=1", None]


# --- cached documents--------------------------------------------------------------------------------------


def tell_at_once(shell: Shell, effect: FetchDocument) -> DocumentFetched | None:
    """Return the facts that are posted within `carry_out`."""
    before = len(shell.told)
    shell.webhooks.carry_out(effect)
    if len(shell.told) == before:
        return None
    fact = shell.told[-1]
    assert isinstance(fact, DocumentFetched)
    shell._facts.get_nowait()
    return fact


async def test_cached_hold_music_is_posted_at_once_to_any_call_and_revalidated() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold.wav", reply(WAV, kind="audio/wav", headers={"ETag": '"1"'}))
        first = await fetched(shell, fetch(url, 1, method="GET", keep=True))
        server.on("/hold.wav", reply(status=304, kind=None))

        again = tell_at_once(shell, fetch(url, 2, call=BOB, method="GET", keep=True))

        assert again is not None
        assert again.clip == first.clip
        assert (await shell.sees("revalidation"))[0].status == 304
        assert server.requests[1].headers["if-none-match"] == '"1"'
        assert server.requests[1].query["CallSid"] == BOB


async def test_changed_music_is_posted_the_next_time() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold.wav", reply(WAV, kind="audio/wav"))
        first = await fetched(shell, fetch(url, 1, method="GET", keep=True))
        server.on("/hold.wav", reply(OTHER_WAV, kind="audio/wav"))

        second = tell_at_once(shell, fetch(url, 2, method="GET", keep=True))
        await shell.sees("revalidation")
        third = tell_at_once(shell, fetch(url, 3, method="GET", keep=True))

        assert second is not None
        assert third is not None
        assert first.clip == second.clip != third.clip


async def test_many_calls_at_once_cause_one_revalidation() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold.wav", reply(WAV, kind="audio/wav"))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))
        for number in range(2, 12):
            assert tell_at_once(shell, fetch(url, number, method="GET", keep=True)) is not None
        await shell.sees("revalidation")

        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("behaviour", "stays"), [(reply(status=500), True), (nothing, True), (reply(status=404), False)]
)
async def test_the_last_good_copy_outlives_a_server_that_fails(behaviour: Behaviour, *, stays: bool) -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold.wav", reply(WAV, kind="audio/wav"))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))
        server.on("/hold.wav", behaviour)
        assert tell_at_once(shell, fetch(url, 2, method="GET", keep=True)) is not None
        await shell.sees("revalidation")

        again = tell_at_once(shell, fetch(url, 3, method="GET", keep=True))

        assert (again is not None) is stays
        if not stays:
            assert isinstance(await shell.fact(), DocumentFetchFailed)


async def test_a_fresh_document_is_posted_to_any_call() -> None:
    async with WebServer() as server, open_shell() as shell:
        headers = {"Cache-Control": "max-age=60, stale-while-revalidate=60"}
        url = server.on("/hold", reply("<Response/>", headers=headers))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))

        shell.time += 59
        assert tell_at_once(shell, fetch(url, 2, call=BOB, method="GET", keep=True)) is not None
        assert len(server.requests) == 1
        shell.time += 30
        assert tell_at_once(shell, fetch(url, 3, call=BOB, method="GET", keep=True)) is not None
        await shell.sees("revalidation")
        shell.time += 200
        assert tell_at_once(shell, fetch(url, 4, method="GET", keep=True)) is None
        await shell.fact()


async def test_a_document_with_only_a_validator_serves_its_own_call_after_confirmation() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold", reply("<Response/>", headers={"ETag": '"1"'}))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))
        await fetched(shell, fetch(url, 2, call=BOB, method="GET", keep=True))
        server.on("/hold", reply(status=304, kind=None))

        again = await fetched(shell, fetch(url, 3, method="GET", keep=True))

        assert again.body == "<Response/>"
        validators = [request.headers.get("if-none-match") for request in server.requests]
        assert validators == [None, None, '"1"']


async def test_a_document_that_cannot_be_confirmed_is_used_with_a_warning() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/hold", reply("<Response/>", headers={"ETag": '"1"'}))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))
        server.on("/hold", reply(status=503))

        assert (await fetched(shell, fetch(url, 2, method="GET", keep=True))).body == "<Response/>"
        assert list(shell.codes()) == [11200]
        assert isinstance(await missed(shell, fetch(url, 3, method="GET")), DocumentFetchFailed)


@pytest.mark.parametrize("policy", ["no-cache", "no-store", "private, max-age=60"])
async def test_a_server_may_forbid_sharing_without_revalidation(policy: str) -> None:
    async with WebServer() as server, open_shell() as shell:
        headers = {"Cache-Control": policy, "ETag": '"1"'}
        url = server.on("/hold.wav", reply(WAV, kind="audio/wav", headers=headers))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))

        assert tell_at_once(shell, fetch(url, 2, call=BOB, method="GET", keep=True)) is None
        await shell.fact()
        assert len(server.requests) == 2


async def test_a_request_that_is_not_cacheable_uses_the_cache_only_for_the_same_request() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/a", reply("<Response/>", headers={"Cache-Control": "max-age=60"}))
        await fetched(shell, fetch(url, 1, method="GET"))

        assert tell_at_once(shell, fetch(url, 2, method="GET")) is not None
        assert tell_at_once(shell, fetch(url, 3, call=BOB, method="GET")) is None
        await shell.fact()
        shell.time += 61
        assert tell_at_once(shell, fetch(url, 4, method="GET")) is None
        await shell.fact()


async def test_a_post_is_never_cached() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/a", reply(WAV, kind="audio/wav", headers={"Cache-Control": "max-age=60", "ETag": "1"}))
        await fetched(shell, fetch(url, 1, keep=True))

        assert tell_at_once(shell, fetch(url, 2, keep=True)) is None
        await shell.fact()
        assert "if-none-match" not in server.requests[1].headers


async def test_a_dropped_sound_is_fetched_again() -> None:
    async with WebServer() as server, open_shell(budget_bytes=1) as shell:
        kept = {"Cache-Control": "max-age=60"}
        url = server.on("/1", reply(WAV, kind="audio/wav", headers=kept))
        await fetched(shell, fetch(url, 1, method="GET", keep=True))
        other = server.on("/2", reply(OTHER_WAV, kind="audio/wav", headers=kept))
        await fetched(shell, fetch(other, 2, method="GET", keep=True))

        assert tell_at_once(shell, fetch(url, 3, method="GET", keep=True)) is None
        await shell.fact()
        assert len(server.asked("/1")) == 2


# --- callbacks ----------------------------------------------------------------------------------------------


async def test_callbacks_of_a_call_are_delivered_in_order_to_a_slow_receiver() -> None:
    order: list[str] = []

    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        number = request.form["SequenceNumber"]
        order.append(f"begin {number}")
        await asyncio.sleep(0.03 if number == "0" else 0)
        order.append(f"end {number}")
        writer.write(answer("", status=204, kind=None))

    async with WebServer() as server, open_shell() as shell:
        url = server.on("/status", slow)
        for number in range(4):
            shell.webhooks.carry_out(callback(url, number))
        assert await shell.webhooks.drained(timeout_s=5)

        assert order == [f"{word} {number}" for number in range(4) for word in ("begin", "end")]
        request = server.requests[0]
        assert RequestValidator("secret").validate(url, request.form, request.headers["x-twilio-signature"])
        assert [seen.status for seen in shell.seen] == [204] * 4


async def test_a_hanging_receiver_delays_no_documents_no_other_calls_and_no_conferences() -> None:
    async with WebServer() as server, open_shell() as shell:
        for number in range(3):
            shell.webhooks.carry_out(callback(server.on("/hangs", nothing), number))
        await server.came(1)
        good = server.on("/good", reply("<Response/>"))
        shell.webhooks.carry_out(callback(good, call=BOB))
        shell.webhooks.carry_out(callback(good, room="CF1"))
        assert isinstance(await fetched(shell, fetch(good)), DocumentFetched)
        await shell.sees("conference")
        assert [seen.call for seen in await shell.sees("call")] == [BOB]

        assert len(server.asked("/hangs")) == 1
        assert not await shell.webhooks.drained(timeout_s=0.01)


async def test_callbacks_that_a_dead_receiver_does_not_answer_are_counted_by_call() -> None:
    async with WebServer() as server, open_shell() as shell:
        callbacks = shell.webhooks.callbacks
        assert (callbacks.backlog(), callbacks.unsent(ALICE)) == ((0, 0.0), None)
        dead = server.on("/hangs", nothing)
        for number in range(3):
            shell.webhooks.carry_out(callback(dead, number))
        shell.webhooks.carry_out(callback(dead, room="CF1"))
        await server.came(2)
        first = callbacks.unsent(ALICE)
        assert first is not None
        assert (first.count, first.method, first.url) == (4, "POST", dead)
        assert (callbacks.backlog()[0], callbacks.unsent(BOB)) == (4, None)
        shell.time += 7.0
        assert callbacks.backlog() == (4, 7.0)

    async with WebServer() as server, open_shell() as shell:
        shell.webhooks.carry_out(callback(server.on("/bad", reply(status=500)), 0))
        shell.webhooks.carry_out(callback(server.on("/good", reply()), 1))
        assert await shell.webhooks.drained(timeout_s=5)
        assert (shell.webhooks.callbacks.backlog(), shell.webhooks.callbacks.unsent(ALICE)) == ((0, 0.0), None)


async def test_callbacks_of_a_conference_are_one_queue_for_all_its_calls() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/room", reply())
        for number, call in enumerate((ALICE, BOB, None, ALICE)):
            shell.webhooks.carry_out(callback(url, number, call=call, room="CF1"))
        assert await shell.webhooks.drained(timeout_s=5)

        assert [request.form["SequenceNumber"] for request in server.requests] == ["0", "1", "2", "3"]


@pytest.mark.parametrize(
    ("behaviour", "room", "code"),
    [
        (reply(status=500), "", 15003),
        (reply(status=404), "CF1", 16011),
        (raw(b""), "", 15003),
        (to("http://10.0.0.1/"), "", 15003),
    ],
)
async def test_a_failed_callback_is_a_warning_and_the_next_one_is_sent(
    behaviour: Behaviour, room: str, code: int
) -> None:
    async with WebServer() as server, open_shell() as shell:
        shell.webhooks.carry_out(callback(server.on("/bad", behaviour), 0, room=room))
        shell.webhooks.carry_out(callback(server.on("/good", reply()), 1, room=room))
        assert await shell.webhooks.drained(timeout_s=5)

        assert [(notice.code, notice.log, notice.call) for notice in shell.notices] == [(code, 1, ALICE)]
        assert shell.notices[0].url == server.url("/bad")
        assert len(server.asked("/good")) == 1
        assert len(server.asked("/bad")) == 1


async def test_a_long_response_to_a_callback_is_only_truncated() -> None:
    async with WebServer() as server, open_shell() as shell:
        shell.webhooks.carry_out(callback(server.on("/status", endless)))
        assert await shell.webhooks.drained(timeout_s=5)

        assert shell.notices == []
        assert len(shell.seen[0].body) == 4096


async def test_callbacks_beyond_the_queue_limit_are_dropped_with_a_warning() -> None:
    finish = asyncio.Event()

    async def waits(request: Request, writer: asyncio.StreamWriter) -> None:
        await finish.wait()
        writer.write(answer())

    async with WebServer() as server, open_shell() as shell:
        url = server.on("/status", waits)
        for number in range(1005):
            shell.webhooks.carry_out(callback(url, number))
        assert list(shell.codes()) == [15002] * 5
        server.on("/status", reply())
        finish.set()
        assert await shell.webhooks.drained(timeout_s=30)

        assert len(server.requests) == 1000


async def test_the_next_document_waits_for_the_request_of_a_superseded_verb() -> None:
    async def slow(request: Request, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(0.05)
        writer.write(answer("<Response/>"))

    async with WebServer() as server, open_shell() as shell:
        shell.webhooks.carry_out(superseded(server.on("/action", slow)))
        await fetched(shell, fetch(server.on("/next", reply("<Response/>"))))

        assert [request.path for request in server.requests] == ["/action", "/next"]
        assert [seen.kind for seen in shell.seen] == ["superseded", "document"]


async def test_the_wait_for_a_superseded_request_is_short_and_delays_no_other_call() -> None:
    async with WebServer() as server, open_shell() as shell:
        shell.webhooks.carry_out(superseded(server.on("/action", nothing)))
        await server.came(1)
        url = server.on("/next", reply("<Response/>"))
        shell.webhooks.carry_out(fetch(url))
        shell.webhooks.carry_out(fetch(url, call=BOB))
        facts = [await shell.fact(), await shell.fact()]

        assert [fact.token for fact in facts] == [token(BOB), token(ALICE)]
        assert [seen.kind for seen in shell.seen] == ["document", "document"]


# --- notifications ------------------------------------------------------------------------------------------


async def test_a_notification_is_passed_on() -> None:
    said = LogNotification(call=ALICE, code=12200, log=1, message="an unknown verb")
    async with open_shell() as shell:
        shell.webhooks.carry_out(said)

        assert shell.notices == [said]
