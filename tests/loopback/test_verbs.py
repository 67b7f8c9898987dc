"""Verbs with phones at their ends: keys pressed and sounds heard over real sockets, documents from a web server."""

from __future__ import annotations

import asyncio
import base64
import io
import os
import signal
import wave
from collections import Counter
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import numpy as np
import pytest

from holdfast.testing.audio.recogniser import Recogniser
from holdfast.testing.calls import CallFailed, CallState
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.testing.signals import HUMS
from tests.loopback.shared_server import PASSWORD, answers
from tests.loopback.test_serve import children
from tests.loopback.web_server import Request as Asked
from tests.loopback.web_server import WebServer, reply, to

pytestmark = pytest.mark.anyio

OFFICE, OTHER = "+15550100", "+15550102"


def twiml(inside: str) -> str:
    return f"<Response>{inside}</Response>"


async def test_digits_pressed_during_a_prompt_choose_the_next_document(server: Server) -> None:
    async with WebServer() as web:
        menu = '<Gather action="/chosen" numDigits="2"><Play loop="0">builtin:ringback</Play></Gather><Reject/>'
        web.on("/chosen", reply(twiml('<Play loop="0">builtin:music</Play>')))
        await answers(server, OFFICE, web.on("/menu", reply(twiml(menu))))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            await alice.hears("ringback")
            call.press("4")
            await alice.hears("silence")
            call.press("2")
            await web.came(2)
            (chosen,) = web.asked("/chosen")
            assert (chosen.form["Digits"], chosen.form["FinishedOnKey"]) == ("42", "")
            await alice.hears("unknown")


# --- recordings -------------------------------------------------------------------------------------------


def fetched(server: Server, url: str) -> tuple[int, str, bytes]:
    """Status, type and body of an authenticated GET."""
    request = Request(url)
    token = base64.b64encode(f"{server.account_sid}:{server.auth_token}".encode()).decode()
    request.add_header("Authorization", f"Basic {token}")
    try:
        with urlopen(request, timeout=10) as response:
            return response.status, response.headers["Content-Type"], response.read()
    except HTTPError as error:
        return error.code, "", b""


