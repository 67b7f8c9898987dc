"""The whole answers of the web application: its API description, its errors, its headers and its documents."""

import asyncio
import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from starlette.types import Message

from holdfast.holds.errors import ServerStopping
from holdfast.holds.ids import CallSid
from holdfast.holds.web import app as web_app
from holdfast.holds.web.app import MAX_BODY, make_web
from tests.stories.holds.conftest import Stage, newest_web
from tests.stories.holds.fake_account import PUBLIC, SID, FakeAccount, asgi

pytestmark = pytest.mark.anyio

API = Path(__file__).with_name("openapi.json")
AFTER = "https://app.example/after"
MUSIC = "https://cdn.example/m.mp3"
EMPTY = '<?xml version="1.0" encoding="UTF-8"?><Response>{}</Response>'
HANG_UP = EMPTY.format("<Hangup />")
JSON = {"content-type": "application/json"}


async def answer(
    method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None
) -> tuple[int, dict[str, str], str]:
    status, reply, text = await asgi(newest_web(), method, PUBLIC + path, body, JSON if headers is None else headers)
    return status, reply, text.decode()


def test_the_api_is_as_it_is_published(stage: Stage) -> None:
    """After a change that is meant: `json.dumps(make_web(…).openapi(), indent=1)` into `openapi.json`."""
    assert json.loads(json.dumps(make_web(stage.holds).openapi())) == json.loads(API.read_text("utf-8"))


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "wanted"),
    [
        (
            "GET",
            "/nothing",
            b"",
            404,
            {"code": "not_found", "message": "GET /nothing: Not Found", "fix": "/docs lists what there is."},
        ),
        (
            "PUT",
            "/holds",
            b"{}",
            405,
            {
                "code": "method_not_allowed",
                "message": "PUT /holds: Method Not Allowed",
                "fix": "/docs lists what there is.",
            },
        ),
        (
            "POST",
            "/holds",
            b'{"call": 7, "limit_s": "x"}',
            400,
            {
                "code": "bad_input",
                "message": "call must be a valid string; limit_s must be a valid number",
                "fix": "/docs shows what is expected.",
            },
        ),
        (
            "GET",
            "/holds?active=perhaps&limit=0",
            b"",
            400,
            {
                "code": "bad_input",
                "message": "active must be a valid boolean; limit must be greater than or equal to 1",
                "fix": "/docs shows what is expected.",
            },
        ),
        (
            "POST",
            "/holds",
            b" " * (MAX_BODY + 1),
            413,
            {"code": "bad_input", "message": "the body is longer than 65536 bytes", "fix": None},
        ),
        (
            "GET",
            "/holds/nonsense",
            b"",
            400,
            {
                "code": "bad_input",
                "message": "'nonsense' is neither a hold (HO…) nor a call (CA…)",
                "fix": "Each is two letters and 32 hex digits.",
            },
        ),
        (
            "GET",
            "/holds/CA" + "0" * 32,
            b"",
            400,
            {
                "code": "bad_input",
                "message": "CA" + "0" * 32 + " is not on hold, and never was as far as we know",
                "fix": "GET /calls lists who is, and GET /holds.",
            },
        ),
        (
            "POST",
            "/twiml/park",
            b"",
            403,
            {
                "code": "not_signed",
                "message": "the X-Twilio-Signature of this request is missing or wrong",
                "fix": "public_url must be the address the account uses for us, and the auth token the account's own.",
            },
        ),
    ],
)
async def test_an_error_is_told_whole(
    stage: Stage, method: str, path: str, body: bytes, status: int, wanted: dict[str, Any]
) -> None:
    found, _, text = await answer(method, path, body)
    assert (found, json.loads(text)) == (status, {**wanted, "hold": None})


async def test_a_body_as_long_as_the_limit_is_read(stage: Stage) -> None:
    status, _, text = await answer("POST", "/holds", b"{}" + b" " * (MAX_BODY - 2))
    assert (status, json.loads(text)["message"]) == (400, "call is missing")


async def test_a_body_in_parts_is_put_together(stage: Stage) -> None:
    call, other = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", call, other)
    parts = [b'{"call"', f': "{call}"'.encode(), b"}"]
    sent: list[Message] = []

    async def receive() -> Message:
        part = parts.pop(0)
        return {"type": "http.request", "body": part, "more_body": bool(parts)}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {
        "type": "http",
        "http_version": "1.1",
        "method": "POST",
        "path": "/holds",
        "raw_path": b"/holds",
        "query_string": b"",
        "headers": [(b"content-type", b"application/json")],
    }
    await newest_web()(scope, receive, send)
    assert sent[0]["status"] == 201
    assert json.loads(sent[1]["body"])["call"] == call


