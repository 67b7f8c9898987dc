"""The operator's endpoints, beside Twilio's resources."""

from __future__ import annotations

import json
from typing import Any, Literal

import pytest

from holdfast.voice.api.ops.explain_endpoint import REJECTED
from holdfast.voice.api.ops.json_errors import NOT_AN_OBJECT
from holdfast.voice.control.entities import CallStatus, RoomStatus
from holdfast.voice.media_process.control_link.protocol import Statistics
from holdfast.voice.model.commands import CreateCall
from holdfast.voice.model.ports import JournalEntry
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.runtime.directory.records import RouteRecord
from holdfast.voice.runtime.sip.names.location import Location
from holdfast.voice.runtime.sip.trunks import TrunkStatus
from holdfast.voice.sip.effects import Address
from tests.conformance.engine import ACCOUNT, ALSO_OURS, NOON, OURS, VOICE_URL
from tests.conformance.rest_client import BASIC, MemoryJournal, Reply, RestApi, asgi_request, new_rest_api

ROUTE = {"prefix": "+44", "host": "203.0.113.5", "port": 5060}


async def post(api: RestApi, path: str, body: Any, authorization: str = BASIC) -> Reply:
    return await api.request(
        "POST", path, body=json.dumps(body).encode(), content_type="application/json", authorization=authorization
    )


async def test_health_needs_no_credentials() -> None:
    api = await new_rest_api()
    assert (await api.request("GET", "/healthz", authorization="")).json == {"status": "ok"}
    assert (await api.request("GET", "/readyz", authorization="")).json == {"status": "ready"}
    starting = await new_rest_api(not_ready="the media process has not answered yet")
    reply = await starting.request("GET", "/readyz", authorization="")
    assert (reply.status, reply.json["reason"]) == (503, "the media process has not answered yet")


@pytest.mark.parametrize(
    "path",
    [
        "/engine/lines",
        "/engine/numbers",
        "/engine/routes",
        f"/engine/ladder/CA{'0' * 32}",
        f"/engine/explain/CA{'0' * 32}",
    ],
)
async def test_the_engine_needs_the_accounts_credentials(api: RestApi, path: str) -> None:
    for authorization in ("", "Basic x", BASIC[:-3] + "AAA"):
        reply = await api.request("GET", path, authorization=authorization)
        assert (reply.status, reply.code) == (401, 20003)


async def test_the_ladder_is_the_journal_of_the_call() -> None:
    sid = f"CA{'1' * 32}"
    diary = MemoryJournal(
        [
            JournalEntry(at=NOON, call=sid, kind="CreateCall", data='{"to": "client:bob"}'),
            JournalEntry(at=NOON + 1, call=sid, kind="sip", data="not json"),
            JournalEntry(at=NOON, call="", kind="other", data="{}"),
        ]
    )
    api = await new_rest_api(journal=diary)
    body = (await api.request("GET", f"/engine/ladder/{sid}")).json
    assert body == {
        "call": sid,
        "entries": [
            {"at": NOON, "call": sid, "kind": "CreateCall", "data": {"to": "client:bob"}},
            {"at": NOON + 1, "call": sid, "kind": "sip", "data": "not json"},
        ],
    }
    for unknown in ("", "x", f"CA{'2' * 32}"):
        assert (await api.request("GET", f"/engine/ladder/{unknown}")).status == 404


async def test_the_ladder_of_a_rejected_call_can_be_read() -> None:
    sid = f"CA{'1' * 32}"
    api = await new_rest_api()
    api.engine.rejected = [JournalEntry(at=NOON, call=sid, kind="sip", data='{"summary": "INVITE"}')]
    body = (await api.request("GET", f"/engine/ladder/{sid}")).json
    assert [line["data"]["summary"] for line in body["entries"]] == ["INVITE"]


async def test_lines_are_added_shown_without_password_and_removed(api: RestApi) -> None:
    bob = {"name": "bob", "may_call": ["+1"], "rtp_source": "any"}
    added = await post(api, "/engine/lines", {**bob, "password": "correct-horse"})
    assert (added.status, added.json) == (201, bob)
    shown = (await api.request("GET", "/engine/lines")).json
    assert shown == {"lines": [{"name": "alice", "may_call": [""], "rtp_source": None}, bob]}
    assert (await post(api, "/engine/lines", {**bob, "password": "correct-horse", "rtp_source": "all"})).status == 400
    again = await Directory.open(api.store, account=ACCOUNT, now=NOON)
    assert [(line.name, line.rtp_source) for line in again.lines()] == [("bob", "any")]
    assert (await api.request("DELETE", "/engine/lines/bob")).status == 204
    assert (await api.request("DELETE", "/engine/lines/bob")).status == 404


