"""The JSON API has one clear outcome for each request, and a clear error for any other body."""

import asyncio
import json
from typing import Any

import pytest

from holdfast.holds.account.snapshots import AudioQualitySnapshot
from holdfast.holds.errors import AccountUnreachable
from holdfast.holds.ids import CallSid
from holdfast.holds.policy import Policy
from holdfast.holds.web.app import MAX_BODY
from holdfast.holds.web.document_endpoints import RejectedSignatures
from tests.stories.holds.conftest import Stage
from tests.stories.holds.fake_account import PUBLIC, asgi

pytestmark = pytest.mark.anyio

MUSIC = "https://cdn.example/m.mp3"


@pytest.fixture
def room(stage: Stage) -> tuple[CallSid, CallSid]:
    customer, agent = stage.account.add_call(1), stage.account.add_call(2)
    stage.account.meet("support", customer, agent)
    return customer, agent


async def ask(stage: Stage, method: str, path: str, body: object = None) -> tuple[int, Any]:
    assert stage.account.web is not None
    sent = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = {"content-type": "application/json"}
    status, reply, answer = await asgi(stage.account.web, method, PUBLIC + path, sent, headers)
    assert reply["content-type"] == "application/json"
    return status, json.loads(answer)


async def test_a_hold_from_its_start_to_its_end(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    status, hold = await ask(stage, "POST", "/holds", {"call": room[0], "by": "alice", "music": MUSIC, "limit_s": 90})
    assert (status, hold["status"], hold["by"], hold["music"], hold["limit_s"]) == (201, "held", "alice", MUSIC, 90)
    assert await ask(stage, "POST", "/holds", {"call": room[0]}) == (200, hold)
    assert await ask(stage, "GET", f"/holds/{hold['id']}") == (200, hold)
    assert await ask(stage, "GET", "/holds?active=true") == (200, {"holds": [hold]})
    status, listed = await ask(stage, "GET", "/calls")
    customer, agent = listed["calls"]
    assert (customer["held"], customer["hold"], customer["hears"], customer["can_hold"]) == (
        True,
        hold["id"],
        "music",
        False,
    )
    assert (agent["held"], agent["hears"], agent["can_hold"]) == (False, "silence", True)
    status, back = await ask(stage, "POST", f"/holds/{hold['id']}/resume", {"by": "bob"})
    assert (status, back["status"], back["resumed_by"]) == (200, "resumed", "bob")
    assert await ask(stage, "POST", f"/holds/{room[0]}/resume") == (200, back)
    assert await ask(stage, "GET", "/holds?active=true") == (200, {"holds": []})


async def asked_for(stage: Stage, *request: str) -> None:
    """Run other tasks until the account received this request."""
    for _ in range(100):
        if request in stage.account.requests:
            return
        await asyncio.sleep(0)
    raise AssertionError(f"no request {request}")


async def test_calls_are_never_shown_from_before_the_request(stage: Stage) -> None:
    first = asyncio.create_task(stage.holds.calls())
    await asked_for(stage, "calls", "in-progress", "")
    call = stage.account.add_call(1)
    others = await asyncio.gather(stage.holds.calls(), stage.holds.calls())
    assert await first == ()
    assert [[view.sid for view in views] for views in others] == [[call], [call]]
    assert stage.account.requests.count(("conferences",)) == 2
    stage.account.calls_[call].status = "completed"
    assert await stage.holds.calls() == ()


async def test_a_call_that_is_answered_while_the_calls_are_read_is_shown(stage: Stage) -> None:
    call = stage.account.add_call(1, status="ringing")
    reading = asyncio.create_task(stage.holds.calls())
    await asked_for(stage, "calls", "queued", "")
    stage.account.calls_[call].status = "in-progress"
    (view,) = await reading
    assert (view.sid, view.status) == (call, "in-progress")


async def test_audio_quality_is_shown_where_the_account_reports_it(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.audio_quality_ = [AudioQualitySnapshot(call=room[1], mos=4.1, loss=0.02, jitter_ms=7.5)]
    _, listed = await ask(stage, "GET", "/calls")
    assert [call["sound"] for call in listed["calls"]] == [None, {"mos": 4.1, "loss": 0.02, "jitter_ms": 7.5}]


async def test_a_dial_is_adopted_or_refused_with_the_missing_line(stage: Stage) -> None:
    parent, child = stage.account.dial(1, 2, action=stage.holds.continue_url)
    status, refused = await ask(stage, "POST", "/holds", {"call": child})
    assert (status, refused["code"]) == (409, "hold_refused")
    assert f'<Dial action="{PUBLIC}/twiml/continue">' in refused["fix"]
    assert (await ask(stage, "GET", f"/holds/{refused['hold']}"))[1]["status"] == "refused"
    assert stage.account.writes() == []
    status, listed = await ask(stage, "GET", "/calls")
    assert [(call["can_hold"], call["fix"]) for call in listed["calls"]] == [(False, refused["fix"])] * 2
    reply = {"parent": parent, "child": child, "after": None}
    assert await ask(stage, "POST", "/pairs", {"parent": parent}) == (201, reply)
    assert (await ask(stage, "POST", "/holds", {"call": child}))[0] == 201


ANOTHER = "CA" + "f" * 32


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/holds", b"", 400, "bad_input"),
        ("POST", "/holds", b"{", 400, "bad_input"),
        ("POST", "/holds", b"\xff\xfe", 400, "bad_input"),
        ("POST", "/holds", b"[" * 20_000, 400, "bad_input"),
        ("POST", "/holds", [], 400, "bad_input"),
        ("POST", "/holds", {"call": 7}, 400, "bad_input"),
        ("POST", "/holds", {"call": "CA"}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "musik": MUSIC}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "music": "file:///etc/passwd"}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "music": "http://[::1"}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "music": "https://x/" + "a" * 2000}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "by": "a\nb"}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "by": "\ud800"}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "reason": "x" * 501}, 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER, "limit_s": 0}, 400, "bad_input"),
        ("POST", "/holds", b'{"call": "%s", "limit_s": 1e999}' % ANOTHER.encode(), 400, "bad_input"),
        ("POST", "/holds", b'{"call": "%s", "limit_s": NaN}' % ANOTHER.encode(), 400, "bad_input"),
        ("POST", "/holds", {"call": ANOTHER}, 409, "call_not_live"),
        ("POST", "/holds", b" " * (MAX_BODY + 1), 413, "bad_input"),
        ("POST", "/holds/HO" + "0" * 32 + "/resume", None, 404, "hold_unknown"),
        ("POST", "/holds/nonsense/resume", None, 400, "bad_input"),
        ("POST", f"/holds/{ANOTHER}/resume", None, 400, "bad_input"),
        ("POST", "/holds/HO" + "0" * 32 + "/resume", {"by": 1}, 400, "bad_input"),
        ("GET", "/holds/HO" + "0" * 32, None, 404, "hold_unknown"),
        ("GET", "/holds?limit=0", None, 400, "bad_input"),
        ("GET", "/holds?active=perhaps", None, 400, "bad_input"),
        ("GET", "/events?after=-1", None, 400, "bad_input"),
        ("GET", "/events?after=99999999999999999999", None, 400, "bad_input"),
        ("POST", "/pairs", {"parent": ANOTHER, "after": "javascript:alert(1)"}, 400, "bad_input"),
        ("POST", "/pairs", {"parent": ANOTHER}, 409, "call_not_live"),
        ("GET", "/nothing", None, 404, "not_found"),
        ("PUT", "/holds", {}, 405, "method_not_allowed"),
    ],
)
async def test_an_impossible_request_gets_a_clear_error(
    stage: Stage, method: str, path: str, body: object, status: int, code: str
) -> None:
    status_code, reply = await ask(stage, method, path, body)
    assert (status_code, reply["code"]) == (status, code)
    assert reply["message"]
    assert stage.account.writes() == []