def sounds_in(wav: bytes) -> list[set[str]]:
    """What is heard in each channel of a WAV file, for most of its time; ringing and beeps have their pauses."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getsampwidth()) == (8000, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").reshape(-1, file.getnchannels())
    recogniser = Recogniser(HUMS)
    channels = []
    for channel in samples.T.astype(np.int16):
        windows = channel[: len(channel) // 160 * 160].reshape(-1, 160)
        heard = Counter(name for window in recogniser.recognise(windows) for name in window)
        channels.append({name for name, count in heard.items() if count > len(windows) / 2})
    return channels


async def test_a_message_is_recorded_downloaded_and_deleted(server: Server) -> None:
    async with WebServer() as web:
        web.on("/recorded", reply(twiml('<Pause length="60"/>')))
        record = '<Record action="/recorded" recordingStatusCallback="/progress" playBeep="false" finishOnKey="#"/>'
        await answers(server, OFFICE, web.on("/voice", reply(twiml(record))))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            await asyncio.sleep(1.5)
            call.press("#")
            await web.came(3)
            (recorded,) = web.asked("/recorded")
            (progress,) = web.asked("/progress")
            assert recorded.form["Digits"] == "#"
            assert progress.form["RecordingStatus"] == "completed"
            assert progress.form["RecordingUrl"] == recorded.form["RecordingUrl"]

            client = server.sdk()
            known = await asyncio.to_thread(client.recordings(recorded.form["RecordingSid"]).fetch)
            assert (known.status, known.channels) == ("completed", 1)
            status, kind, sound = await asyncio.to_thread(fetched, server, recorded.form["RecordingUrl"])
            assert (status, kind) == (200, "audio/x-wav")
            assert sounds_in(sound) == [{"alice"}]
            assert abs(len(sound) / 16_000 - int(recorded.form["RecordingDuration"])) <= 0.51
            status, kind, mp3 = await asyncio.to_thread(fetched, server, recorded.form["RecordingUrl"] + ".mp3")
            assert (status, kind) == (200, "audio/mpeg")
            assert 0 < len(mp3) < len(sound)

            assert await asyncio.to_thread(client.recordings(known.sid).delete)
            assert (await asyncio.to_thread(fetched, server, recorded.form["RecordingUrl"]))[0] == 404
            assert known.sid not in {each.sid for each in await asyncio.to_thread(client.recordings.list)}
            assert call.state is CallState.TALKING


async def test_a_conversation_is_recorded_with_each_side_in_its_channel(server: Server) -> None:
    async with WebServer() as web:
        dial = '<Dial record="record-from-answer-dual" recordingStatusCallback="/progress"><Client>bob</Client></Dial>'
        await answers(server, OFFICE, web.on("/voice", reply(twiml(dial))))
        async with (
            Phone("alice", server=server.sip) as alice,
            Phone("bob", server=server.sip, user="bob", password=PASSWORD) as bob,
        ):
            await bob.register()
            call = await alice.call(OFFICE)
            await call.answered()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            client = server.sdk()
            live = next(
                each for each in await asyncio.to_thread(client.recordings.list) if each.status == "in-progress"
            )
            on_call = client.calls(live.call_sid).recordings
            assert (await asyncio.to_thread(on_call("Twilio.CURRENT").update, status="paused")).status == "paused"
            resumed = await asyncio.to_thread(on_call("Twilio.CURRENT").update, status="in-progress")
            assert resumed.status == "in-progress"
            await asyncio.sleep(1.5)
            await call.hang_up()
            await web.came(2)
            (progress,) = web.asked("/progress")
            assert progress.form["RecordingChannels"] == "2"
            url = progress.form["RecordingUrl"]
            _, _, sound = await asyncio.to_thread(fetched, server, f"{url}.wav")
            assert sounds_in(sound) == [{"alice"}, {"bob"}]
            _, _, mixed = await asyncio.to_thread(fetched, server, f"{url}?RequestedChannels=1")
            assert sounds_in(mixed) == [{"alice", "bob"}]


async def test_a_conference_is_recorded_as_all_hear_it(server: Server) -> None:
    async with WebServer() as web:
        room = (
            '<Dial><Conference record="record-from-start" recordingStatusCallback="/progress" beep="false" waitUrl="">'
            "room</Conference></Dial>"
        )
        await answers(server, OFFICE, web.on("/voice", reply(twiml(room))))
        async with Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
            calls = [await phone.call(OFFICE) for phone in (alice, bob)]
            await asyncio.gather(*(call.answered() for call in calls))
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            await asyncio.sleep(1.0)
            for call in calls:
                await call.hang_up()
            await web.came(3)
            (progress,) = web.asked("/progress")
            assert progress.form["ConferenceSid"].startswith("CF")
            _, _, sound = await asyncio.to_thread(fetched, server, progress.form["RecordingUrl"])
            assert sounds_in(sound) == [{"alice", "bob"}]


# --- calls that are turned away, and calls to phones elsewhere --------------------------------------------


async def test_a_call_is_rejected_as_busy(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        await answers(server, OFFICE, web.on("/voice", reply(twiml('<Reject reason="busy"/>'))))
        call = await alice.call(OFFICE)
        assert await call.over() == 486
        (known,) = await asyncio.to_thread(server.sdk().calls.list, status="busy")
        assert known.to == OFFICE


async def test_header_fields_of_a_document_arrive_at_the_called_phone(server: Server) -> None:
    async with WebServer() as web, Phone("bob") as bob:
        port = bob.address.port
        uri = f"sip:bob@127.0.0.1:{port}?x-order=17&amp;User-to-User=00ab"
        dial = f"<Dial ringTone='de' action='/after'><Sip>{uri}</Sip></Dial>"
        await answers(server, OFFICE, web.on("/voice", reply(twiml(dial))))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call(OFFICE)
            await call.answered()
            await asyncio.gather(alice.hears("bob"), bob.hears("alice"))
            client = server.sdk()
            child = next(each for each in await asyncio.to_thread(client.calls.list) if each.parent_call_sid)
            invite = next(seen.data.decode() for seen in bob.messages if seen.start_line.startswith("INVITE"))
            assert "x-order: 17\r\n" in invite
            assert "User-to-User: 00ab\r\n" in invite
            assert f"X-Twilio-CallSid: {child.sid}\r\n" in invite
            assert f"X-Twilio-AccountSid: {server.account_sid}\r\n" in invite

            assert bob.call_now is not None
            await bob.call_now.hang_up()
            await web.came(2)
            (after,) = web.asked("/after")
            assert after.form["DialSipResponseCode"] == "200"
            assert f"Call-ID: {after.form['DialSipCallId']}\r\n" in invite


async def test_a_rest_caller_cannot_say_for_another_which_call_it_is(server: Server) -> None:
    async with Phone("bob") as bob:
        to = f"sip:bob@127.0.0.1:{bob.address.port}?X-Twilio-CallSid=CA0&x-twilio-accountsid=AC0&x-order=17"
        client = server.sdk()
        made = await asyncio.to_thread(
            client.calls.create,
            to=to,
            from_="desk",
            twiml='<Response><Play loop="0">builtin:ringback</Play></Response>',
        )
        await bob.hears("ringback")
        invite = next(seen.data.decode() for seen in bob.messages if seen.start_line.startswith("INVITE"))
        told = [line for line in invite.split("\r\n") if line.lower().startswith("x-")]
        assert told == [
            "x-order: 17",
            f"X-Twilio-CallSid: {made.sid}",
            f"X-Twilio-AccountSid: {server.account_sid}",
            "X-Twilio-ApiVersion: 2010-04-01",
        ]
        notices = await asyncio.to_thread(client.calls(made.sid).notifications.list)
        assert [notice.error_code for notice in notices] == ["32113"]


async def test_a_message_survives_a_crash_of_control() -> None:
    async with WebServer() as web:
        record = '<Record playBeep="false" finishOnKey="" recordingStatusCallback="/progress"/>'
        async with (
            Server(numbers={OFFICE: web.on("/voice", reply(twiml(record)))}) as server,
            Phone("alice", server=server.sip) as alice,
        ):
            call = await alice.call(OFFICE)
            await call.answered()
            await asyncio.sleep(2.0)
            os.kill(children(server.pid)["control"], signal.SIGKILL)
            await web.came(3)
            assert web.asked("/voice")[-1].form["Digits"] == "hangup"
            (progress,) = web.asked("/progress")
            assert progress.form["RecordingStatus"] == "completed"
            status, _, sound = await asyncio.to_thread(fetched, server, progress.form["RecordingUrl"])
            assert status == 200
            assert sounds_in(sound) == [{"alice"}]


# --- transfers ----------------------------------------------------------------------------------------------


async def test_a_caller_is_sent_elsewhere_and_tells_how_it_fares(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        web.on("/after", reply(twiml('<Play loop="0">builtin:ringback</Play>')))
        target = "sip:carol@127.0.0.1:9?X-Order=17"
        refer = f'<Refer action="/after"><Sip>{target}</Sip></Refer>'
        await answers(server, OFFICE, web.on("/voice", reply(twiml(refer))))
        call = await alice.call(OFFICE)
        await call.answered()
        async with asyncio.timeout(10):
            while call.referred != [f"<{target}>"]:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        call.follow(180, 486)
        await web.came(2)
        (after,) = web.asked("/after")
        told = {name: value for name, value in after.form.items() if name.startswith(("Refer", "Notify"))}
        assert told == {"ReferCallStatus": "busy", "ReferSipResponseCode": "202", "NotifySipResponseCode": "486"}
        await alice.hears("ringback")


async def test_the_called_phone_puts_the_caller_through_to_another(server: Server) -> None:
    async with (
        WebServer() as web,
        Phone("alice", server=server.sip) as alice,
        Phone("bob", server=server.sip) as bob,
        Phone("carol", server=server.sip) as carol,
    ):
        web.on("/refer", reply(twiml(f"<Dial><Sip>{carol.uri}</Sip></Dial>")))
        dial = f'<Dial referUrl="/refer"><Sip>{bob.uri}</Sip></Dial>'
        await answers(server, OFFICE, web.on("/voice", reply(twiml(dial))))
        call = await alice.call(OFFICE)
        await call.answered()
        asked = await bob.called()
        await alice.hears("bob")
        assert await asked.put_through(carol.uri) == 200
        await asked.over()
        await web.came(2)
        (refer,) = web.asked("/refer")
        assert refer.form["ReferTransferTarget"] == f"<{carol.uri}>"
        await alice.hears("carol")
        await carol.hears("alice")
        assert asked.referral == [202, 100, 200]


# --- web servers that do not answer ---------------------------------------------------------------------------


async def _never(request: Asked, writer: asyncio.StreamWriter) -> None:
    """Hold the request, and the connection, for ever."""
    await asyncio.Event().wait()


async def test_an_action_that_never_answers_is_given_up_and_the_fallback_asked(server: Server) -> None:
    """In real time: the address itself says how long it may take; Twilio's own 15 s are the same path."""
    number = "+15550177"
    async with WebServer() as web, Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        never = web.on("/never", _never)
        gather = f'<Gather action="{never}#tt=400" numDigits="1"><Pause length="60"/></Gather>'
        web.on("/fallback", reply(twiml('<Play loop="0">builtin:ringback</Play>')))
        await answers(server, number, web.on("/menu", reply(twiml(gather))))
        await answers(server, OFFICE, web.on("/other", reply(twiml('<Play loop="0">builtin:ringback</Play>'))))
        client = server.sdk()
        (known,) = await asyncio.to_thread(lambda: client.incoming_phone_numbers.list(phone_number=number))
        await asyncio.to_thread(lambda: known.update(voice_fallback_url=web.url("/fallback")))
        call = await alice.call(number)
        await call.answered()
        call.press("1")
        await web.came(2)
        other = await bob.call(OFFICE)
        await other.answered()
        await bob.hears("ringback")
        await alice.hears("ringback")
        (asked,) = web.asked("/never")
        (fallback,) = web.asked("/fallback")
        assert asked.form["Digits"] == "1"
        assert (fallback.form["ErrorCode"], fallback.form["ErrorUrl"].partition("#")[0]) == ("11203", never)
        noted = await asyncio.to_thread(lambda: client.calls(asked.form["CallSid"]).notifications.list())
        assert [notice.error_code for notice in noted] == ["11203"]
        await asyncio.gather(call.hang_up(), other.hang_up())