async def test_routes_are_added_shown_without_password_and_removed(api: RestApi) -> None:
    route = {"prefix": "+44", "host": "203.0.113.5", "port": 5060, "user": "acme", "sources": ["203.0.113.9/28"]}
    route |= {"rtp_source": "named", "phone_hold_music": "always ours"}
    added = await post(api, "/engine/routes", {**route, "password": "hush"})
    shown = {**route, "sources": ["203.0.113.0/28"], "transport": "UDP"}
    shown |= dict.fromkeys(
        ("realm", "caller_id", "identity", "tls_name", "domain", "registration", "backup", "location")
    )
    shown |= {"register": False}
    assert (added.status, added.json) == (201, shown)
    assert (await api.request("GET", "/engine/routes")).json == {"routes": [shown]}
    again = await Directory.open(api.store, account=ACCOUNT, now=NOON)
    kept = [(kept.password, kept.rtp_source, kept.phone_hold_music) for kept in again.routes.all()]
    assert kept == [("hush", "named", "always ours")]
    assert (await post(api, "/engine/routes", {**route, "phone_hold_music": "theirs"})).status == 400
    assert (await api.request("DELETE", "/engine/routes/+44")).status == 204
    assert (await api.request("DELETE", "/engine/routes/+44")).status == 404


class Registrar:
    """Reports the given registration for every trunk that has a user."""

    def __init__(self, state: Literal["trying", "registered", "failed"]) -> None:
        self.state: Literal["trying", "registered", "failed"] = state
        self.followed = 0

    def follow_trunks(self) -> None:
        self.followed += 1

    def trunk_status(self, trunk: RouteRecord) -> TrunkStatus | None:
        if trunk.user is None:
            return None
        return TrunkStatus(host=trunk.host, port=trunk.port, user=trunk.user, state=self.state, status=403)

    def trunk_location(self, trunk: RouteRecord) -> Location | None:
        if not trunk.is_named:
            return None
        return Location(addresses=(Address("203.0.113.5", 5060), Address("2001:db8::1", 5061, "TLS")), problem="half")


async def test_a_route_shows_the_registration_of_its_trunk_and_of_the_backup() -> None:
    registrar = Registrar("failed")
    api = await new_rest_api(registrations=registrar)
    route = {"prefix": "+44", "host": "203.0.113.5", "port": 5060, "user": "acme", "password": "x", "register": True}
    added = await post(api, "/engine/routes", route)
    expected = {"state": "failed", "until": None, "status": 403, "reason": "", "again_at": None}
    assert (added.json["register"], added.json["registration"]) == (True, expected)
    second = {"host": "203.0.113.6", "port": 5061, "transport": "TLS", "sources": ["203.0.113.9/28"]}
    added = await post(api, "/engine/routes/+44/backup", {**second, "password": "hush"})
    assert (added.status, added.json["registration"]) == (201, None)
    assert "hush" not in str(added.json)
    (shown,) = (await api.request("GET", "/engine/routes")).json["routes"]
    assert (shown["backup"]["host"], shown["backup"]["sources"]) == ("203.0.113.6", ["203.0.113.0/28"])
    assert (await post(api, "/engine/routes/+45/backup", second)).status == 404
    assert (await post(api, "/engine/routes", {**route, "backup": second})).json["backup"]["port"] == 5061
    for status in (204, 404):
        assert (await api.request("DELETE", "/engine/routes/+44/backup")).status == status
    assert (await api.request("DELETE", "/engine/routes/+44")).status == 204
    assert registrar.followed == 5


async def test_a_route_by_name_leaves_port_and_transport_to_dns_and_shows_its_addresses() -> None:
    api = await new_rest_api(registrations=Registrar("trying"))
    added = await post(api, "/engine/routes", {"prefix": "+44", "host": "SIP.Carrier.example."})
    assert added.status == 201
    assert [added.json[name] for name in ("host", "port", "transport")] == ["sip.carrier.example", None, None]
    assert added.json["location"] == {
        "addresses": ["203.0.113.5:5060 by UDP", "[2001:db8::1]:5061 by TLS"],
        "problem": "half",
    }
    numeric = await post(api, "/engine/routes", {"prefix": "+45", "host": "203.0.113.5", "transport": "TLS"})
    assert [numeric.json[name] for name in ("port", "transport", "location")] == [5061, "TLS", None]
    for wrong in ("carrier..example", "203.0.113", "-a.example", "a b", "sip:carrier.example", "x" * 64 + ".example"):
        assert (await post(api, "/engine/routes", {"prefix": "+46", "host": wrong})).status == 400, wrong


