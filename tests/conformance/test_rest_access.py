"""Access control: API keys, SIP domains, credential lists; and the HTTP exchanges of a call."""

from __future__ import annotations

import base64
import json
from dataclasses import replace

import pytest

from holdfast.voice.model.effects import LogNotification
from holdfast.voice.model.ports import JournalEntry
from holdfast.voice.runtime.directory.access import Access, SipUser
from holdfast.voice.runtime.directory.directory import Directory
from holdfast.voice.sip.message.digest import Ha1
from tests.conformance import facts
from tests.conformance.engine import ACCOUNT, NOON, OURS, VOICE_URL
from tests.conformance.rest_client import BASE, MemoryJournal, Reply, RestApi, new_rest_api

PASSWORD = "Correct9horse"


def status_and_code(reply: Reply) -> tuple[int, int]:
    return reply.status, reply.code


def signed(sid: str, secret: str) -> str:
    return "Basic " + base64.b64encode(f"{sid}:{secret}".encode()).decode()


async def reopened(api: RestApi) -> Directory:
    """Return the directory as the next start reads it."""
    return await Directory.open(api.store, account=ACCOUNT, now=NOON)


# --- keys ----------------------------------------------------------------------------------------------


async def test_a_key_signs_in_until_it_is_deleted(api: RestApi) -> None:
    made = await api.post("/Keys.json", {"FriendlyName": "desk"})
    assert made.status == 201
    assert facts.faults(made.json, facts.NEW_KEY) == []
    sid, secret = made.json["sid"], made.json["secret"]
    ours = signed(sid, secret)
    assert (await api.request("GET", f"{BASE}/Calls.json", authorization=ours)).status == 200
    form = {"To": "client:bob", "From": OURS, "Url": VOICE_URL}
    assert (await api.request("POST", f"{BASE}/Calls.json", form=form, authorization=ours)).status == 201
    assert status_and_code(await api.request("GET", f"{BASE}/Calls.json", authorization=signed(sid, secret + "x"))) == (
        401,
        20003,
    )
    assert status_and_code(await api.request("GET", f"{BASE}/Calls.json", authorization=signed(sid, ""))) == (
        401,
        20003,
    )
    assert (await api.delete(f"/Keys/{sid}.json")).status == 204
    assert status_and_code(await api.request("GET", f"{BASE}/Calls.json", authorization=ours)) == (401, 20003)


async def test_a_key_is_read_renamed_and_listed_without_its_secret(api: RestApi) -> None:
    first = (await api.post("/Keys.json", {"FriendlyName": "first"})).json
    api.engine.clock += 1
    second = (await api.post("/SigningKeys.json", {})).json
    assert second["friendly_name"] == ""
    read = (await api.get(f"/Keys/{first['sid']}.json")).json
    assert facts.faults(read, facts.KEY) == []
    renamed = (await api.post(f"/Keys/{first['sid']}.json", {"FriendlyName": "new"})).json
    assert (renamed["friendly_name"], renamed["date_created"]) == ("new", first["date_created"])
    rows = (await api.get("/Keys.json")).json["keys"]
    assert [row["sid"] for row in rows] == [second["sid"], first["sid"]]
    assert all(facts.faults(row, facts.KEY) == [] for row in rows)
    assert status_and_code(await api.post("/Keys.json", {"FriendlyName": "x" * 65})) == (400, 20002)


@pytest.mark.parametrize("path", ["/Keys.json", "/Keys", "/SigningKeys.json", "/Keys/SK1.json", ".json", ""])
async def test_a_key_reads_no_keys_and_no_accounts(api: RestApi, path: str) -> None:
    made = (await api.post("/Keys.json")).json
    authorization = signed(made["sid"], made["secret"])
    assert status_and_code(await api.request("GET", BASE + path, authorization=authorization)) == (401, 20003)
    assert status_and_code(await api.request("GET", "/2010-04-01/Accounts.json", authorization=authorization)) == (
        401,
        20003,
    )


async def test_a_key_gives_access_to_its_own_account_only(api: RestApi) -> None:
    made = (await api.post("/Keys.json", {})).json
    ours = signed(made["sid"], made["secret"])
    other = BASE.replace(ACCOUNT, "AC" + "f" * 32)
    assert other != BASE
    for path in ("/Calls.json", "/Calls", "/Conferences.json"):
        assert (await api.request("GET", BASE + path, authorization=ours)).status == 200
        assert status_and_code(await api.request("GET", other + path, authorization=ours)) == (401, 20003)


