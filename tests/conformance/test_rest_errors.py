"""Every refusal is Twilio's: HTTP status, code, and a JSON body of four fields."""

from __future__ import annotations

import base64
from typing import Final

import pytest

from holdfast.voice.control.entities import CallStatus, RoomStatus
from holdfast.voice.model import twilio_assumptions
from tests.conformance import facts
from tests.conformance.engine import ACCOUNT, ALSO_OURS, OURS, TOKEN, VOICE_URL
from tests.conformance.rest_client import BASE, BASIC, FORM, Reply, RestApi, asgi_request

CALL: Final = {"To": "client:bob", "From": OURS, "Url": VOICE_URL}


def status_and_code(reply: Reply) -> tuple[int, int]:
    """Return status and code of an error in Twilio's format."""
    assert facts.faults(reply.json, facts.ERROR) == []
    assert reply.json["status"] == reply.status
    assert reply.json["more_info"] == f"https://www.twilio.com/docs/errors/{reply.code}"
    return reply.status, reply.code


def basic(text: str) -> str:
    return "Basic " + base64.b64encode(text.encode()).decode()


# --- who asks ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "authorization",
    [
        "",
        "Basic",
        "Basic !!!",
        "Basic \xff",
        "Bearer " + TOKEN,
        basic(str(ACCOUNT)),
        basic(f"{ACCOUNT}:"),
        basic(f"{ACCOUNT}:{TOKEN}x"),
        basic(f"AC{'b' * 32}:{TOKEN}"),
        basic(":"),
    ],
)
@pytest.mark.parametrize("path", [f"{BASE}/Calls.json", f"{BASE}/Nothing.json", "/2010-04-01/nowhere"])
async def test_without_the_accounts_credentials_every_path_is_401(api: RestApi, authorization: str, path: str) -> None:
    reply = await api.request("GET", path, authorization=authorization)
    assert (reply.status, reply.code) == (401, 20003)
    assert reply.json["message"] == "Authenticate"
    assert reply.json["detail"]
    assert reply.headers["www-authenticate"].startswith("Basic ")


async def test_another_accounts_resources_are_401(api: RestApi) -> None:
    reply = await api.request("GET", f"/2010-04-01/Accounts/AC{'b' * 32}/Calls.json")
    assert (reply.status, reply.code) == (401, 20003)


async def test_the_scheme_of_the_credentials_is_read_in_any_case(api: RestApi) -> None:
    assert (await api.request("GET", f"{BASE}/Calls.json", authorization=BASIC.replace("Basic", "bAsIc"))).status == 200


# --- requested resources -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    [
        "/calls.json",
        "/Calls.json/",
        "/Calls/",
        f"/Calls/CA{'0' * 32}.json",
        f"/Calls/CA{'0' * 32}/Notifications.json",
        f"/Calls/CA{'0' * 32}/Recordings.json",
        "/Calls/not-a-sid.json",
        f"/Conferences/CF{'0' * 32}.json",
        f"/Conferences/CF{'0' * 32}/Participants.json",
        f"/Conferences/CF{'0' * 32}/Recordings.json",
        f"/Queues/QU{'0' * 32}.json",
        f"/Queues/QU{'0' * 32}/Members.json",
        f"/IncomingPhoneNumbers/PN{'0' * 32}.json",
        f"/Applications/AP{'0' * 32}.json",
        f"/Notifications/NO{'0' * 32}.json",
        f"/Keys/SK{'0' * 32}.json",
        f"/Calls/CA{'0' * 32}/Events.json",
        f"/SIP/Domains/SD{'0' * 32}.json",
        f"/SIP/Domains/SD{'0' * 32}/Auth/Calls/CredentialListMappings.json",
        f"/SIP/CredentialLists/CL{'0' * 32}/Credentials.json",
        "/SIP/IpAccessControlLists.json",
        f"/Messages/SM{'0' * 32}.json",
        "/Usage/Records.json",
    ],
)
async def test_a_missing_resource_is_404_and_named(api: RestApi, path: str) -> None:
    reply = await api.get(path)
    assert status_and_code(reply) == (404, 20404)
    assert reply.json["message"] == f"The requested resource {BASE}{path} was not found"