async def test_a_number_is_called_only_by_a_route(api: RestApi) -> None:
    form = {"To": "+442079460000", "From": OURS, "Twiml": "<Response/>"}
    refused = await api.post("/Calls.json", form)
    assert (refused.status, refused.json["code"]) == (400, 21214)
    await post(api, "/engine/routes", {"prefix": "+44", "host": "203.0.113.5", "port": 5060})
    assert (await api.post("/Calls.json", form)).status == 201
    await post(api, "/engine/routes", {"prefix": "+", "host": "203.0.113.5", "port": 5060})
    refused = await api.post("/Calls.json", {**form, "To": "112"})
    assert refused.json["code"] == 21214
    assert "112 is no number or line of ours, and too short for a trunk" in refused.json["message"]


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
async def test_a_number_is_called_as_people_write_it(api: RestApi, path: str) -> None:
    form = {"From": "(555) 010-0001"} | ({} if "Participants" in path else {"Twiml": "<Response/>"})
    await post(api, "/engine/routes", {"prefix": "+41", "host": "203.0.113.41", "port": 5060})
    for written in ("415-555-1212", "(415) 555-1212", "4155551212"):
        refused = await api.post(path, {**form, "To": written})
        assert refused.json["code"] == 21214, "a route for +41 must not take a number of the United States"
    await post(api, "/engine/routes", {"prefix": "+1", "host": "203.0.113.1", "port": 5060})
    for written in ("415-555-1212", "(415) 555-1212", "4155551212", "+1 415 555 1212"):
        assert (await api.post(path, {**form, "To": written})).status == 201
        placed = api.engine.commands[-1]
        assert isinstance(placed, CreateCall)
        assert (placed.target.to, placed.from_) == ("+14155551212", OURS)
    for written, code in (("415-555-121", 21211), ("0415551212", 21211), ("+1415555121", 21217), ("911", 21214)):
        refused = await api.post(path, {**form, "To": written})
        assert (refused.status, refused.json["code"]) == (400, code)


async def test_numbers_are_added_changed_and_removed(api: RestApi) -> None:
    added = await post(api, "/engine/numbers", {"phone_number": "1 555 010 0007", "voice_url": VOICE_URL})
    assert (added.status, added.json["phone_number"]) == (201, "+15550100007")
    changed = await post(api, "/engine/numbers", {"phone_number": "+15550100007", "friendly_name": "desk"})
    assert (changed.json["sid"], changed.json["friendly_name"]) == (added.json["sid"], "desk")
    assert changed.json["voice_url"] is None
    shown = (await api.request("GET", "/engine/numbers")).json["numbers"]
    assert [number["phone_number"] for number in shown] == [OURS, ALSO_OURS, "+15550100007"]
    assert (await api.get(f"/IncomingPhoneNumbers/{added.json['sid']}.json")).json["friendly_name"] == "desk"
    assert (await api.request("DELETE", "/engine/numbers/+15550100007")).status == 204
    assert (await api.request("DELETE", "/engine/numbers/+15550100007")).status == 404


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("lines", {"name": "a b", "password": "x"}, "name has characters, or a form, that are not allowed"),
        ("lines", {"name": "bob\n", "password": "x"}, "name has characters, or a form, that are not allowed"),
        ("lines", {"name": "bob"}, "password is missing"),
        ("lines", {"name": "bob", "password": ""}, "password must have at least 1 character"),
        ("lines", {"name": "bob", "password": "7letter"}, "password must have at least 8 characters: SIP does not"),
        ("lines", {"name": "bob", "password": "x", "colour": "red"}, "there is no field colour"),
        ("lines", [1], NOT_AN_OBJECT),
        ("routes", {**ROUTE, "register": True}, "register needs user and password"),
        ("routes", {**ROUTE, "backup": {"port": 5060}}, "backup.host is missing"),
        ("routes", {**ROUTE, "prefix": "44"}, "prefix has characters, or a form, that are not allowed"),
        (
            "routes",
            {**ROUTE, "host": "sip..example"},
            "host: 'sip..example' is neither a numeric address nor a host name",
        ),
        ("routes", {**ROUTE, "port": 0}, "port must be greater than or equal to 1"),
        ("routes", {**ROUTE, "transport": "WS"}, "transport must be 'UDP', 'TCP' or 'TLS'"),
        ("routes", {**ROUTE, "sources": ["all"]}, "sources.0: 'all' does not appear to be an IPv4 or IPv6 network"),
        ("routes", {**ROUTE, "user": "a\r\nX: y"}, "user has characters, or a form, that are not allowed"),
        (
            "numbers",
            {"phone_number": "alice"},
            "phone_number must be a phone number, best in E.164",
        ),
        (
            "numbers",
            {"phone_number": OURS, "voice_url": "here"},
            "voice_url must be absolute and begin with http:// or",
        ),
        ("numbers", {"phone_number": OURS, "voice_method": "PUT"}, "voice_method must be 'GET' or 'POST'"),
    ],
)
async def test_invalid_fields_are_refused_and_named(api: RestApi, path: str, body: Any, expected: str) -> None:
    reply = await post(api, f"/engine/{path}", body)
    assert (reply.status, reply.json["code"]) == (400, 20422)
    assert expected in reply.json["message"]
    assert api.store.kept == {}


