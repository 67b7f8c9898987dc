"""The commands that the REST API posts for each operation, and its answers."""

from __future__ import annotations

import re
from typing import Final

import pytest

from holdfast.voice.control.entities import CallStatus
from holdfast.voice.model.commands import (
    Admission,
    AnnounceToRoom,
    Callback,
    ChangeCall,
    ChangeParticipant,
    ChangeQueue,
    CreateCall,
    CreateQueue,
    DeleteQueue,
    DequeueMember,
    EndCall,
    EndRoom,
    ForgetCall,
    Instruction,
    RedirectCall,
    RemoveParticipant,
    Target,
    WebRequest,
)
from holdfast.voice.model.ids import CallSid
from tests.conformance.engine import ACCOUNT, ALSO_OURS, NOON, OURS, VOICE_URL
from tests.conformance.rest_client import BASE, RestApi, new_rest_api

CALLBACK = "http://127.0.0.1:9/callback"
MUSIC = "http://127.0.0.1:9/music.mp3"


def asked_call(api: RestApi) -> CreateCall:
    """Return the only command."""
    (command,) = api.engine.commands
    assert isinstance(command, CreateCall)
    return command


# --- calls ---------------------------------------------------------------------------------------------


async def test_a_call_is_placed_with_all_its_parameters(api: RestApi) -> None:
    made = await api.post(
        "/Calls.json",
        [
            ("To", "sip:bob@127.0.0.1:5070;transport=udp?x-order=17"),
            ("From", "desk"),
            ("Url", VOICE_URL),
            ("Method", "get"),
            ("FallbackUrl", "http://127.0.0.1:9/sorry"),
            ("StatusCallback", CALLBACK),
            ("StatusCallbackMethod", "GET"),
            ("StatusCallbackEvent", "answered"),
            ("StatusCallbackEvent", "initiated completed"),
            ("Timeout", "20"),
            ("TimeLimit", "600"),
            ("SendDigits", "ww12#"),
            ("SipAuthUsername", "u"),
            ("SipAuthPassword", "p"),
            ("CallerId", "reception"),
        ],
    )
    assert asked_call(api) == CreateCall(
        call=made.json["sid"],
        account=ACCOUNT,
        target=Target(
            to="sip:bob@127.0.0.1:5070;transport=udp", headers=(("x-order", "17"),), username="u", password="p"
        ),
        from_="desk",
        instruction=Instruction(
            request=WebRequest(url=VOICE_URL, method="GET"), fallback=WebRequest(url="http://127.0.0.1:9/sorry")
        ),
        callback=Callback(url=CALLBACK, method="GET", events=("initiated", "answered", "completed")),
        timeout_s=20,
        time_limit_s=600,
        send_digits="ww12#",
        caller_id="reception",
    )


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
@pytest.mark.parametrize("name", ["X-Twilio-CallSid", "x-twilio-accountsid", "X-TWILIO", "X-Holdfast-Word"])
async def test_header_fields_that_only_we_set_are_left_out_with_a_warning(api: RestApi, path: str, name: str) -> None:
    form = {"To": f"sip:bob@127.0.0.1:5070?{name}=forged&x-order=17&{name}=again", "From": "desk", "Url": VOICE_URL}
    if "Participants" in path:
        del form["Url"]
    reply = await api.post(path, form)
    assert reply.status == 201
    assert asked_call(api).target == Target(to="sip:bob@127.0.0.1:5070", headers=(("x-order", "17"),))
    assert api.warnings() == [32113]


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
@pytest.mark.parametrize(
    ("field", "code", "named"),
    [
        *(
            (f"{name}=evil", 32113, f"'{name}'")
            for name in (
                "Via",
                "v",
                "From",
                "Call-ID",
                "Authorization",
                "Contact",
                "Route",
                "P-Asserted-Identity",
                "Xx",
            )
        ),
        ("=17", 32111, "without a name, of value '17'"),
        ("x%20a=17", 32111, "'x a'"),
        ("x-a=1%0d%0aVia: evil", 32112, "'x-a'"),
        ("x-a=%ff", 32112, "'x-a'"),
    ],
)
async def test_a_header_field_that_may_not_be_sent_costs_no_call(
    api: RestApi, path: str, field: str, code: int, named: str
) -> None:
    form = {"To": f"sip:bob@127.0.0.1:5070?{field}&x-order=17", "From": "desk"}
    reply = await api.post(path, form if "Participants" in path else form | {"Url": VOICE_URL})
    assert reply.status == 201
    assert asked_call(api).target == Target(to="sip:bob@127.0.0.1:5070", headers=(("x-order", "17"),))
    assert api.warnings() == [code]
    (notice,) = api.notifications.newest()
    assert named in notice.notification.message


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
@pytest.mark.parametrize("name", ["SipAuthUsername", "SipAuthPassword"])
async def test_credentials_are_single_lines(api: RestApi, path: str, name: str) -> None:
    form = {"To": "sip:bob@127.0.0.1:5070", "From": "desk", "SipAuthUsername": "u", "SipAuthPassword": "p"}
    if "Participants" not in path:
        form["Url"] = VOICE_URL
    reply = await api.post(path, form | {name: "u\r\nX-Twilio-CallSid: CA0"})
    assert (reply.status, reply.code) == (400, 20422)
    assert api.engine.commands == []


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
async def test_a_server_that_is_being_stopped_places_no_call(path: str) -> None:
    api = await new_rest_api(is_ending=True)
    reply = await api.post(path, {"To": "client:bob", "From": OURS, "Url": VOICE_URL})
    assert (reply.status, reply.code, reply.headers["retry-after"]) == (503, 20503, "10")
    assert api.engine.commands == []
    assert (await api.get("/Calls.json")).status == 200