async def test_a_key_is_kept_without_its_secret(api: RestApi) -> None:
    made = (await api.post("/Keys.json")).json
    assert made["secret"] not in json.dumps(dict(await api.store.get_all("api-key")))
    access: Access = (await reopened(api)).access
    assert access.verify_key(made["sid"], made["secret"])
    assert not access.verify_key(made["sid"], "other")
    assert not access.verify_key("SK" + "0" * 32, "")


# --- credential lists and domains ------------------------------------------------------------------------


async def test_a_user_is_a_line_once_its_list_is_mapped(api: RestApi) -> None:
    credentials = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    assert facts.faults(credentials, facts.CREDENTIAL_LIST) == []
    users = f"/SIP/CredentialLists/{credentials['sid']}/Credentials"
    user = await api.post(f"{users}.json", {"Username": "carol", "Password": PASSWORD})
    assert user.status == 201
    assert facts.faults(user.json, facts.CREDENTIAL) == []
    assert api.directory.line("carol") is None

    domain = await api.post("/SIP/Domains.json", {"DomainName": "office.sip.twilio.com", "VoiceUrl": VOICE_URL})
    assert domain.status == 201
    assert facts.faults(domain.json, facts.DOMAIN) == []
    assert domain.json["auth_type"] == ""
    gates = f"/SIP/Domains/{domain.json['sid']}"
    form = {"CredentialListSid": credentials["sid"]}
    registrations = await api.post(f"{gates}/Auth/Registrations/CredentialListMappings.json", form)
    assert registrations.status == 201
    assert facts.faults(registrations.json, facts.MAPPING) == []
    line = api.directory.line("carol")
    assert line is not None
    assert (line.ha1, line.may_call) == (Ha1.of("carol", PASSWORD), ())

    calls = await api.post(f"{gates}/CredentialListMappings.json", form)
    assert facts.faults(calls.json, facts.LEGACY_MAPPING) == []
    line = (await reopened(api)).line("carol")
    assert line is not None
    assert line.may_call
    assert [each.name for each in api.directory.lines()] == ["alice", "carol"]
    assert (await api.get(f"/SIP/Domains/{domain.json['sid']}.json")).json["auth_type"] == "CREDENTIAL_LIST"
    assert (await api.request("GET", calls.json["uri"])).json == calls.json

    assert (await api.post(f"{users}/{user.json['sid']}.json", {"Password": PASSWORD + "2"})).status == 200
    line = api.directory.line("carol")
    assert line is not None
    assert line.ha1 == Ha1.of("carol", PASSWORD + "2")
    assert (await api.delete(f"{users}/{user.json['sid']}.json")).status == 204
    assert api.directory.line("carol") is None


async def test_the_store_has_no_password_of_a_credential(api: RestApi) -> None:
    credentials = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    users = f"/SIP/CredentialLists/{credentials['sid']}/Credentials"
    made = await api.post(f"{users}.json", {"Username": "carol", "Password": PASSWORD})
    for password in (PASSWORD, PASSWORD + "2"):
        await api.post(f"{users}/{made.json['sid']}.json", {"Password": password})
        kept = api.store.kept["credential-list", credentials["sid"]]
        assert PASSWORD not in kept
        assert Ha1.of("carol", password).sha256 in kept


async def test_a_line_of_the_directory_overrides_a_user_of_that_name(api: RestApi) -> None:
    credentials = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    users = f"/SIP/CredentialLists/{credentials['sid']}/Credentials.json"
    await api.post(users, {"Username": "alice", "Password": PASSWORD})
    domain = (await api.post("/SIP/Domains.json", {"DomainName": "a.example.com"})).json
    gate = f"/SIP/Domains/{domain['sid']}/Auth/Calls/CredentialListMappings.json"
    await api.post(gate, {"CredentialListSid": credentials["sid"]})
    line = api.directory.line("alice")
    assert line is not None
    assert line.ha1 == Ha1.of("alice", "secret")
    assert api.directory.lines() == (line,)