async def test_invalid_json_is_refused(api: RestApi) -> None:
    for body in (b"{", b"\xff", b""):
        reply = await api.request("POST", "/engine/lines", body=body, content_type="application/json")
        assert (reply.status, reply.json["message"]) == (400, NOT_AN_OBJECT)


async def test_metrics_count_live_nouns_and_requests(api: RestApi) -> None:
    engine = api.engine
    first, second, over = engine.call(), engine.call(), engine.call(status=CallStatus.COMPLETED)
    room = engine.room(first, second)
    engine.room(over, status=RoomStatus.COMPLETED)
    engine.queue(engine.call(status=CallStatus.RINGING))
    await api.post(f"/Conferences/{room.sid}/Participants/{first.sid}.json", {"Hold": "true"})
    await api.get("/nowhere")
    text = (await api.request("GET", "/metrics", authorization="")).body.decode()
    lines = set(text.splitlines())
    assert {
        'holdfast_calls{status="in-progress"} 2.0',
        'holdfast_calls{status="ringing"} 1.0',
        'holdfast_calls{status="queued"} 0.0',
        "holdfast_conferences 1.0",
        "holdfast_participants 2.0",
        "holdfast_participants_held 1.0",
        "holdfast_queues 1.0",
        "holdfast_queue_members 1.0",
        'holdfast_api_requests_total{method="POST",status="200"} 1.0',
        'holdfast_api_requests_total{method="GET",status="404"} 1.0',
        "holdfast_api_request_seconds_count 2.0",
    } <= lines


async def test_the_openapi_page_knows_the_engines_addresses(api: RestApi) -> None:
    paths = (await api.request("GET", "/openapi.json", authorization="")).json["paths"]
    assert {"/engine/ladder/{call}", "/engine/lines", "/engine/numbers", "/healthz", "/metrics"} <= paths.keys()


async def test_a_call_is_explained_as_sentences_and_as_text() -> None:
    diary = MemoryJournal()
    api = await new_rest_api(journal=diary)
    call = api.engine.call()
    api.engine.room(call)
    api.quality.record(figures(call.sid))
    diary.lines.append(
        JournalEntry(
            at=NOON, call=call.sid, kind="LogNotification", data='{"code": 11200, "log": 1, "message": "removed"}'
        )
    )
    body = (await api.request("GET", f"/engine/explain/{call.sid}")).json
    assert body["call"] == call.sid
    assert "It is alone in conference 'room'." in body["says"]
    assert any("Not one RTP packet" in sentence for sentence in body["says"])
    assert body["says"][-1] == "It was noted: warning 11200: removed"
    headers = [(b"accept", b"text/plain"), (b"authorization", BASIC.encode())]
    path = f"/engine/explain/{call.sid}"
    text = await asgi_request(api.app, "GET", path, query="", headers=headers, chunks=[b""])
    assert text.body.decode().splitlines() == body["says"]
    unknown = "CA" + "9" * 32
    assert (await api.request("GET", f"/engine/explain/{unknown}")).status == 404
    api.engine.rejected.append(JournalEntry(at=NOON, call=unknown, kind="sip", data="{}"))
    assert (await api.request("GET", f"/engine/explain/{unknown}")).json == {"call": unknown, "says": [REJECTED]}


def figures(call: str) -> Statistics:
    return Statistics(
        leg=call,
        codec="PCMU",
        packets_sent=250,
        packets_received=0,
        packets_lost=0,
        packets_late=0,
        packets_refused=0,
        frames_concealed=0,
        jitter_ms=0.0,
        depth=1,
        reported_lost=None,
        reported_jitter_ms=None,
        round_trip_ms=None,
        mos=None,
        reported_mos=None,
    )