async def test_missing_parameters_of_a_call_have_twilios_defaults(api: RestApi) -> None:
    await api.post("/Calls.json", {"To": "client:bob?order=17", "From": OURS, "Twiml": "<Response/>"})
    command = asked_call(api)
    assert command.target == Target(to="client:bob", parameters=(("order", "17"),))
    assert command.instruction == Instruction(twiml="<Response/>")
    assert (command.callback, command.timeout_s, command.time_limit_s) == (None, 60, 14400)


@pytest.mark.parametrize(
    ("to", "heard"),
    [
        (OURS, OURS),
        ("(555) 010-0001 ", OURS),
        ("5550100001", OURS),
        ("1 555 010 0001", OURS),
        ("1-555-010.0001", OURS),
        ("alice", "alice"),
        ("client:a%20b", "client:a b"),
    ],
)
async def test_to_names_numbers_lines_and_clients(api: RestApi, to: str, heard: str) -> None:
    reply = await api.post("/Calls.json", {"To": to, "From": ALSO_OURS, "Url": VOICE_URL})
    if " " in heard:
        assert reply.code == 21211
    else:
        assert asked_call(api).target.to == heard


async def test_an_application_brings_its_own_settings(api: RestApi) -> None:
    application = await api.post(
        "/Applications.json",
        {"VoiceUrl": VOICE_URL, "VoiceMethod": "GET", "VoiceFallbackUrl": MUSIC, "StatusCallback": CALLBACK},
    )
    await api.post(
        "/Calls.json",
        {
            "To": "client:bob",
            "From": OURS,
            "ApplicationSid": application.json["sid"],
            "StatusCallback": "http://127.0.0.1:9/not-heeded",
        },
    )
    command = asked_call(api)
    assert command.instruction == Instruction(
        request=WebRequest(url=VOICE_URL, method="GET"), fallback=WebRequest(url=MUSIC)
    )
    assert command.callback == Callback(url=CALLBACK)