@pytest.mark.parametrize("named", ["not-a-sid", "CF" + "x" * 32, "CA" + "0" * 32, "CF" + "0" * 31, "BR" + "0" * 32])
@pytest.mark.parametrize(("status", "code"), [(405, 20004), (404, 20404)])
@pytest.mark.parametrize(
    ("method", "rest"),
    [
        ("GET", ""),
        ("POST", ""),
        ("GET", "/Participants"),
        *((method, f"/Participants/CA{'0' * 32}") for method in ("GET", "POST", "DELETE")),
        ("GET", "/Recordings"),
        *((method, f"/Recordings/RE{'0' * 32}") for method in ("GET", "POST", "DELETE")),
    ],
)
async def test_a_malformed_conference_sid_is_405(
    api: RestApi, monkeypatch: pytest.MonkeyPatch, named: str, method: str, rest: str, status: int, code: int
) -> None:
    monkeypatch.setattr(twilio_assumptions, "CONFERENCE_SID_MALFORMED", status)
    reply = await api.request(method, f"{BASE}/Conferences/{named}{rest}.json")
    assert status_and_code(reply) == (status, code)


@pytest.mark.parametrize("path", ["/Calls.csv", "/Calls.xml", f"/Calls/CA{'0' * 32}.XML", "/Recordings.html"])
async def test_formats_other_than_json_are_404_with_the_reason(api: RestApi, path: str) -> None:
    reply = await api.get(path)
    assert status_and_code(reply) == (404, 20404)
    assert reply.json["message"].endswith("; resources exist in JSON only, with .json or no suffix")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/Calls.json"), ("PUT", "/Calls.json"), ("POST", "/Notifications.json"), ("POST", "/Recordings.json")],
)
async def test_an_unsupported_method_is_405(api: RestApi, method: str, path: str) -> None:
    assert status_and_code(await api.request(method, BASE + path)) == (405, 20004)


async def test_an_unimplemented_resource_is_404(api: RestApi) -> None:
    call = api.engine.call()
    for path in (f"/Calls/{call.sid}/Siprec.json", f"/Calls/{call.sid}/Streams.json"):
        assert status_and_code(await api.post(path)) == (404, 20404)


async def test_head_is_get_without_its_body(api: RestApi) -> None:
    assert (await api.request("HEAD", f"{BASE}/Calls.json")).status == 200