async def test_a_change_within_a_list_or_a_domain_is_its_own_change_too(api: RestApi) -> None:
    made = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    domain = (await api.post("/SIP/Domains.json", {"DomainName": "d.example.com"})).json
    parents = {
        f"/SIP/CredentialLists/{made['sid']}/Credentials": {"Username": "carol", "Password": PASSWORD},
        f"/SIP/Domains/{domain['sid']}/Auth/Registrations/CredentialListMappings": {"CredentialListSid": made["sid"]},
    }
    for children, form in parents.items():
        parent = children.rpartition("/Auth")[0] or children.rpartition("/")[0]
        dates = [(await api.get(f"{parent}.json")).json["date_updated"]]
        api.engine.clock += 1
        child = (await api.post(f"{children}.json", form)).json
        dates.append((await api.get(f"{parent}.json")).json["date_updated"])
        api.engine.clock += 1
        assert (await api.delete(f"{children}/{child['sid']}.json")).status == 204
        dates.append((await api.get(f"{parent}.json")).json["date_updated"])
        assert len(set(dates)) == 3


async def test_mappings_are_listed_read_and_removed(api: RestApi) -> None:
    domain = (await api.post("/SIP/Domains.json", {"DomainName": "b.example.com"})).json
    made = [(await api.post("/SIP/CredentialLists.json", {"FriendlyName": name})).json for name in "ab"]
    for path, key, shape in (
        ("CredentialListMappings", "credential_list_mappings", facts.LEGACY_MAPPING),
        ("Auth/Calls/CredentialListMappings", "contents", facts.MAPPING),
        ("Auth/Registrations/CredentialListMappings", "contents", facts.MAPPING),
    ):
        gate = f"/SIP/Domains/{domain['sid']}/{path}"
        for each in made:
            assert (await api.post(f"{gate}.json", {"CredentialListSid": each["sid"]})).status == 201
        assert status_and_code(await api.post(f"{gate}.json", {"CredentialListSid": made[0]["sid"]})) == (409, 20409)
        rows = (await api.get(f"{gate}.json")).json[key]
        assert [row["friendly_name"] for row in rows] == ["b", "a"]
        assert [facts.faults(row, shape) for row in rows] == [[], []]
        assert (await api.get(f"{gate}/{made[0]['sid']}.json")).json == rows[1]
        assert (await api.delete(f"{gate}/{made[0]['sid']}.json")).status == 204
        assert status_and_code(await api.get(f"{gate}/{made[0]['sid']}.json")) == (404, 20404)
        assert (await api.delete(f"{gate}/{made[1]['sid']}.json")).status == 204
    await api.post(f"{gate}.json", {"CredentialListSid": made[0]["sid"]})
    assert (await api.delete(f"/SIP/CredentialLists/{made[0]['sid']}.json")).status == 204
    assert (await api.get(f"{gate}.json")).json["contents"] == []


async def test_credential_lists_and_users_are_listed_and_renamed(api: RestApi) -> None:
    made = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "old"})).json
    path = f"/SIP/CredentialLists/{made['sid']}"
    assert (await api.post(f"{path}.json", {"FriendlyName": "new"})).json["friendly_name"] == "new"
    assert (await api.get(f"{path}.json")).json == (await api.get("/SIP/CredentialLists.json")).json[
        "credential_lists"
    ][0]
    user = (await api.post(f"{path}/Credentials.json", {"Username": "carol", "Password": PASSWORD})).json
    assert (await api.get(f"{path}/Credentials/{user['sid']}.json")).json == user
    assert (await api.post(f"{path}/Credentials/{user['sid']}.json")).json == user
    assert (await api.get(f"{path}/Credentials.json")).json["credentials"] == [user]
    assert status_and_code(await api.get(f"{path}/Credentials/CR{'0' * 32}.json")) == (404, 20404)


async def test_a_domain_is_changed_and_its_names_are_its_own(api: RestApi) -> None:
    made = (await api.post("/SIP/Domains.json", {"DomainName": "c.example.com", "Secure": "True"})).json
    assert (made["friendly_name"], made["secure"], made["sip_registration"]) == ("c.example.com", True, False)
    path = f"/SIP/Domains/{made['sid']}.json"
    form = {"DomainName": "D.example.com", "SipRegistration": "true", "VoiceUrl": VOICE_URL, "FriendlyName": "d"}
    changed = (await api.post(path, form)).json
    assert (changed["domain_name"], changed["sip_registration"], changed["secure"]) == ("D.example.com", True, True)
    assert (await api.post(path, {"DomainName": "d.example.com"})).status == 200
    api.engine.clock += 1
    await api.post("/SIP/Domains.json", {"DomainName": "e.example.com"})
    assert status_and_code(await api.post(path, {"DomainName": "E.example.com"})) == (409, 20409)
    assert (await api.post(path, {"VoiceUrl": ""})).json["voice_url"] is None
    assert [row["friendly_name"] for row in (await api.get("/SIP/Domains.json")).json["domains"]][-1:] == ["d"]
    assert (await api.delete(path)).status == 204
    assert status_and_code(await api.get(path)) == (404, 20404)