async def test_url_wins_over_twiml_with_a_warning(api: RestApi) -> None:
    await api.post("/Calls.json", {"To": "client:bob", "From": OURS, "Url": VOICE_URL, "Twiml": "<Response/>"})
    assert asked_call(api).instruction == Instruction(request=WebRequest(url=VOICE_URL))
    assert api.warnings() == [32019]


async def test_an_unknown_event_is_accepted_and_never_sent(api: RestApi) -> None:
    form = {"To": "client:bob", "From": OURS, "Url": VOICE_URL, "StatusCallback": CALLBACK}
    assert (await api.post("/Calls.json", form | {"StatusCallbackEvent": "ended"})).status == 201
    assert asked_call(api).callback == Callback(url=CALLBACK, events=())
    assert api.warnings() == [21626]


async def test_unknown_and_unimplemented_parameters_cause_only_a_warning(api: RestApi) -> None:
    form = {"To": "client:bob", "From": OURS, "Url": VOICE_URL, "Colour": "red", "AsyncAmd": "true"}
    assert (await api.post("/Calls.json", form)).status == 201
    messages = [notice.notification.message for notice in api.notifications.newest()]
    assert messages == ["Parameters without effect here: AsyncAmd", "Unknown parameters are ignored: Colour"]
    assert api.warnings() == [20001, 20001]


async def test_a_call_is_redirected(api: RestApi) -> None:
    call = api.engine.call()
    reply = await api.post(f"/Calls/{call.sid}.json", {"Url": VOICE_URL, "Method": "GET"})
    assert (reply.status, reply.json["status"]) == (200, "in-progress")
    await api.post(f"/Calls/{call.sid}.json", {"Twiml": "<Response><Play>http://h/a.mp3</Play></Response>"})
    assert api.engine.commands == [
        RedirectCall(call=call.sid, instruction=Instruction(request=WebRequest(url=VOICE_URL, method="GET"))),
        RedirectCall(call=call.sid, instruction=Instruction(twiml="<Response><Play>http://h/a.mp3</Play></Response>")),
    ]


async def test_a_call_can_be_redirected_to_an_unreadable_document(api: RestApi) -> None:
    call = api.engine.call()
    assert (await api.post(f"/Calls/{call.sid}.json", {"Twiml": "<Response"})).status == 200
    assert len(api.engine.commands) == 1


@pytest.mark.parametrize("status", ["completed", "canceled"])
async def test_the_answer_to_an_end_shows_the_call_before_it(api: RestApi, status: str) -> None:
    call = api.engine.call()
    reply = await api.post(f"/Calls/{call.sid}.json", {"Status": status})
    assert api.engine.commands == [EndCall(call=call.sid, status=status)]  # type: ignore[arg-type]  # one of the two
    assert reply.json["status"] == "in-progress"
    assert (await api.get(f"/Calls/{call.sid}.json")).json["status"] == status


async def test_stored_settings_are_replaced_before_a_redirect(api: RestApi) -> None:
    call = api.engine.call()
    form = {"Url": VOICE_URL, "FallbackUrl": MUSIC, "StatusCallback": CALLBACK, "TimeLimit": "99999"}
    await api.post(f"/Calls/{call.sid}.json", form)
    fallback = WebRequest(url=MUSIC)
    assert api.engine.commands == [
        ChangeCall(call=call.sid, fallback=fallback, callback=Callback(url=CALLBACK), time_limit_s=14400),
        RedirectCall(call=call.sid, instruction=Instruction(request=WebRequest(url=VOICE_URL), fallback=fallback)),
    ]