# --- calls ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"To": None}, 21201),
        ({"To": "  "}, 21201),
        ({"From": None}, 21213),
        ({"Url": None}, 21205),
        ({"Url": ""}, 21205),
        ({"Url": "www.example.com/voice"}, 21205),
        ({"Url": "ftp://example.com/"}, 21205),
        ({"Url": "http://"}, 21205),
        ({"Url": "http://host:99999/"}, 21205),
        ({"Url": "http://[::1/"}, 21205),
        ({"Url": "http://a b/"}, 21205),
        ({"Url": "http://h/" + "a" * 4000}, 21205),
        ({"Url": None, "Twiml": "x" * 4001}, 32018),
        ({"Method": "PUT"}, 21209),
        ({"FallbackMethod": "x"}, 21209),
        ({"StatusCallbackMethod": "DELETE"}, 21209),
        ({"StatusCallback": "nowhere"}, 21502),
        ({"StatusCallback": "http://my_host/cb"}, 21502),
        ({"FallbackUrl": "nowhere"}, 21502),
        ({"SendDigits": "12x"}, 21206),
        ({"SendDigits": "1" * 33}, 21206),
        ({"Timeout": "0"}, 21208),
        ({"Timeout": "601"}, 21208),
        ({"Timeout": "soon"}, 21208),
        ({"Timeout": "-1"}, 21208),
        ({"TimeLimit": "0"}, 20422),
        ({"To": "nobody at all"}, 21211),
        ({"To": "app:AP" + "0" * 32}, 21211),
        ({"To": "client:"}, 21211),
        ({"To": "client:" + "x" * 257}, 21211),
        ({"To": "client:bob?a=%0d%0aInjected: yes"}, 21211),
        ({"To": "client:bob?a=%ff"}, 21211),
        ({"To": "sip:nobody"}, 21211),
        ({"To": "sip:a@" + "h" * 260}, 21211),
        ({"To": "sip:a@h?x-a=" + "1" * 1024}, 21211),
        ({"To": "+0123456789"}, 21217),
        ({"To": "+1"}, 21217),
        ({"To": "+15550199999"}, 21214),
        ({"To": OURS, "From": "+15550199999"}, 21210),
        ({"To": OURS, "From": "client:bob"}, 21212),
        ({"From": 'x"<sip:evil>'}, 21212),
        ({"ApplicationSid": "AP" + "0" * 32}, 21218),
        ({"ApplicationSid": "nonsense"}, 21218),
    ],
)
async def test_a_call_is_refused_with_the_code_of_its_parameter(
    api: RestApi, change: dict[str, str | None], code: int
) -> None:
    form = {name: value for name, value in (CALL | change).items() if value is not None}
    assert status_and_code(await api.post("/Calls.json", form)) == (400, code)
    assert api.engine.commands == []


async def test_an_application_without_a_voice_url_cannot_answer(api: RestApi) -> None:
    application = (await api.post("/Applications.json")).json["sid"]
    form = {"To": "client:bob", "From": OURS, "ApplicationSid": application}
    assert status_and_code(await api.post("/Calls.json", form)) == (400, 21218)


@pytest.mark.parametrize(
    "form", [{"Url": VOICE_URL}, {"Twiml": "<Response/>"}, {"Status": "completed"}, {"TimeLimit": "5"}, {}]
)
async def test_a_call_that_is_over_takes_no_change(api: RestApi, form: dict[str, str]) -> None:
    call = api.engine.call(status=CallStatus.COMPLETED)
    assert status_and_code(await api.post(f"/Calls/{call.sid}.json", form)) == (400, 21220)
    assert api.engine.commands == []


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"Status": "paused"}, 20422),
        ({"Url": "x"}, 21205),
        ({"Url": VOICE_URL, "Method": "x"}, 21209),
        ({"Twiml": "x" * 4001}, 32018),
        ({"Twiml": "<Response><Redirect>/next</Redirect></Response>"}, 15004),
        ({"Twiml": '<Response><Dial action="next"><Queue>q</Queue></Dial></Response>'}, 15004),
        ({"Twiml": '<Response><Dial><Conference waitUrl="/w">q</Conference></Dial></Response>'}, 15004),
        ({"Twiml": '<Response><Dial><Number statusCallback="/w">+1</Number></Dial></Response>'}, 15004),
        ({"TimeLimit": "x"}, 20422),
        ({"FallbackUrl": "x"}, 21502),
    ],
)
async def test_an_invalid_change_of_a_call_changes_nothing(api: RestApi, form: dict[str, str], code: int) -> None:
    call = api.engine.call()
    form = {"StatusCallback": "http://127.0.0.1/cb"} | form
    assert status_and_code(await api.post(f"/Calls/{call.sid}.json", form)) == (400, code)
    assert api.engine.commands == []


async def test_a_record_of_a_live_call_cannot_be_deleted(api: RestApi) -> None:
    call = api.engine.call()
    assert status_and_code(await api.delete(f"/Calls/{call.sid}.json")) == (400, 20009)