@pytest.mark.parametrize(
    ("path", "body", "message"),
    [
        ("/holds", b"", "send a JSON object, with Content-Type: application/json"),
        ("/holds", b"{", "the body cannot be read as JSON: send a JSON object, with Content-Type: application/json"),
        ("/holds", [], "send a JSON object, with Content-Type: application/json"),
        ("/holds", {}, "call is missing"),
        ("/holds", {"call": 7}, "call must be a valid string"),
        ("/holds", {"call": ANOTHER, "limit_s": "x"}, "limit_s must be a valid number"),
        ("/holds", {"call": ANOTHER, "musik": 1}, "there is no field musik; allowed: call, music, by, reason, limit_s"),
        (f"/holds/{ANOTHER}/resume", {"who": 1}, "there is no field who; allowed: by"),
        ("/pairs", {"{call}": 1}, "there is no field {call}; allowed: parent, child, after"),
    ],
)
async def test_a_wrong_body_gets_a_plain_error(stage: Stage, path: str, body: object, message: str) -> None:
    assert (await ask(stage, "POST", path, body))[1]["message"] == message


async def test_a_form_body_gets_an_error_that_asks_for_json(stage: Stage) -> None:
    assert stage.account.web is not None
    form = {"content-type": "application/x-www-form-urlencoded"}
    status, _, answer = await asgi(stage.account.web, "POST", PUBLIC + "/holds", b"call=" + ANOTHER.encode(), form)
    assert (status, json.loads(answer)["message"]) == (400, "send a JSON object, with Content-Type: application/json")