async def test_a_new_callback_keeps_the_events_and_a_new_method_the_address(api: RestApi) -> None:
    form = {"To": "client:bob", "From": OURS, "Url": VOICE_URL, "FallbackUrl": MUSIC, "StatusCallback": CALLBACK}
    sid = (await api.post("/Calls.json", form | {"StatusCallbackEvent": "ringing"})).json["sid"]
    api.engine.commands.clear()
    await api.post(f"/Calls/{sid}.json", {"StatusCallback": "http://127.0.0.1:9/other"})
    await api.post(f"/Calls/{sid}.json", {"StatusCallbackMethod": "GET", "FallbackMethod": "GET"})
    await api.post(f"/Calls/{sid}.json", {})
    assert api.engine.commands == [
        ChangeCall(call=sid, callback=Callback(url="http://127.0.0.1:9/other", events=("ringing",))),
        ChangeCall(
            call=sid,
            callback=Callback(url=CALLBACK, method="GET", events=("ringing",)),
            fallback=WebRequest(url=MUSIC, method="GET"),
        ),
    ]


async def test_a_finished_call_is_deleted(api: RestApi) -> None:
    call = api.engine.call(status=CallStatus.COMPLETED)
    reply = await api.delete(f"/Calls/{call.sid}.json")
    assert (reply.status, reply.body) == (204, b"")
    assert api.engine.commands == [ForgetCall(call=call.sid)]
    assert (await api.get(f"/Calls/{call.sid}.json")).status == 404


# --- conferences ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["", ".json"])
@pytest.mark.parametrize("word", ["true", "True", "TRUE"])
async def test_a_participant_is_held_and_resumed(api: RestApi, suffix: str, word: str) -> None:
    call = api.engine.call()
    room = api.engine.room(call)
    path = f"/Conferences/{room.sid}/Participants/{call.sid}{suffix}"
    held = await api.post(path, {"Hold": word, "HoldUrl": MUSIC})
    assert (held.status, held.json["hold"]) == (200, True)
    resumed = await api.post(path, {"Hold": "false"})
    assert (resumed.status, resumed.json["hold"]) == (200, False)
    assert api.engine.commands == [
        ChangeParticipant(room=room.sid, call=call.sid, hold=True, hold_request=WebRequest(url=MUSIC, method="GET")),
        ChangeParticipant(room=room.sid, call=call.sid, hold=False),
    ]


async def test_an_empty_hold_url_is_silence_and_a_missing_one_is_the_built_in_music(api: RestApi) -> None:
    call = api.engine.call()
    room = api.engine.room(call)
    path = f"/Conferences/{room.sid}/Participants/{call.sid}.json"
    await api.post(path, {"Hold": "true", "HoldUrl": ""})
    await api.post(path, {"Hold": "true"})
    assert api.engine.commands == [
        ChangeParticipant(room=room.sid, call=call.sid, hold=True, hold_request=WebRequest(url="")),
        ChangeParticipant(room=room.sid, call=call.sid, hold=True),
    ]


async def test_each_parameter_changes_one_property_of_a_participant(api: RestApi) -> None:
    call, other = api.engine.call(), api.engine.call()
    room = api.engine.room(call, other)
    form = {
        "Muted": "yes",
        "AnnounceUrl": MUSIC,
        "AnnounceMethod": "GET",
        "WaitUrl": MUSIC,
        "EndConferenceOnExit": "true",
        "BeepOnExit": "true",
        "CallSidToCoach": other.sid,
    }
    reply = await api.post(f"/Conferences/{room.sid}/Participants/{call.sid}.json", form)
    assert (reply.json["coaching"], reply.json["call_sid_to_coach"]) == (True, other.sid)
    assert api.engine.commands == [
        ChangeParticipant(
            room=room.sid,
            call=call.sid,
            muted=False,
            announce=WebRequest(url=MUSIC, method="GET"),
            wait=WebRequest(url=MUSIC),
            end_on_exit=True,
            beep_on_exit=True,
            coaching=True,
            coach=other.sid,
        )
    ]


async def test_a_participant_is_removed(api: RestApi) -> None:
    call = api.engine.call()
    room = api.engine.room(call)
    reply = await api.delete(f"/Conferences/{room.sid}/Participants/{call.sid}.json")
    assert (reply.status, reply.body) == (204, b"")
    assert api.engine.commands == [RemoveParticipant(room=room.sid, call=call.sid)]