async def test_a_document_that_is_sent_on_for_the_eleventh_time_is_given_up(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        for hop in range(11):
            web.on(f"/{hop}", to(f"/{hop + 1}"))
        await answers(server, OFFICE, web.url("/0"))
        call = await alice.call(OFFICE)
        await call.answered()
        await call.over()
        assert len(web.requests) == 11
        sid = web.requests[0].form["CallSid"]
        noted = await asyncio.to_thread(lambda: server.sdk().calls(sid).notifications.list())
        assert [notice.error_code for notice in noted] == ["11215"]


# --- applications -----------------------------------------------------------------------------------------------


async def test_an_application_is_dialled_hears_keys_and_is_heard(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        menu = '<Gather action="/chosen" numDigits="1"><Play loop="0">builtin:ringback</Play></Gather>'
        voice = web.on("/menu", reply(twiml(menu)))
        web.on("/chosen", reply(twiml("<Hangup/>")))
        web.on("/after", reply(twiml('<Play loop="0">builtin:ringback</Play>')))
        made = await asyncio.to_thread(lambda: server.sdk().applications.create(voice_url=voice))
        noun = (
            f'<Application copyParentTo="true"><ApplicationSid>{made.sid}</ApplicationSid>'
            '<Parameter name="Ticket" value="9 8"/></Application>'
        )
        await answers(server, OFFICE, web.on("/voice", reply(twiml(f'<Dial action="/after">{noun}</Dial>'))))
        call = await alice.call(OFFICE)
        await call.answered()
        await web.came(2)
        (asked,) = web.asked("/menu")
        (dialled,) = web.asked("/voice")
        told = {name: asked.form[name] for name in ("From", "To", "Direction", "Param_Ticket", "customerId")}
        assert told == {
            "From": dialled.form["From"],
            "To": OFFICE,
            "Direction": "inbound",
            "Param_Ticket": "9 8",
            "customerId": server.account_sid,
        }
        assert not any(name.startswith("Sip") for name in asked.form)
        await asyncio.sleep(0.3)
        call.press("7")
        await web.came(4)
        (chosen,) = web.asked("/chosen")
        (after,) = web.asked("/after")
        assert (chosen.form["Digits"], chosen.form["CallSid"]) == ("7", asked.form["CallSid"])
        assert (after.form["DialCallStatus"], after.form["DialBridged"]) == ("completed", "true")
        await alice.hears("ringback")


async def test_a_number_of_ours_is_called_by_rest_and_its_document_answers(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        client = server.sdk()
        conference = '<Dial><Conference beep="false" waitUrl="">here</Conference></Dial>'
        await answers(server, OFFICE, web.on("/join", reply(twiml(conference))))
        voice = web.on("/voice", reply(twiml('<Play loop="0">builtin:ringback</Play>')))
        web.on("/status", reply(status=204))
        await answers(server, OTHER, voice)
        call = await alice.call(OFFICE)
        await call.answered()
        status = web.url("/status")
        made = await asyncio.to_thread(
            lambda: client.calls.create(to=OTHER, from_=OFFICE, twiml=twiml(conference), status_callback=status)
        )
        await alice.hears("ringback")
        (asked,) = web.asked("/voice")
        told = [asked.form[name] for name in ("From", "To", "Direction", "CallStatus")]
        assert told == [OFFICE, OTHER, "inbound", "ringing"]
        assert asked.form["CallSid"] != made.sid
        await asyncio.to_thread(lambda: client.calls(asked.form["CallSid"]).update(status="completed"))
        await web.came(3)
        (ended,) = web.asked("/status")
        assert (ended.form["CallSid"], ended.form["CallStatus"]) == (made.sid, "completed")
        await alice.hears("silence")


async def test_an_application_in_a_conference_is_heard_by_all(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        voice = web.on("/voice", reply(twiml('<Play loop="0">builtin:ringback</Play>')))
        client = server.sdk()
        made = await asyncio.to_thread(lambda: client.applications.create(voice_url=voice))
        join = '<Dial><Conference beep="false" endConferenceOnExit="true">applied</Conference></Dial>'
        await answers(server, OFFICE, web.on("/join", reply(twiml(join))))
        call = await alice.call(OFFICE)
        await call.answered()
        to = f"app:{made.sid}?Ticket=9"
        await asyncio.to_thread(
            lambda: client.conferences("applied").participants.create(from_=OFFICE, to=to, beep="false")
        )
        await alice.hears("ringback")
        (asked,) = web.asked("/voice")
        assert (asked.form["To"], asked.form["Param_Ticket"]) == (made.sid, "9")


async def test_an_application_cannot_be_called_from_outside(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice:
        voice = web.on("/voice", reply(twiml("<Pause/>")))
        made = await asyncio.to_thread(lambda: server.sdk().applications.create(voice_url=voice))
        call = await alice.call(made.sid)
        with pytest.raises(CallFailed) as failed:
            await call.answered()
        assert failed.value.status == 404
        assert web.requests == []


# --- conferences ------------------------------------------------------------------------------------------------


async def test_a_conference_reports_its_speakers(server: Server) -> None:
    async with WebServer() as web, Phone("alice", server=server.sip) as alice, Phone("bob", server=server.sip) as bob:
        web.on("/events", reply(status=204))
        join = (
            '<Dial><Conference beep="false" statusCallback="/events" statusCallbackEvent="speaker">'
            "talk</Conference></Dial>"
        )
        await answers(server, OFFICE, web.on("/join", reply(twiml(join))))
        bob.speak(None)
        calls = [await phone.call(OFFICE) for phone in (alice, bob)]
        for call in calls:
            await call.answered()
        await bob.hears("alice")
        await web.came(3)
        alice.speak(None)
        await web.came(4)
        await asyncio.gather(*(call.hang_up() for call in calls))
        events = [(asked.form["StatusCallbackEvent"], asked.form["CallSid"]) for asked in web.asked("/events")]
        speaker = web.asked("/join")[0].form["CallSid"]
        assert events == [("participant-speech-start", speaker), ("participant-speech-stop", speaker)]
