"""Every answer has the fields, types and words of Twilio's reference, and nothing else."""

from __future__ import annotations

import pytest

from holdfast.voice.control.entities import CallStatus
from holdfast.voice.model.effects import LogNotification
from tests.conformance import facts
from tests.conformance.engine import ALSO_OURS, NOON, OURS, VOICE_URL
from tests.conformance.rest_client import BASE, RestApi


async def test_a_call_has_the_fields_of_the_reference(api: RestApi) -> None:
    made = await api.post("/Calls.json", {"To": "client:bob", "From": OURS, "Url": VOICE_URL})
    assert made.status == 201
    assert facts.faults(made.json, facts.CALL) == []
    read = await api.get(f"/Calls/{made.json['sid']}.json")
    assert read.status == 200
    assert read.json == made.json


async def test_a_call_just_accepted_is_queued_and_has_no_times(api: RestApi) -> None:
    body = (await api.post("/Calls.json", {"To": "client:bob", "From": OURS, "Url": VOICE_URL})).json
    assert (body["status"], body["direction"]) == ("queued", "outbound-api")
    assert [body["start_time"], body["end_time"], body["duration"]] == [None, None, None]
    assert body["from_formatted"] == "(555) 010-0001"


@pytest.mark.parametrize("status", CallStatus)
async def test_every_status_of_a_call_is_one_of_the_reference(api: RestApi, status: CallStatus) -> None:
    call = api.engine.call(status=status)
    body = (await api.get(f"/Calls/{call.sid}.json")).json
    assert facts.faults(body, facts.CALL) == []
    assert body["duration"] == ("7" if status is CallStatus.COMPLETED else None)


async def test_conference_and_participant_have_the_fields_of_the_reference(api: RestApi) -> None:
    call = api.engine.call()
    room = api.engine.room(call)
    conference = await api.get(f"/Conferences/{room.sid}.json")
    assert facts.faults(conference.json, facts.CONFERENCE) == []
    participant = await api.get(f"/Conferences/{room.sid}/Participants/{call.sid}.json")
    assert facts.faults(participant.json, facts.PARTICIPANT) == []
    assert participant.json["queue_time"] is None
    ended = await api.post(f"/Conferences/{room.sid}.json", {"Status": "completed"})
    assert facts.faults(ended.json, facts.CONFERENCE) == []
    assert ended.json["status"] == "completed"


async def test_a_participant_called_in_has_the_fields_of_the_reference(api: RestApi) -> None:
    made = await api.post("/Conferences/lobby/Participants.json", {"To": "client:bob", "From": OURS})
    assert made.status == 201
    assert facts.faults(made.json, facts.PARTICIPANT) == []
    assert (made.json["status"], made.json["queue_time"]) == ("queued", "0")


async def test_queue_and_member_have_the_fields_of_the_reference(api: RestApi) -> None:
    made = await api.post("/Queues.json", {"FriendlyName": "sales"})
    assert made.status == 201
    assert facts.faults(made.json, facts.QUEUE) == []
    assert (made.json["max_size"], made.json["current_size"], made.json["average_wait_time"]) == (1000, 0, 0)
    call = api.engine.call()
    queue = api.engine.queue(call)
    shown = (await api.get(f"/Queues/{queue.sid}.json")).json
    assert (shown["current_size"], shown["average_wait_time"]) == (1, 10)
    member = await api.get(f"/Queues/{queue.sid}/Members/Front.json")
    assert facts.faults(member.json, facts.MEMBER) == []
    assert (member.json["position"], member.json["wait_time"], member.json["call_sid"]) == (1, 10, call.sid)


async def test_number_and_application_have_the_fields_of_the_reference(api: RestApi) -> None:
    number = await api.post("/IncomingPhoneNumbers.json", {"PhoneNumber": "+15550100003"})
    assert number.status == 201
    assert facts.faults(number.json, facts.NUMBER) == []
    application = await api.post("/Applications.json", {"FriendlyName": "desk", "VoiceUrl": VOICE_URL})
    assert application.status == 201
    assert facts.faults(application.json, facts.APPLICATION) == []