async def test_a_party_is_called_into_a_new_conference(api: RestApi) -> None:
    made = await api.post(
        "/Conferences/the lobby & more/Participants.json",
        {
            "To": "client:bob",
            "From": OURS,
            "Label": "bob.json",
            "Muted": "true",
            "Beep": "onEnter",
            "StartConferenceOnEnter": "false",
            "EndConferenceOnExit": "true",
            "MaxParticipants": "2",
            "WaitUrl": "",
            "Timeout": "5",
            "ConferenceStatusCallback": CALLBACK,
            "ConferenceStatusCallbackEvent": "join leave hold",
        },
    )
    command = asked_call(api)
    admission = Admission(
        name="the lobby & more",
        muted=True,
        beep="onEnter",
        start_on_enter=False,
        end_on_exit=True,
        label="bob.json",
        wait=WebRequest(url=""),
        max_participants=2,
        callback=Callback(url=CALLBACK, events=("join", "leave", "hold")),
        early_media=True,
    )
    assert command.reserve is not None
    assert (command.reserve.admission, command.reserve.new_room) == (admission, made.json["conference_sid"])
    assert command.instruction.twiml == (
        '<Response><Dial><Conference muted="true" beep="onEnter" startConferenceOnEnter="false" '
        'endConferenceOnExit="true" maxParticipants="2" participantLabel="bob.json" waitUrl="" waitMethod="POST" '
        f'statusCallback="{CALLBACK}" statusCallbackMethod="POST" statusCallbackEvent="join leave hold">'
        "the lobby &amp; more</Conference></Dial></Response>"
    )
    room = made.json["conference_sid"]
    by_label = await api.get(f"/Conferences/{room}/Participants/bob.json.json")
    assert by_label.json["call_sid"] == command.call
    assert (await api.get(f"/Conferences/{room}.json")).json["friendly_name"] == "the lobby & more"


@pytest.mark.parametrize("wanted", [True, False])
async def test_whether_a_conference_hears_early_media(api: RestApi, wanted: bool) -> None:
    form = {"To": "client:bob", "From": OURS, "EarlyMedia": str(wanted).lower()}
    assert (await api.post("/Conferences/room/Participants.json", form)).status == 201
    reserved = asked_call(api).reserve
    assert reserved is not None
    assert reserved.admission.early_media is wanted


@pytest.mark.parametrize("path", ["/Calls.json", "/Conferences/room/Participants.json"])
@pytest.mark.parametrize(
    ("to", "shown", "code"),
    [
        ("sip:bob@127.0.0.1:5070", "reception", 0),
        ("client:bob", "client:front", 0),
        (OURS, OURS, 0),
        (OURS, "+15550199999", 21210),
        (OURS, "client:front", 21212),
        ("client:bob", 'x"<sip:evil>', 21212),
    ],
)
async def test_a_caller_id_is_shown_in_place_of_the_caller(
    api: RestApi, path: str, to: str, shown: str, code: int
) -> None:
    form = {"To": to, "From": OURS, "CallerId": shown} | ({"Twiml": "<Response/>"} if "Calls" in path else {})
    reply = await api.post(path, form)
    if code:
        assert (reply.status, reply.json["code"]) == (400, code)
        assert "'CallerId'" in reply.json["message"]
        return
    assert reply.status == 201
    assert (asked_call(api).from_, asked_call(api).caller_id) == (OURS, shown)


@pytest.mark.parametrize(
    ("to", "name", "shown"),
    [
        ("sip:bob@127.0.0.1:5070", "Al", "Al"),
        ("sip:bob@127.0.0.1:5070", "é" * 255, "é" * 255),
        ("client:bob", "Front desk", ""),
        ("sip:bob@127.0.0.1:5070", "A", None),
        ("sip:bob@127.0.0.1:5070", "a" * 256, None),
        ("sip:bob@127.0.0.1:5070", "a\r\nX: y", None),
    ],
)
async def test_a_sip_address_is_shown_a_display_name(api: RestApi, to: str, name: str, shown: str | None) -> None:
    form = {"To": to, "From": "desk", "CallerDisplayName": name}
    reply = await api.post("/Conferences/room/Participants.json", form)
    if shown is None:
        assert (reply.status, reply.json["message"][:17]) == (400, "CallerDisplayName")
        assert api.engine.commands == []
    else:
        assert (reply.status, asked_call(api).display_name) == (201, shown)