# --- conferences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"HoldUrl": "music.mp3", "Hold": "true"}, 21502),
        ({"HoldMethod": "PUT", "Hold": "true"}, 21209),
        ({"AnnounceUrl": "x"}, 21502),
        ({"Coaching": "true"}, 20422),
    ],
)
async def test_a_change_of_a_participant_is_refused_with_the_code_of_its_parameter(
    api: RestApi, form: dict[str, str], code: int
) -> None:
    call = api.engine.call()
    room = api.engine.room(call)
    assert status_and_code(await api.post(f"/Conferences/{room.sid}/Participants/{call.sid}.json", form)) == (400, code)
    assert api.engine.commands == []


async def test_a_party_that_left_or_never_joined_is_no_participant(api: RestApi) -> None:
    call, other = api.engine.call(), api.engine.call()
    over = api.engine.room(call, status=RoomStatus.COMPLETED)
    running = api.engine.room(call)
    for room, sid in ((over, call.sid), (running, other.sid)):
        for method in ("GET", "POST", "DELETE"):
            reply = await api.request(method, f"{BASE}/Conferences/{room.sid}/Participants/{sid}.json")
            assert status_and_code(reply) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({"To": None}, 21201),
        ({"From": None}, 21213),
        ({"Label": "x" * 129}, 16023),
        ({"Label": "a/b"}, 16023),
        ({"Label": "CA" + "0" * 32}, 16023),
        ({"Timeout": "4"}, 21208),
        ({"Beep": "loud"}, 20422),
        ({"MaxParticipants": "1"}, 20422),
        ({"MaxParticipants": "251"}, 20422),
        ({"Coaching": "true"}, 20422),
        ({"WaitUrl": "x"}, 21502),
        ({"ConferenceStatusCallback": "x"}, 21502),
    ],
)
async def test_a_participant_is_refused_with_the_code_of_its_parameter(
    api: RestApi, form: dict[str, str | None], code: int
) -> None:
    merged = {"To": "client:bob", "From": OURS} | form
    sent = {name: value for name, value in merged.items() if value is not None}
    assert status_and_code(await api.post("/Conferences/lobby/Participants.json", sent)) == (400, code)
    assert api.engine.commands == []


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/Calls.json", CALL | {"Url": "http://h/" + "x" * 3991}),
        ("/Calls.json", {"To": "client:bob", "From": OURS, "Twiml": "<Response/>" + " " * 3988 + "<"}),
        ("/Calls.json", CALL | {"SendDigits": "0123456789ABCDabcd#*wW" + "1" * 10}),
        ("/Calls.json", CALL | {"Timeout": "1"}),
        ("/Calls.json", CALL | {"Timeout": "600"}),
        ("/Calls.json", CALL | {"TimeLimit": "999999999"}),
        ("/Calls.json", CALL | {"To": "client:" + "x" * 256}),
        ("/Calls.json", CALL | {"To": "sip:a@" + "h" * 248}),
        ("/Calls.json", CALL | {"To": "sip:a@h?X-Long=" + "x" * 1016}),
        ("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS, "Label": "x" * 128}),
        ("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS, "MaxParticipants": "2"}),
        ("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS, "MaxParticipants": "250"}),
        ("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS, "Timeout": "5"}),
        (f"/Conferences/{'x' * 128}/Participants.json", {"To": "client:bob", "From": OURS}),
        ("/Queues.json", {"FriendlyName": "x" * 64, "MaxSize": "5000"}),
        ("/Queues.json", {"FriendlyName": "x", "MaxSize": "1"}),
        ("/Applications.json", {"FriendlyName": "x" * 64}),
        ("/SIP/CredentialLists.json", {"FriendlyName": "x" * 64}),
        ("/SIP/Domains.json", {"DomainName": ".".join(["x" * 63] * 3 + ["y" * 61])}),
        ("/IncomingPhoneNumbers.json", {"PhoneNumber": "+123456789012345"}),
    ],
)
async def test_a_value_at_the_end_of_its_range_is_accepted(api: RestApi, path: str, form: dict[str, str]) -> None:
    made = await api.post(path, form)
    assert made.status == 201, made.body


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("/Calls.json", CALL | {"Url": "http://h/" + "x" * 3992}, 21205),
        ("/Calls.json", CALL | {"Timeout": "0"}, 21208),
        ("/Calls.json", CALL | {"TimeLimit": "0"}, 20422),
        ("/Calls.json", CALL | {"To": "sip:a@" + "h" * 249}, 21211),
        ("/Calls.json", CALL | {"To": "sip:a@h?X-Long=" + "x" * 1017}, 21211),
        ("/Queues.json", {"FriendlyName": "x", "MaxSize": "0"}, 20422),
        ("/SIP/Domains.json", {"DomainName": ".".join(["x" * 63] * 3 + ["y" * 62])}, 20422),
        ("/SIP/Domains.json", {"DomainName": "x" * 64 + ".example"}, 20422),
        ("/IncomingPhoneNumbers.json", {"PhoneNumber": "+1234567890123456"}, 21421),
        ("/IncomingPhoneNumbers.json", {"AreaCode": "155"}, 21451),
    ],
)
async def test_a_value_beyond_the_end_of_its_range_is_refused(
    api: RestApi, path: str, form: dict[str, str], code: int
) -> None:
    assert status_and_code(await api.post(path, form)) == (400, code)


