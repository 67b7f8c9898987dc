"""The same as `blocking.py` with the SDK's async client."""
# ruff: noqa: ASYNC110  the server is another process, and it is asked

import asyncio
import json
import sys
from typing import Any

from twilio.base.exceptions import TwilioRestException
from twilio.http.async_http_client import AsyncTwilioHttpClient
from twilio.rest import Client

url, sid, token, ours, music = sys.argv[1:]


async def code_of(asked: Any) -> list[Any] | None:
    try:
        await asked
    except TwilioRestException as error:
        return [error.status, error.code]
    return None


async def pause() -> None:
    await asyncio.to_thread(sys.stdin.readline)


async def main(client: Client, stranger: Client) -> dict[str, Any]:
    told: dict[str, Any] = {}
    number = await client.incoming_phone_numbers.create_async(phone_number="+15550100777", friendly_name="desk")
    number = await client.incoming_phone_numbers(str(number.sid)).update_async(voice_url=music, voice_method="GET")
    told["number"] = [number.phone_number, number.friendly_name, number.voice_method]
    told["numbers"] = len(await client.incoming_phone_numbers.list_async())
    told["number deleted"] = await client.incoming_phone_numbers(str(number.sid)).delete_async()

    queue = await client.queues.create_async(friendly_name="sales", max_size=7)
    told["queue"] = [queue.friendly_name, queue.max_size, queue.current_size]
    told["queue twice"] = await code_of(client.queues.create_async(friendly_name="sales"))
    told["queue members"] = len(await client.queues(str(queue.sid)).members.list_async())
    told["queue deleted"] = await client.queues(str(queue.sid)).delete_async()

    document = "<Response><Dial><Conference>room</Conference></Dial></Response>"
    calls = [
        await client.calls.create_async(to=f"client:{name}", from_=ours, twiml=document) for name in ("alice", "bob")
    ]
    told["made"] = sorted({str(call.status) for call in calls})
    one, both = str(calls[0].sid), [str(call.sid) for call in calls]
    while {(await client.calls(each).fetch_async()).status for each in both} != {"in-progress"}:
        await asyncio.sleep(0.05)
    while len(await client.conferences.list_async(status="in-progress")) != 1:
        await asyncio.sleep(0.05)
    conference = (await client.conferences.list_async(friendly_name="room", status="in-progress"))[0]
    participants = client.conferences(str(conference.sid)).participants
    told["participants"] = len(await participants.list_async())
    alice = client.conferences(str(conference.sid)).participants(one)
    told["held"] = (await alice.update_async(hold=True, hold_url=music, hold_method="GET")).hold
    print("held", flush=True)
    await pause()
    told["who is held"] = [each.call_sid == one for each in await participants.list_async(hold=True)]
    told["resumed"] = (await alice.update_async(hold=False, muted=True)).hold
    told["muted"] = (await alice.fetch_async()).muted
    print("resumed", flush=True)
    await pause()

    told["paged"] = [each.sid for each in await client.calls.list_async(page_size=1)] == both[::-1]
    told["limited"] = len(await client.calls.list_async(limit=1))
    told["unknown"] = await code_of(client.calls("CA" + "0" * 32).fetch_async())
    await client.conferences(str(conference.sid)).update_async(status="completed")
    while {(await client.calls(each).fetch_async()).status for each in both} != {"completed"}:
        await asyncio.sleep(0.05)
    told["over"] = await code_of(client.calls(one).update_async(status="completed"))
    told["gone"] = await code_of(alice.update_async(hold=True))
    told["call deleted"] = await client.calls(one).delete_async()
    told["stranger"] = await code_of(stranger.calls(both[1]).fetch_async())
    return told


async def with_clients() -> None:
    async with AsyncTwilioHttpClient() as http:
        clients = [Client(sid, password, http_client=http) for password in (token, "wrong")]
        for client in clients:
            client.api.base_url = url
        print(json.dumps(await main(*clients), sort_keys=True), flush=True)


asyncio.run(with_clients())