async def test_a_party_is_called_into_a_live_conference_by_name_or_sid(api: RestApi) -> None:
    room = api.engine.room(api.engine.call(), name="desk")
    coached = api.engine.call()
    form = {"To": "client:bob", "From": OURS}
    by_name = await api.post("/Conferences/desk/Participants.json", form)
    by_sid = await api.post(
        f"/Conferences/{room.sid}/Participants.json", form | {"CallSidToCoach": coached.sid, "Coaching": "TRUE"}
    )
    assert [by_name.json["conference_sid"], by_sid.json["conference_sid"]] == [room.sid, room.sid]
    last = api.engine.commands[-1]
    assert isinstance(last, CreateCall)
    assert last.reserve is not None
    assert (last.reserve.admission.name, last.reserve.admission.coach) == ("desk", CallSid(coached.sid))
    assert f'coach="{coached.sid}"' in (last.instruction.twiml or "")


@pytest.mark.parametrize(
    ("coaching", "coaches"), [({}, True), ({"Coaching": "true"}, True), ({"Coaching": "no"}, False)]
)
async def test_a_called_party_coaches_unless_coaching_is_false(
    api: RestApi, coaching: dict[str, str], *, coaches: bool
) -> None:
    coached = api.engine.call()
    form = {"To": "client:bob", "From": OURS, "CallSidToCoach": coached.sid}
    assert (await api.post("/Conferences/desk/Participants.json", form | coaching)).status == 201
    last = api.engine.commands[-1]
    assert isinstance(last, CreateCall)
    assert last.reserve is not None
    assert last.reserve.admission.coach == (coached.sid if coaches else None)


async def test_a_coach_coaches_the_same_party_again(api: RestApi) -> None:
    coach, coached = api.engine.call(), api.engine.call()
    room = api.engine.room(coach, coached)
    path = f"/Conferences/{room.sid}/Participants/{coach.sid}.json"
    assert (await api.post(path, {"Coaching": "true"})).code == 20422
    for form in ({"CallSidToCoach": coached.sid}, {"Coaching": "true"}):
        reply = await api.post(path, form)
        assert (reply.status, reply.json["coaching"]) == (200, True)


async def test_a_conference_is_announced_to_and_ended(api: RestApi) -> None:
    room = api.engine.room(api.engine.call())
    await api.post(f"/Conferences/{room.sid}.json", {"AnnounceUrl": MUSIC, "AnnounceMethod": "GET"})
    await api.post(f"/Conferences/{room.sid}.json", {"Status": "completed"})
    assert api.engine.commands == [
        AnnounceToRoom(room=room.sid, request=WebRequest(url=MUSIC, method="GET")),
        EndRoom(room=room.sid),
    ]
    assert (await api.get(f"/Conferences/{room.sid}/Participants.json")).json["participants"] == []


# --- queues --------------------------------------------------------------------------------------------


async def test_a_queue_is_made_changed_and_deleted(api: RestApi) -> None:
    sid = (await api.post("/Queues.json", {"FriendlyName": "a", "MaxSize": "5"})).json["sid"]
    changed = await api.post(f"/Queues/{sid}.json", {"FriendlyName": "b", "MaxSize": "6"})
    assert (changed.json["friendly_name"], changed.json["max_size"]) == ("b", 6)
    assert (await api.post(f"/Queues/{sid}.json", {})).json == changed.json
    assert (await api.delete(f"/Queues/{sid}.json")).status == 204
    assert api.engine.commands == [
        CreateQueue(queue=sid, account=ACCOUNT, name="a", max_size=5),
        ChangeQueue(queue=sid, name="b", max_size=6),
        DeleteQueue(queue=sid),
    ]
    assert (await api.get(f"/Queues/{sid}.json")).status == 404