async def test_notifications_have_the_fields_of_the_reference(api: RestApi) -> None:
    call = api.engine.call()
    api.notifications.add(LogNotification(call=call.sid, code=11200, log=0, message="removed", url=VOICE_URL))
    rows = (await api.get("/Notifications.json")).json["notifications"]
    assert [facts.faults(row, facts.NOTIFICATION) for row in rows] == [[]]
    whole = await api.get(f"/Notifications/{rows[0]['sid']}.json")
    assert facts.faults(whole.json, facts.FULL_NOTIFICATION) == []
    of_call = (await api.get(f"/Calls/{call.sid}/Notifications.json")).json["notifications"]
    assert of_call == rows
    assert (await api.get(rows[0]["uri"].removeprefix(BASE))).status == 200


async def test_the_account_has_the_fields_of_the_reference(api: RestApi) -> None:
    read = await api.request("GET", f"{BASE}.json")
    assert facts.faults(read.json, facts.ACCOUNT) == []
    rows = (await api.request("GET", "/2010-04-01/Accounts.json")).json["accounts"]
    assert rows == [read.json]
    assert (await api.request("GET", "/2010-04-01/Accounts.json", query="Status=closed")).json["accounts"] == []


LISTS = {
    "/Calls": "calls",
    "/Conferences": "conferences",
    "/Queues": "queues",
    "/IncomingPhoneNumbers": "incoming_phone_numbers",
    "/IncomingPhoneNumbers/Local": "incoming_phone_numbers",
    "/IncomingPhoneNumbers/Mobile": "incoming_phone_numbers",
    "/IncomingPhoneNumbers/TollFree": "incoming_phone_numbers",
    "/Applications": "applications",
    "/Notifications": "notifications",
    "/Messages": "messages",
    "/Recordings": "recordings",
    "/Keys": "keys",
    "/SigningKeys": "signing_keys",
    "/SIP/Domains": "domains",
    "/SIP/CredentialLists": "credential_lists",
}


@pytest.mark.parametrize("path", LISTS)
async def test_every_list_comes_in_the_envelope_with_one_key_of_its_own(api: RestApi, path: str) -> None:
    api.engine.room(api.engine.call())
    api.engine.queue()
    for suffix in ("", ".json"):
        body = (await api.get(path + suffix)).json
        assert isinstance(body[LISTS[path]], list)
        assert facts.faults({name: body[name] for name in body if name != LISTS[path]}, facts.ENVELOPE) == []


async def test_lists_below_a_noun_come_in_the_envelope_too(api: RestApi) -> None:
    call = api.engine.call()
    room, queue = api.engine.room(call), api.engine.queue(call)
    for path, key, size in (
        (f"/Conferences/{room.sid}/Participants.json", "participants", 1),
        (f"/Queues/{queue.sid}/Members.json", "queue_members", 1),
        (f"/Calls/{call.sid}/Notifications.json", "notifications", 0),
        (f"/Calls/{call.sid}/Recordings.json", "recordings", 0),
        (f"/Conferences/{room.sid}/Recordings.json", "recordings", 0),
    ):
        body = (await api.get(path)).json
        assert len(body[key]) == size
        assert facts.faults({name: body[name] for name in body if name != key}, facts.ENVELOPE) == []


async def test_dates_are_rfc_2822_in_utc(api: RestApi) -> None:
    call = api.engine.call()
    assert (await api.get(f"/Calls/{call.sid}.json")).json["date_created"] == "Fri, 15 Jan 2027 08:00:00 +0000"
    assert NOON == 1_800_000_000


async def test_every_uri_in_an_answer_leads_to_that_answer(api: RestApi) -> None:
    call = api.engine.call()
    room, queue = api.engine.room(call), api.engine.queue(call)
    number = (await api.get("/IncomingPhoneNumbers.json", f"PhoneNumber=%2B{ALSO_OURS[1:]}")).json
    for body in (
        (await api.get(f"/Calls/{call.sid}")).json,
        (await api.get(f"/Conferences/{room.sid}")).json,
        (await api.get(f"/Conferences/{room.sid}/Participants/{call.sid}")).json,
        (await api.get(f"/Queues/{queue.sid}")).json,
        (await api.get(f"/Queues/{queue.sid}/Members/{call.sid}")).json,
        number["incoming_phone_numbers"][0],
    ):
        assert (await api.request("GET", body["uri"])).json == body