@pytest.mark.parametrize(
    ("path", "form", "code"),
    [
        ("/SIP/Domains.json", {}, 20422),
        ("/SIP/Domains.json", {"DomainName": "nodots"}, 20422),
        ("/SIP/Domains.json", {"DomainName": "under_score.example.com"}, 20422),
        ("/SIP/Domains.json", {"DomainName": "a.example.com", "VoiceUrl": "not a url"}, 11100),
        ("/SIP/Domains.json", {"DomainName": "a.example.com", "VoiceMethod": "PUT"}, 21209),
        ("/SIP/CredentialLists.json", {}, 20422),
        ("/SIP/CredentialLists.json", {"FriendlyName": "x" * 65}, 20002),
    ],
)
async def test_bad_domains_and_lists_are_refused(api: RestApi, path: str, form: dict[str, str], code: int) -> None:
    assert status_and_code(await api.post(path, form)) == (400, code)


@pytest.mark.parametrize(
    "form",
    [
        {},
        {"Username": "carol"},
        {"Password": PASSWORD},
        {"Username": "carol", "Password": "short"},
        {"Username": "carol", "Password": "alllowercase1"},
        {"Username": "carol", "Password": "NoDigitInHere"},
        {"Username": "carol", "Password": "Aa1" * 100},
        {"Username": "a b", "Password": PASSWORD},
        {"Username": "x" * 33, "Password": PASSWORD},
    ],
)
async def test_weak_users_are_refused(api: RestApi, form: dict[str, str]) -> None:
    made = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    users = f"/SIP/CredentialLists/{made['sid']}/Credentials.json"
    assert status_and_code(await api.post(users, form)) == (400, 20422)
    await api.post(users, {"Username": "dora", "Password": PASSWORD})
    assert status_and_code(await api.post(users, {"Username": "dora", "Password": PASSWORD})) == (409, 20409)


@pytest.mark.parametrize(
    "form",
    [
        {"Username": "x" * 32, "Password": PASSWORD},
        {"Username": "carol", "Password": "Aa1" * 4},
        {"Username": "carol", "Password": "Aa1" * 85 + "x"},
    ],
)
async def test_users_at_the_ends_of_their_ranges_are_accepted(api: RestApi, form: dict[str, str]) -> None:
    made = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json
    users = f"/SIP/CredentialLists/{made['sid']}/Credentials.json"
    assert (await api.post(users, form)).status == 201
    for password in ("Aa1" * 3 + "Aa", "Aa1" * 85 + "xx"):
        assert status_and_code(await api.post(users, {"Username": "dora", "Password": password})) == (400, 20422)


async def test_a_credential_list_has_up_to_1000_users(api: RestApi) -> None:
    sid = (await api.post("/SIP/CredentialLists.json", {"FriendlyName": "office"})).json["sid"]
    lists = api.directory.access.lists
    made = lists.get(sid)
    assert made is not None
    users = tuple(
        SipUser(sid=f"CR{n:032x}", username=f"u{n}", ha1=Ha1(md5="", sha256=""), created_at=1.0, updated_at=1.0)
        for n in range(999)
    )
    await lists.put(replace(made, users=users))
    path = f"/SIP/CredentialLists/{sid}/Credentials.json"
    assert (await api.post(path, {"Username": "carol", "Password": PASSWORD})).status == 201
    assert status_and_code(await api.post(path, {"Username": "dora", "Password": PASSWORD})) == (400, 20422)


async def test_only_existing_lists_can_be_mapped(api: RestApi) -> None:
    domain = (await api.post("/SIP/Domains.json", {"DomainName": "f.example.com"})).json
    gate = f"/SIP/Domains/{domain['sid']}/Auth/Calls/CredentialListMappings.json"
    assert status_and_code(await api.post(gate)) == (400, 20422)
    assert status_and_code(await api.post(gate, {"CredentialListSid": "CL" + "0" * 32})) == (400, 20422)