async def test_members_are_listed_in_order_and_any_of_them_is_dequeued(api: RestApi) -> None:
    first, second, third = (api.engine.call() for _ in range(3))
    queue = api.engine.queue(first, second, third)
    rows = (await api.get(f"/Queues/{queue.sid}/Members.json")).json["queue_members"]
    assert [(row["call_sid"], row["position"]) for row in rows] == [(first.sid, 1), (second.sid, 2), (third.sid, 3)]
    taken = await api.post(f"/Queues/{queue.sid}/Members/{second.sid}.json", {"Url": VOICE_URL})
    assert (taken.status, taken.json["position"]) == (200, 2)
    front = await api.post(f"/Queues/{queue.sid}/Members/Front.json", {"Url": VOICE_URL, "Method": "GET"})
    assert front.json["call_sid"] == first.sid
    assert api.engine.commands == [
        DequeueMember(queue=queue.sid, call=second.sid, request=WebRequest(url=VOICE_URL)),
        DequeueMember(queue=queue.sid, call=first.sid, request=WebRequest(url=VOICE_URL, method="GET")),
    ]
    again = await api.post(f"/Queues/{queue.sid}/Members/{second.sid}.json", {"Url": VOICE_URL})
    assert again.status == 404


# --- numbers and applications -------------------------------------------------------------------------------


async def test_a_number_is_added_changed_and_removed(api: RestApi) -> None:
    made = await api.post("/IncomingPhoneNumbers.json", {"PhoneNumber": "1 (555) 010-0007", "VoiceUrl": VOICE_URL})
    path = f"/IncomingPhoneNumbers/{made.json['sid']}.json"
    assert (made.json["phone_number"], made.json["friendly_name"]) == ("+15550100007", "(555) 010-0007")
    assert api.directory.is_own_number("+15550100007")
    application = (await api.post("/Applications.json", {"VoiceUrl": MUSIC})).json["sid"]
    form = {"VoiceUrl": "", "VoiceApplicationSid": application, "FriendlyName": "desk", "VoiceCallerIdLookup": "true"}
    changed = (await api.post(path, form)).json
    assert (changed["voice_url"], changed["voice_application_sid"]) == (None, application)
    assert (changed["friendly_name"], changed["voice_caller_id_lookup"]) == ("desk", True)
    assert (await api.post(path, {"VoiceApplicationSid": ""})).json["voice_application_sid"] is None
    assert (await api.delete(path)).status == 204
    assert (await api.get(path)).status == 404
    assert not api.directory.is_own_number("+15550100007")


async def test_free_numbers_are_assigned_by_area_code_until_none_is_left(api: RestApi) -> None:
    for line in range(100, 200):
        made = await api.post("/IncomingPhoneNumbers/Local.json", {"AreaCode": "415"})
        assert made.json["phone_number"] == f"+14155550{line}"
    assert (await api.post("/IncomingPhoneNumbers.json", {"AreaCode": "415"})).code == 21452


async def test_numbers_are_found_by_a_part_of_them_and_by_name(api: RestApi) -> None:
    async def found(query: str) -> list[str]:
        rows = (await api.get("/IncomingPhoneNumbers.json", query)).json["incoming_phone_numbers"]
        return [row["phone_number"] for row in rows]

    assert await found("") == [OURS, ALSO_OURS]
    assert await found("PhoneNumber=0002") == [ALSO_OURS]
    assert await found("PhoneNumber=%2B1555*10000*") == [OURS, ALSO_OURS]
    assert await found("PhoneNumber=*1555") == [], "a plus is no digit"
    assert await found("PhoneNumber=(") == []
    assert await found("FriendlyName=%28555%29+010-0001") == [OURS]
    assert (await api.get("/IncomingPhoneNumbers/Mobile.json")).json["incoming_phone_numbers"] == []