async def test_only_one_participant_has_a_label(api: RestApi) -> None:
    form = {"To": "client:bob", "From": OURS, "Label": "customer"}
    assert (await api.post("/Conferences/lobby/Participants.json", form)).status == 201
    assert status_and_code(await api.post("/Conferences/lobby/Participants.json", form)) == (400, 16025)


async def test_no_party_is_called_into_an_ended_conference(api: RestApi) -> None:
    room = api.engine.room(api.engine.call(), status=RoomStatus.COMPLETED)
    for sid in (room.sid, f"CF{'0' * 32}"):
        reply = await api.post(f"/Conferences/{sid}/Participants.json", {"To": "client:bob", "From": OURS})
        assert status_and_code(reply) == (400, 16022)
    reply = await api.post("/Conferences/" + "x" * 129 + "/Participants.json", {"To": "client:bob", "From": OURS})
    assert status_and_code(reply) == (400, 20422)


async def test_no_announcement_is_made_to_an_ended_conference(api: RestApi) -> None:
    room = api.engine.room(api.engine.call(), status=RoomStatus.COMPLETED)
    assert status_and_code(await api.post(f"/Conferences/{room.sid}.json", {"AnnounceUrl": VOICE_URL})) == (400, 16022)
    assert (await api.post(f"/Conferences/{room.sid}.json", {"Status": "completed"})).status == 200
    assert api.engine.commands == []


# --- queues, numbers, lists --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 20002),
        ({"FriendlyName": ""}, 20002),
        ({"FriendlyName": "x" * 65}, 20002),
        ({"FriendlyName": "support"}, 22003),
        ({"FriendlyName": "new", "MaxSize": "0"}, 20422),
        ({"FriendlyName": "new", "MaxSize": "5001"}, 20422),
    ],
)
async def test_a_queue_is_refused_with_the_code_of_its_parameter(api: RestApi, form: dict[str, str], code: int) -> None:
    api.engine.queue(name="support")
    assert status_and_code(await api.post("/Queues.json", form)) == (400, code)


async def test_a_queue_with_members_is_not_deleted(api: RestApi) -> None:
    queue = api.engine.queue(api.engine.call())
    reply = await api.delete(f"/Queues/{queue.sid}.json")
    assert (reply.status, reply.code) == (400, 20409)


async def test_no_member_is_dequeued_from_an_empty_queue(api: RestApi) -> None:
    queue = api.engine.queue()
    for name in ("Front", "front", f"CA{'0' * 32}"):
        assert status_and_code(await api.post(f"/Queues/{queue.sid}/Members/{name}.json", {"Url": VOICE_URL})) == (
            404,
            20404,
        )