async def test_errors_have_their_own_statuses(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    stage.account.errors["conferences"] = [(AccountUnreachable("no answer"), False)]
    status, reply = await ask(stage, "POST", "/holds", {"call": room[0]})
    assert (status, reply["code"]) == (504, "account_unreachable")
    stage.start(policy=Policy(holders=frozenset({"alice"})))
    status, reply = await ask(stage, "POST", "/holds", {"call": room[0], "by": "bob"})
    assert (status, reply["code"]) == (403, "not_allowed")


async def watch(stage: Stage, path: str, headers: dict[str, str], *, count: int) -> list[dict[str, Any]]:
    """Return the first events of a stream, while the service runs."""
    assert stage.account.web is not None
    text, asked, enough = "", False, asyncio.Event()

    async def receive() -> dict[str, Any]:
        nonlocal asked
        if not asked:
            asked = True
            return {"type": "http.request", "body": b"", "more_body": False}
        await enough.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        nonlocal text
        if message["type"] == "http.response.start":
            reply = {name.decode(): value.decode() for name, value in message["headers"]}
            assert reply["content-type"].startswith("text/event-stream")
            assert reply["cache-control"] == "no-store"
        text += message.get("body", b"").decode()
        if text.count("data: ") >= count:
            enough.set()

    path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": "GET",
        "scheme": "https",
        "path": path,
        "raw_path": path.encode(),
        "query_string": query.encode(),
        "root_path": "",
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
        "server": ("holds.example", 443),
    }
    async with asyncio.timeout(5.0):
        await stage.account.web(scope, receive, send)
    lines = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


async def test_a_watcher_that_reconnects_misses_no_event(stage: Stage, room: tuple[CallSid, CallSid]) -> None:
    await stage.holds.hold(room[0], by='<script>"', reason="data: x")
    seen = await watch(stage, "/events?after=0", {}, count=3)
    assert [event["kind"] for event in seen] == ["asked", "holding", "held"]
    assert seen[0]["by"] == '<script>"'
    again = await watch(stage, "/events", {"last-event-id": str(seen[1]["id"])}, count=1)
    assert again[0] == seen[2]


async def test_an_invalid_last_event_id_is_refused(stage: Stage) -> None:
    for wrong in ("x", "-1", "1" * 30, "²"):
        assert stage.account.web is not None
        status, _, body = await asgi(stage.account.web, "GET", f"{PUBLIC}/events", headers={"last-event-id": wrong})
        assert (status, json.loads(body)["code"]) == (400, "bad_input")


async def test_the_documents_need_the_accounts_signature(stage: Stage) -> None:
    for path in ("continue", "wait", "park", "dial?to=client:x", "child", f"music?url={MUSIC}"):
        assert stage.account.web is not None
        status, _, body = await asgi(stage.account.web, "GET" if "music" in path else "POST", f"{PUBLIC}/twiml/{path}")
        assert (status, json.loads(body)["code"]) == (403, "not_signed"), path


async def test_requests_without_the_signature_do_not_fill_the_log(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    assert stage.account.web is not None
    caplog.set_level("WARNING", logger="holdfast.holds.web.document_endpoints")
    for _ in range(20):
        status, _, _ = await asgi(stage.account.web, "POST", f"{PUBLIC}/twiml/continue")
        assert status == 403
    reply = [record.getMessage() for record in caplog.records if "SignatureWrong" in record.getMessage()]
    assert len(reply) <= 1  # the application may have told of another test's


def test_requests_without_the_signature_are_counted(caplog: pytest.LogCaptureFixture) -> None:
    forgeries = RejectedSignatures(now=iter((0.0, 0.0, 1.0, 59.0, 61.0, 61.0)).__next__)
    for _ in range(4):
        forgeries.log("/twiml/park", PUBLIC)
    assert [text.split()[2] for text in caplog.messages] == ["count=1", "count=3"]


async def test_the_description_cannot_be_framed_by_another_page(stage: Stage) -> None:
    assert stage.account.web is not None
    status, reply, page = await asgi(stage.account.web, "GET", f"{PUBLIC}/docs", b"", {})
    assert status == 200
    assert "frame-ancestors 'none'" in reply["content-security-policy"]
    assert b"Try it" in page