async def test_a_server_that_is_stopping_begins_no_hold(stage: Stage) -> None:
    call, other = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", call, other)
    stopping = False
    web = make_web(stage.holds, is_ending=lambda: stopping)
    body = json.dumps({"call": call}).encode()
    status, _, text = await asgi(web, "POST", f"{PUBLIC}/holds", body, JSON)
    assert status == 201
    stopping = True
    status, headers, text = await asgi(web, "POST", f"{PUBLIC}/holds", body, JSON)
    assert (status, headers["retry-after"]) == (ServerStopping.http, "10")
    assert json.loads(text) == {
        "code": "being_stopped",
        "message": "the server is stopping: it hangs up its calls, and no hold begins",
        "fix": "Ask again in 10 s, when it has been started again.",
        "hold": None,
    }
    status, headers, _ = await asgi(web, "POST", f"{PUBLIC}/holds/{call}/resume", b"", JSON)
    assert (status, "retry-after" in headers) == (200, False)


async def test_the_list_of_holds_is_newest_first_and_limited(stage: Stage) -> None:
    calls = [stage.account.add_call(number) for number in range(1, 4)]
    stage.account.meet("support", *calls)
    for call in calls:
        stage.clock.time += 1.0
        await stage.holds.hold(call)
    await stage.holds.resume(calls[1])
    for query, wanted in (
        ("", [calls[2], calls[1], calls[0]]),
        ("?limit=2", [calls[2], calls[1]]),
        ("?active=true", [calls[2], calls[0]]),
        ("?active=true&limit=1", [calls[2]]),
    ):
        _, _, text = await answer("GET", f"/holds{query}")
        assert [hold["call"] for hold in json.loads(text)["holds"]] == wanted, query


async def test_an_event_stream_is_plain_text_with_ids_and_a_comment_when_quiet(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(web_app, "KEEPALIVE_S", 0.01)
    call, other = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", call, other)
    await stage.holds.hold(call, by="alice")
    enough, text, headers = asyncio.Event(), "", {}
    requests: list[Message] = [{"type": "http.request", "body": b"", "more_body": False}]

    async def receive() -> Message:
        if requests:
            return requests.pop()
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        nonlocal text, headers
        if message["type"] == "http.response.start":
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
        text += message.get("body", b"").decode()
        if ": alive" in text:
            enough.set()

    scope: dict[str, Any] = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "path": "/events",
        "raw_path": b"/events",
        "query_string": b"after=1",
        "headers": [],
    }
    async with asyncio.timeout(5.0):
        await newest_web()(scope, receive, send)
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["content-type"].startswith("text/event-stream")
    blocks = text.split("\n\n")
    assert blocks[0] == "retry: 1000"
    first = blocks[1].split("\n")
    assert first[:2] == ["id: 2", "event: hold"]
    assert json.loads(first[2].removeprefix("data: ")) == {
        "id": 2,
        "at": stage.clock.now(),
        "hold": "HO" + "1".rjust(32, "0"),
        "call": call,
        "kind": "holding",
        "status": "holding",
        "by": "alice",
        "detail": None,
    }
    assert blocks[2].startswith("id: 3\n")
    assert blocks[3] == ": alive"