async def test_dequeuing_needs_a_document(api: RestApi) -> None:
    queue = api.engine.queue(api.engine.call())
    assert status_and_code(await api.post(f"/Queues/{queue.sid}/Members/Front.json")) == (400, 21205)


@pytest.mark.parametrize(
    ("form", "code"),
    [
        ({}, 21421),
        ({"PhoneNumber": "alice"}, 21421),
        ({"PhoneNumber": ALSO_OURS}, 21422),
        ({"AreaCode": "055"}, 21451),
        ({"PhoneNumber": "+15550100009", "VoiceUrl": "x"}, 11100),
        ({"PhoneNumber": "+15550100009", "VoiceMethod": "x"}, 21209),
        ({"PhoneNumber": "+15550100009", "FriendlyName": "x" * 65}, 20002),
        ({"PhoneNumber": "+15550100009", "VoiceApplicationSid": "AP" + "0" * 32}, 21218),
    ],
)
async def test_a_number_is_refused_with_the_code_of_its_parameter(
    api: RestApi, form: dict[str, str], code: int
) -> None:
    assert status_and_code(await api.post("/IncomingPhoneNumbers.json", form)) == (400, code)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("PageSize=1001", 20007),
        ("PageSize=0", 20007),
        ("PageSize=x", 20007),
        ("Page=-1", 20422),
        ("PageToken=../../etc", 20422),
        ("Status=sleeping", 20422),
        ("StartTime=yesterday", 20422),
        ("StartTime%3E=2024-13-01", 20422),
        ("EndTime%3C=0000-00-00", 20422),
    ],
)
async def test_a_list_is_refused_with_the_code_of_its_parameter(api: RestApi, query: str, code: int) -> None:
    assert status_and_code(await api.get("/Calls.json", query)) == (400, code)


# --- hostile bodies --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"To=%ff%fe", FORM),
        (b"\xff\xfe\x00", FORM),
        (b"To=a%00b", FORM),
        (b"a%01=b", FORM),
        (b"&".join(b"a%d=1" % number for number in range(600)), FORM),
        (b"no boundary at all", "multipart/form-data"),
        (b"--x\r\nbroken", "multipart/form-data; boundary=x"),
        (b"--x\r\nContent-Disposition: form-data\r\n\r\nv\r\n--x--\r\n", "multipart/form-data; boundary=x"),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nv\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (
            b'--x\r\nContent-Disposition: form-data; name="a"\r\n\r\n\xff\r\n--x--\r\n',
            "multipart/form-data; boundary=x",
        ),
        (b"x", "multipart/form-data; boundary=" + "y" * 300),
    ],
)
async def test_a_body_that_is_no_form_is_400(api: RestApi, body: bytes, content_type: str) -> None:
    reply = await api.request("POST", f"{BASE}/Calls.json", body=body, content_type=content_type)
    status, _ = status_and_code(reply)
    assert status == 400
    assert api.engine.commands == []


async def test_a_body_of_another_type_has_no_parameters(api: RestApi) -> None:
    reply = await api.request("POST", f"{BASE}/Calls.json", body=b'{"To":1}', content_type="application/json")
    assert status_and_code(reply) == (400, 21201)


async def test_an_endless_body_is_refused(api: RestApi) -> None:
    headers = [(b"authorization", BASIC.encode()), (b"content-type", FORM.encode())]
    chunks = [b"a" * 65536] * 64
    reply = await asgi_request(api.app, "POST", f"{BASE}/Calls.json", query="", headers=headers, chunks=chunks)
    assert status_and_code(reply) == (413, 20422)


async def test_a_query_that_is_no_form_is_400(api: RestApi) -> None:
    assert status_and_code(await api.get("/Calls.json", "To=%ff")) == (400, 20422)
