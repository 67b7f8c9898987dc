"""Messages are recorded as Twilio's resource, listed as not delivered, and never sent."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.rest import Client

from tests.conformance import facts
from tests.conformance.engine import ACCOUNT, ALSO_OURS, NOON, OURS, TOKEN
from tests.conformance.rest_client import BASE, RestApi, new_rest_api, served

CUSTOMER = "+14155550123"
SERVICE = "MG" + "5" * 32
TEMPLATE = "HX" + "7" * 32
CALLBACK = "http://127.0.0.1:9/status"
TEXT = {"To": CUSTOMER, "From": OURS, "Body": "Your code is 4711"}


async def made(api: RestApi, **changed: str) -> dict[str, Any]:
    """Send a message, and return it as the list shows it."""
    reply = await api.post("/Messages.json", TEXT | changed)
    assert reply.status == 201, reply.body
    body: dict[str, Any] = (await api.get(f"/Messages/{reply.json['sid']}.json")).json
    return body


async def refusal(api: RestApi, form: Mapping[str, str]) -> tuple[int, int]:
    """Return the HTTP status and the code of a message that is refused, and check that none was kept."""
    reply = await api.post("/Messages.json", form)
    assert (await api.get("/Messages.json")).json["messages"] == []
    assert (api.web.callbacks, api.store.kept) == ([], {})
    return reply.status, reply.code


async def test_a_message_has_the_fields_of_the_reference(api: RestApi) -> None:
    reply = await api.post("/Messages.json", TEXT)
    queued = reply.json
    assert reply.status == 201
    assert facts.faults(queued, facts.MESSAGE) == []
    assert (queued["status"], queued["error_code"], queued["date_sent"]) == ("queued", None, None)
    assert (queued["to"], queued["from"], queued["body"]) == (CUSTOMER, OURS, "Your code is 4711")
    assert (queued["direction"], queued["num_segments"], queued["num_media"]) == ("outbound-api", "1", "0")
    failed = (await api.get(f"/Messages/{queued['sid']}")).json
    assert failed == queued | {
        "status": "failed",
        "error_code": 30006,
        "error_message": "Not delivered: this server records messages and sends none",
    }
    assert (await api.request("GET", failed["uri"])).json == failed


async def test_a_message_is_reported_as_not_delivered_without_its_text(api: RestApi) -> None:
    message = await made(api)
    (warning,) = (await api.get("/Notifications.json", "Log=1")).json["notifications"]
    assert (warning["error_code"], warning["call_sid"]) == ("30006", None)
    assert f"Message {message['sid']} to {CUSTOMER} was not delivered" in warning["message_text"]
    assert "4711" not in warning["message_text"]
    assert api.web.callbacks == []


async def test_the_callback_says_that_the_message_failed(api: RestApi) -> None:
    message = await made(api, StatusCallback=CALLBACK, MessagingServiceSid=SERVICE)
    (callback,) = api.web.callbacks
    assert (callback.call, callback.kind) == (None, "message")
    assert (callback.request.url, callback.request.method) == (CALLBACK, "POST")
    assert dict(callback.request.form) == {
        "MessageSid": message["sid"],
        "MessageStatus": "failed",
        "ErrorCode": "30006",
        "SmsSid": message["sid"],
        "SmsStatus": "failed",
        "AccountSid": ACCOUNT,
        "ApiVersion": "2010-04-01",
        "To": CUSTOMER,
        "From": OURS,
        "MessagingServiceSid": SERVICE,
    }


@pytest.mark.parametrize(
    ("changed", "shown"),
    [
        ({"To": "+1 (415) 555-0123", "From": "+1 555 010 0001"}, {"to": CUSTOMER, "from": OURS}),
        ({"From": "", "MessagingServiceSid": SERVICE}, {"from": None, "messaging_service_sid": SERVICE}),
        ({"From": SERVICE}, {"from": None, "messaging_service_sid": SERVICE}),
        ({"From": "Acme Ltd"}, {"from": "Acme Ltd"}),
        ({"From": "whatsapp:+15550100001", "To": f"whatsapp:{CUSTOMER}"}, {"to": f"whatsapp:{CUSTOMER}"}),
        ({"Body": "", "ContentSid": TEMPLATE}, {"body": ""}),
        ({"Body": "", "MediaUrl": "https://example.com/a.png"}, {"num_media": "1", "body": ""}),
        ({"Body": " two\nlines "}, {"body": " two\nlines "}),
        ({"Body": "x" * 1600}, {"num_segments": "11"}),
        ({"Body": "🙂" * 1600}, {"num_segments": "48"}),
        ({"ContentRetention": "discard"}, {"body": "", "num_segments": "1"}),
    ],
)
async def test_each_form_of_a_message_is_taken(api: RestApi, changed: dict[str, str], shown: dict[str, object]) -> None:
    message = await made(api, **changed)
    assert {name: message[name] for name in shown} == shown
    assert message["sid"].startswith("MM" if "MediaUrl" in changed else "SM")


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"To": ""}, 21604),
        ({"From": ""}, 21603),
        ({"Body": ""}, 21602),
        ({"Body": " \n\t "}, 21602),
        ({"Body": "", "From": "", "MessagingServiceSid": SERVICE}, 21619),
        ({"Body": "x" * 1601}, 21617),
        ({"To": "hello"}, 21211),
        ({"To": "+0123456789"}, 21211),
        ({"To": "+1415555012345678"}, 21211),
        ({"To": "72345"}, 21211),
        ({"To": "client:alice"}, 21211),
        ({"To": "sip:alice@example.com"}, 21211),
        ({"To": "whatsapp:"}, 21211),
        ({"To": "whatsapp:+1 415"}, 21211),
        ({"From": "+15559999999"}, 21659),
        ({"From": "72345"}, 21659),
        ({"From": "a name that is too long"}, 21212),
        ({"From": "<script>"}, 21212),
        ({"To": ALSO_OURS, "From": ALSO_OURS}, 21266),
        ({"From": "whatsapp:+15550100001"}, 21910),
        ({"To": f"whatsapp:{CUSTOMER}"}, 21910),
        ({"MessagingServiceSid": "MG5"}, 21705),
        ({"ContentSid": "HX"}, 21655),
        ({"ContentRetention": "forget"}, 20422),
        ({"MediaUrl": "a.png"}, 21620),
        ({"MediaUrl": "file:///etc/passwd"}, 21620),
        ({"MediaUrl": "https://" + "a" * 4000}, 21620),
        ({"StatusCallback": "status"}, 21609),
        ({"StatusCallback": "javascript:alert(1)"}, 21609),
        ({"Body": "nul \x00"}, 20422),
    ],
)
async def test_each_wrong_parameter_has_its_code(api: RestApi, changed: dict[str, str], code: int) -> None:
    assert await refusal(api, TEXT | changed) == (400, code)
    assert api.warnings() == []


async def test_a_message_has_up_to_ten_media(api: RestApi) -> None:
    media = [("MediaUrl", f"https://example.com/{number}.png") for number in range(11)]
    assert (await api.post("/Messages", [*TEXT.items(), *media])).code == 21623
    assert (await api.post("/Messages", [*TEXT.items(), *media[1:]])).json["num_media"] == "10"


async def test_parameters_without_effect_are_taken_with_a_warning(api: RestApi) -> None:
    await made(api, ScheduleType="fixed", SendAt="2030-01-01T00:00:00Z", ValidityPeriod="60", Colour="red")
    assert api.warnings() == [30006, 20001, 20001]


async def test_the_setting_refuses_messages_and_leaves_reading_open() -> None:
    kept = await new_rest_api()
    message = await made(kept)
    api = await new_rest_api(store=kept.store, accepts_messages=False)
    assert (await api.post("/Messages.json", TEXT)).code == 21661
    assert (await api.post("/Messages.json", TEXT | {"To": "hello"})).code == 21211
    assert [each["sid"] for each in (await api.get("/Messages.json")).json["messages"]] == [message["sid"]]
    assert (await api.delete(f"/Messages/{message['sid']}.json")).status == 204


async def test_lists_are_filtered_and_the_newest_is_first(api: RestApi) -> None:
    sids = []
    for number, (to, from_) in enumerate(itertools.product((CUSTOMER, "+442071838750"), (OURS, ALSO_OURS))):
        api.engine.clock = NOON + 86_400 * number
        sids.append((await made(api, To=to, From=from_))["sid"])

    async def listed(query: str) -> list[int]:
        rows = (await api.get("/Messages.json", query)).json["messages"]
        return [sids.index(row["sid"]) for row in rows]

    assert await listed("") == [3, 2, 1, 0]
    assert await listed("To=%2B14155550123") == [1, 0]
    assert await listed("From=%2B1+555+010+0002") == [3, 1]
    assert await listed("From=%2B15550100001&To=%2B442071838750") == [2]
    assert await listed("To=%2B15550100009") == []
    assert await listed("DateSent=2027-01-16") == [1]
    assert await listed("DateSent%3C=2027-01-16T23:00:00Z") == [1, 0]
    assert await listed("DateSent%3E=2027-01-16") == [3, 2, 1]
    assert (await api.get("/Messages.json", "DateSent=soon")).code == 20422
    assert (await api.get("/Messages.json", "PageSize=0")).code == 20007


async def test_an_empty_list_checks_its_filters_too(api: RestApi) -> None:
    assert (await api.get("/Messages.json", "DateSent%3E=soon")).code == 20422


async def test_an_empty_body_redacts_a_message_also_in_the_store(api: RestApi) -> None:
    message = await made(api)
    assert "4711" in str(api.store.kept)
    api.engine.clock = NOON + 60
    redacted = await api.post(f"/Messages/{message['sid']}.json", {"Body": ""})
    assert (redacted.status, redacted.json["body"], redacted.json["num_segments"]) == (200, "", "1")
    assert redacted.json["date_updated"] != message["date_updated"]
    assert "4711" not in str(api.store.kept)


@pytest.mark.parametrize(
    ("form", "refused"),
    [
        ({}, (400, 30400)),
        ({"Body": "another text"}, (400, 30400)),
        ({"Body": "", "Status": "canceled"}, (400, 30400)),
        ({"Status": "delivered"}, (400, 30400)),
        ({"Status": "canceled"}, (409, 30409)),
    ],
)
async def test_no_other_update_is_taken(api: RestApi, form: dict[str, str], refused: tuple[int, int]) -> None:
    message = await made(api)
    reply = await api.post(f"/Messages/{message['sid']}.json", form)
    assert (reply.status, reply.code) == refused
    assert (await api.get(f"/Messages/{message['sid']}.json")).json == message


async def test_a_deleted_message_is_gone_from_lists_and_store(api: RestApi) -> None:
    message = await made(api)
    path = f"/Messages/{message['sid']}.json"
    assert (await api.delete(path)).status == 204
    assert api.store.kept == {}
    for reply in (await api.get(path), await api.delete(path), await api.post(path, {"Body": ""})):
        assert (reply.status, reply.code) == (404, 20404)


async def test_the_oldest_messages_are_dropped_and_the_store_keeps_no_more_than_memory() -> None:
    api = await new_rest_api(message_capacity=3)
    sids = []
    for number in range(5):
        api.engine.clock = NOON + number
        sids.append((await made(api, Body=f"text {number}"))["sid"])
    assert {key for _, key in api.store.kept} == set(sids[2:])
    again = await new_rest_api(store=api.store)
    rows = (await again.get("/Messages.json")).json["messages"]
    assert [row["sid"] for row in rows] == sids[:1:-1]
    assert [row["body"] for row in rows] == ["text 4", "text 3", "text 2"]


async def test_messages_sent_at_once_stay_within_the_bound() -> None:
    api = await new_rest_api(message_capacity=3)
    await asyncio.gather(*(api.post("/Messages.json", TEXT) for _ in range(10)))
    assert len((await api.get("/Messages.json")).json["messages"]) == len(api.store.kept) == 3


_WORDS = st.sampled_from(
    ["", CUSTOMER, OURS, "72345", "alice", SERVICE, TEMPLATE, "whatsapp:+1555", "\u202eevil", "x" * 1601, CALLBACK]
)


@settings(max_examples=100, deadline=None)
@given(
    form=st.dictionaries(
        st.sampled_from(
            ["To", "From", "Body", "MessagingServiceSid", "ContentSid", "MediaUrl", "StatusCallback", "Status"]
        ),
        _WORDS | st.text(max_size=40),
    )
)
def test_any_form_is_recorded_or_refused_with_a_code(form: dict[str, str]) -> None:
    """`RestApi` compares each answer with the table of facts."""

    async def send() -> None:
        api = await new_rest_api()
        encodable = {name: value.encode("utf-8", "replace").decode() for name, value in form.items()}
        reply = await api.post("/Messages.json", encodable)
        kept = (await api.get("/Messages.json")).json["messages"]
        assert (reply.status, len(kept)) in ((201, 1), (400, 0))
        if kept:
            again = await new_rest_api(store=api.store)
            assert (await again.get("/Messages.json")).json["messages"] == kept

    asyncio.run(send())


def test_the_official_sdk_sends_reads_redacts_pages_and_deletes() -> None:
    api = asyncio.run(new_rest_api())
    with served(api.app) as url:
        http = TwilioHttpClient(timeout=10)
        client = Client(ACCOUNT, TOKEN, http_client=http)
        client.api.base_url = url
        sent = client.messages.create(
            to=CUSTOMER, from_=OURS, body="Hello", media_url=["https://example.com/a.png"], status_callback=CALLBACK
        )
        assert (sent.status, sent.error_code, sent.num_media, sent.date_sent) == ("queued", None, "1", None)
        assert client.messages(str(sent.sid)).fetch().error_code == 30006
        assert client.messages(str(sent.sid)).fetch().status == "failed"
        for number in range(4):
            api.engine.clock = NOON + 1 + number
            client.messages.create(to=CUSTOMER, messaging_service_sid=SERVICE, body=f"text {number}")
        texts = [each.body for each in client.messages.list(page_size=2)]
        assert texts == ["text 3", "text 2", "text 1", "text 0", "Hello"]
        assert [each.body for each in client.messages.list(from_=OURS)] == ["Hello"]
        assert client.messages(str(sent.sid)).update(body="").body == ""
        with pytest.raises(TwilioRestException) as caught:
            client.messages(str(sent.sid)).update(status="canceled")
        assert caught.value.code == 30409
        assert client.messages(str(sent.sid)).delete() is True
        with pytest.raises(TwilioRestException) as caught:
            client.messages(str(sent.sid)).fetch()
        assert (caught.value.status, caught.value.code) == (404, 20404)
        with pytest.raises(TwilioRestException) as caught:
            client.messages.create(to="hello", from_=OURS, body="Hello")
        assert (caught.value.status, caught.value.code) == (400, 21211)
        assert http.session is not None
        http.session.close()


async def test_media_and_feedback_of_a_message_are_not_built(api: RestApi) -> None:
    message = await made(api)
    for path in (message["subresource_uris"]["media"].removeprefix(BASE), f"/Messages/{message['sid']}/Feedback.json"):
        assert (await api.get(path)).code == 20404