async def test_an_application_is_made_changed_and_deleted(api: RestApi) -> None:
    made = (await api.post("/Applications.json")).json
    assert made["friendly_name"] == made["sid"]
    path = f"/Applications/{made['sid']}.json"
    api.engine.clock = NOON + 60
    changed = (await api.post(path, {"FriendlyName": "desk", "VoiceUrl": VOICE_URL})).json
    assert (changed["friendly_name"], changed["voice_url"]) == ("desk", VOICE_URL)
    assert changed["date_updated"] == "Fri, 15 Jan 2027 08:01:00 +0000"
    assert (await api.get("/Applications.json", "FriendlyName=desk")).json["applications"] == [changed]
    assert (await api.get("/Applications.json", "FriendlyName=other")).json["applications"] == []
    assert (await api.delete(path)).status == 204
    assert (await api.get(path)).status == 404


VOICE: Final = {
    "VoiceUrl": "http://h/voice",
    "VoiceMethod": "GET",
    "VoiceFallbackUrl": "http://h/sorry",
    "VoiceFallbackMethod": "GET",
    "StatusCallback": "http://h/over",
    "StatusCallbackMethod": "GET",
    "VoiceCallerIdLookup": "true",
}
DOMAIN_VOICE: Final = {
    "VoiceUrl": "http://h/voice",
    "VoiceMethod": "GET",
    "VoiceFallbackUrl": "http://h/sorry",
    "VoiceFallbackMethod": "GET",
    "VoiceStatusCallbackUrl": "http://h/over",
    "VoiceStatusCallbackMethod": "GET",
    "SipRegistration": "true",
    "Secure": "true",
}


@pytest.mark.parametrize(
    ("path", "form", "settings"),
    [
        ("/Applications", {}, VOICE),
        ("/IncomingPhoneNumbers", {"PhoneNumber": "+15550100033"}, VOICE),
        ("/SIP/Domains", {"DomainName": "office.example.com"}, DOMAIN_VOICE),
    ],
)
async def test_each_setting_is_changed_alone(
    api: RestApi, path: str, form: dict[str, str], settings: dict[str, str]
) -> None:
    made = (await api.post(f"{path}.json", form | settings)).json
    one = f"{path}/{made['sid']}.json"
    assert (await api.post(one)).json == made
    for name, value in settings.items():
        new = {"GET": "POST", "true": "false"}.get(value, value + "/new")
        field = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
        changed = (await api.post(one, {name: new})).json
        shown = False if new == "false" else new
        assert (made[field], changed) == (True if value == "true" else value, made | {field: shown})
        if "Url" in name or name == "StatusCallback":
            assert (await api.post(one, {name: ""})).json[field] in (None, "")
        assert (await api.post(one, {name: value})).json == made
    assert (await api.get(one)).json == made


# --- the road ------------------------------------------------------------------------------------------


async def test_a_form_may_come_as_multipart(api: RestApi) -> None:
    parts = {"To": "client:bob", "From": OURS, "Url": VOICE_URL}
    body = "".join(f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{parts[name]}\r\n' for name in parts)
    content_type = "multipart/form-data; boundary=x"
    reply = await api.request("POST", f"{BASE}/Calls.json", body=f"{body}--x--\r\n".encode(), content_type=content_type)
    assert reply.status == 201
    assert asked_call(api).from_ == OURS


async def test_parameters_may_come_in_the_query_and_the_body_wins(api: RestApi) -> None:
    reply = await api.request(
        "POST",
        f"{BASE}/Calls.json",
        form={"To": "client:bob", "From": OURS},
        query="To=client%3Aeve&Url=http%3A%2F%2F127.0.0.1%3A9%2Fvoice",
    )
    assert reply.status == 201
    assert asked_call(api).target.to == "client:bob"