async def test_a_call_to_a_domain_is_answered_by_it(api: RestApi) -> None:
    form = {
        **{"DomainName": "g.example.com", "VoiceUrl": VOICE_URL, "VoiceMethod": "GET"},
        **{"VoiceStatusCallbackUrl": VOICE_URL + "/over"},
    }
    made = (await api.post("/SIP/Domains.json", form)).json
    answer = api.directory.answer_for("anybody", host="G.example.com")
    assert answer is not None
    assert answer.instruction.request is not None
    assert (answer.instruction.request.url, answer.instruction.request.method) == (VOICE_URL, "GET")
    assert (answer.sip_domain_sid, answer.callback is not None) == (made["sid"], True)
    assert api.directory.answer_for("anybody", host="other.example.com") is None


# --- events ----------------------------------------------------------------------------------------------


async def test_the_exchanges_of_a_call_are_listed_oldest_first() -> None:
    diary = MemoryJournal()
    api = await new_rest_api(journal=diary)
    call = api.engine.call()
    made = {"target": {"to": "client:bob"}, "from_": OURS, "instruction": {"request": {"url": VOICE_URL}}}
    exchange = {
        **{"method": "POST", "url": VOICE_URL, "form": [["CallSid", call.sid], ["ApiVersion", "2010-04-01"]]},
        **{"status": 200, "took_ms": 12, "content_type": "text/xml", "body": "<Response/>", "error": ""},
    }
    unanswered = exchange | {"status": 0, "method": "GET"}
    inline = made | {"instruction": {"twiml": "<Response/>"}}
    for kind, data in (("CreateCall", made), ("Hears", {}), ("webhook", exchange), ("webhook", unanswered)):
        diary.lines.append(JournalEntry(at=NOON, call=call.sid, kind=kind, data=json.dumps(data)))
    other = api.engine.call()
    diary.lines.append(JournalEntry(at=NOON, call=other.sid, kind="CreateCall", data=json.dumps(inline)))

    events = (await api.get(f"/Calls/{call.sid}/Events.json")).json["events"]
    assert [facts.faults(each, facts.EVENT) for each in events] == [[], [], []]
    assert [facts.faults(each["request"], facts.EVENT_REQUEST) for each in events] == [[], [], []]
    assert [facts.faults(each["response"], facts.EVENT_RESPONSE) for each in events] == [[], [], []]
    assert events[0]["request"]["parameters"] == {"to": "client:bob", "from": OURS, "url": VOICE_URL, "method": "POST"}
    assert events[1]["request"]["parameters"] == {"call_sid": call.sid, "api_version": "2010-04-01"}
    assert [each["response"]["response_code"] for each in events] == [201, 200, None]
    assert events[1]["response"]["request_duration"] == 12
    page = (await api.get(f"/Calls/{call.sid}/Events.json", "PageSize=2")).json
    path, _, query = page["next_page_uri"].partition("?")
    assert (await api.request("GET", path, query=query)).json["events"] == events[2:]
    others = (await api.get(f"/Calls/{other.sid}/Events.json")).json["events"]
    assert others[0]["request"]["parameters"]["twiml"] == "<Response/>"


async def test_a_notification_shows_the_exchange_that_went_wrong() -> None:
    diary = MemoryJournal()
    api = await new_rest_api(journal=diary)
    call = api.engine.call()
    seen = {
        **{"method": "POST", "url": VOICE_URL, "form": [["CallSid", call.sid], ["Digits", "1#"]], "error": "11200"},
        **{"status": 500, "took_ms": 12, "content_type": "text/html", "body": "sorry"},
    }
    seen["url"] = f"{VOICE_URL}?CallSid={call.sid}"
    for at, body in ((NOON - 9, "an earlier one"), (NOON, "sorry"), (NOON + 9, "a later one")):
        diary.lines.append(JournalEntry(at=at, call=call.sid, kind="webhook", data=json.dumps(seen | {"body": body})))
    for about, url in ((call.sid, VOICE_URL + "#rc=2"), (call.sid, "http://127.0.0.1:9/other"), (None, VOICE_URL)):
        api.notifications.add(LogNotification(call=about, code=11200, log=0, message="removed", url=url))
    fetched = [
        (await api.get(f"/Notifications/{notice.sid}.json")).json for notice in reversed(api.notifications.newest())
    ]
    assert [facts.faults(each, facts.FULL_NOTIFICATION) for each in fetched] == [[], [], []]
    first = fetched[0]
    assert (first["request_method"], first["response_body"]) == ("POST", "sorry")
    assert first["request_variables"] == f"CallSid={call.sid}&Digits=1%23"
    assert first["response_headers"] == "Content-Type: text/html"
    assert [each["response_body"] for each in fetched[1:]] == [None, None]