async def test_the_page_of_the_api_runs_its_own_script_alone(stage: Stage) -> None:
    status, headers, page = await answer("GET", "/docs")
    assert (status, headers["content-type"]) == (200, "text/html; charset=utf-8")
    digest = web_app._digest_of_script(page)
    assert digest.startswith("sha256-")
    assert headers["content-security-policy"] == (
        f"default-src 'none'; script-src '{digest}'; style-src 'unsafe-inline'; connect-src 'self'; "
        "frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    )
    assert (headers["x-content-type-options"], headers["referrer-policy"]) == ("nosniff", "no-referrer")


def test_the_digest_of_a_script_is_that_of_its_text() -> None:
    """Source: `printf 'alert(1)' | openssl dgst -sha256 -binary | base64`."""
    page = "<html><script>alert(1)</script><p></p></html>"
    assert web_app._digest_of_script(page) == "sha256-bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="


# The documents that the account requests.


async def asked(stage: Stage, call: CallSid, path: str, **values: str) -> tuple[int, str]:
    return await stage.account.ask(call, f"{PUBLIC}/twiml/{path}", values)


async def test_a_call_whose_pair_is_unknown_continues_as_its_own_url_says(stage: Stage) -> None:
    call = stage.account.add_call(1)
    goes_on = EMPTY.format(f'<Redirect method="POST">{AFTER}</Redirect>')
    for path in ("continue", "park"):
        assert await asked(stage, call, path) == (200, HANG_UP)
        assert await asked(stage, call, f"{path}?{urlencode({'after': AFTER})}") == (200, goes_on)
        status, text = await asked(stage, call, f"{path}?after=javascript:x")
        assert (status, json.loads(text)["code"]) == (400, "bad_input")
    assert await asked(stage, call, "wait") == (200, EMPTY.format("<Leave />"))


async def test_a_waiting_party_gets_its_music(stage: Stage) -> None:
    parent, child = await stage.two_legs()
    await stage.holds.hold(child, music=MUSIC)
    status, text = await asked(stage, child, "wait", QueueSid="QU" + child[2:])
    assert (status, text) == (200, EMPTY.format(f'<Play loop="0">{MUSIC}</Play>' * 15))
    assert await asked(stage, parent, "wait") == (200, EMPTY.format("<Leave />"))


async def test_the_generation_of_a_request_is_read_with_care(stage: Stage) -> None:
    parent, child = await stage.two_legs(after=AFTER)
    await stage.holds.resume(await stage.holds.hold(child))
    take = f"<Queue>hold-{child}</Queue>"
    for turn in ("0", "1", "x", "-1", "²", "1234567890", ""):
        status, text = await asked(stage, parent, f"continue?{urlencode({'turn': turn})}")
        assert status == 200
        assert take in text, turn
        assert urlencode({"after": AFTER}) in text
    # The child has no URL to continue with: it is the parent's.
    _, text = await asked(stage, child, "continue?turn=0")
    assert "after=" not in text
    # The present generation says that the conversation is over.
    _, text = await asked(stage, parent, "continue?turn=2")
    assert text == EMPTY.format(f'<Redirect method="POST">{AFTER}</Redirect>')


async def test_a_dial_that_we_serve_needs_a_party_and_takes_a_caller_id(stage: Stage) -> None:
    call = stage.account.add_call(1)
    status, text = await asked(stage, call, "dial")
    assert (status, json.loads(text)) == (
        400,
        {
            "code": "bad_input",
            "message": "`to` is missing: no party to dial",
            "fix": "/twiml/dial?to=client:alice",
            "hold": None,
        },
    )
    status, text = await asked(stage, call, "dial?to=client:bob&after=ftp://x")
    assert (status, json.loads(text)["code"]) == (400, "bad_input")
    assert not stage.holds.pairs.has_served()
    query = urlencode({"to": "client:bob", "caller_id": "+15550100", "after": AFTER})
    status, text = await asked(stage, call, f"dial?{query}")
    assert status == 200
    assert 'callerId="+15550100"' in text
    assert (stage.holds.pairs.is_served(call), stage.holds.pairs.after_url(call)) == (True, AFTER)


@pytest.mark.parametrize("status", ["completed", "busy", "failed", "no-answer", "canceled"])
async def test_a_child_that_ends_releases_its_parent(stage: Stage, status: str) -> None:
    parent, child = stage.account.dial(1, 2, action=f"{PUBLIC}/twiml/continue")
    for report in ("initiated", "ringing"):
        assert (await asked(stage, child, "child", CallStatus=report))[0] == 204
        assert stage.holds.pairs.of(child) is None
    assert (await asked(stage, child, f"child?{urlencode({'after': AFTER})}", CallStatus="in-progress"))[0] == 204
    pair = stage.holds.pairs.of(child)
    assert pair is not None
    assert (pair.parent.call, pair.after) == (parent, AFTER)
    assert (await asked(stage, child, "child", CallStatus=status))[0] == 204
    await stage.settle()
    assert stage.holds.pairs.of(child) is None


async def test_a_request_about_no_call_of_the_account_is_refused(stage: Stage) -> None:
    call = stage.account.add_call(1)
    for values in ({"AccountSid": "AC" + "2" * 32}, {"CallSid": "CA"}, {"CallSid": ""}):
        status, text = await asked(stage, call, "park", **values)
        assert (status, json.loads(text)["message"]) == (400, "the request is about no call of this account"), values
    assert FakeAccount().sid == SID


async def test_documents_may_be_signed_with_the_address_that_the_request_names(stage: Stage) -> None:
    call = stage.account.add_call(1)
    stage.start(public_url="https://another.example/path")
    assert await asked(stage, call, "park") == (200, HANG_UP)
    stage.start(public_url="https://another.example")
    stage.account.token = "another token"
    assert (await asked(stage, call, "park"))[0] == 403


async def test_documents_are_not_stored_and_music_is(stage: Stage) -> None:
    call = stage.account.add_call(1)
    seen: list[dict[str, str]] = []
    for path in ("park", f"music?{urlencode({'url': MUSIC})}"):
        method = "GET" if "music" in path else "POST"
        form = {"CallSid": call, "AccountSid": SID}
        url = f"{PUBLIC}/twiml/{path}" + (f"&{urlencode(form)}" if method == "GET" else "")
        signature = stage.account.signature(url, {} if method == "GET" else form)
        body = b"" if method == "GET" else urlencode(form).encode()
        kind = {"content-type": "application/x-www-form-urlencoded", "x-twilio-signature": signature}
        status, headers, _ = await asgi(newest_web(), method, url, body, kind)
        assert status == 200
        seen.append(headers)
    assert [headers["cache-control"] for headers in seen] == ["no-store", "max-age=3600"]
    assert [headers["content-type"] for headers in seen] == ["text/xml; charset=utf-8"] * 2
