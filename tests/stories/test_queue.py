"""Queues: what the waiting hear and are told, every QueueResult, sizes, times and averages.

Source: TwiML <Enqueue>, <Leave>, <Queue>; Queue and Member resources.
"""

from __future__ import annotations

import pytest

from holdfast.testing.world import ACCOUNT, World
from holdfast.voice.control.entities import Queue
from holdfast.voice.model.commands import ChangeQueue, CreateQueue, DeleteQueue, DequeueMember, WebRequest
from holdfast.voice.model.errors import NotFound, QueueNameTaken, QueueNotEmpty
from holdfast.voice.model.ids import QueueSid
from tests.stories.leg_events import APP, Told, end, pages

SID = QueueSid("QU" + "1" * 32)


def queueing(world: World, attributes: str = 'waitUrl="/music"', music: str = "<Play>/music.mp3</Play>") -> None:
    pages(
        world,
        wait=f'<Enqueue {attributes} action="/left">line</Enqueue>',
        music=music,
        left='<Play loop="0">/left.mp3</Play>',
        take='<Dial action="/after"><Queue>line</Queue></Dial>',
        after="<Pause length='60'/>",
    )


def only(world: World) -> Queue:
    (queue,) = world.state.queues.values()
    return queue


def place(position: int, waited: int, average: int, size: int) -> str:
    return (
        f"QueuePosition={position} QueueSid=QU QueueTime={waited} AvgQueueTime={average} CurrentQueueSize={size} "
        "MaxQueueSize=1000"
    )


# --- what is heard --------------------------------------------------------------------------------------------


def test_the_wait_document_is_asked_for_ever_with_fresh_numbers(world: World) -> None:
    queueing(world)
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.passes(4)
    told.name(B=world.calls_in("b", f"{APP}/wait"))
    assert told.news() == [
        "A POST /wait ringing",
        f"A POST /music ringing {place(1, 0, 0, 1)}",
        "B POST /wait ringing",
        f"B POST /music ringing {place(2, 0, 2, 2)}",
    ]
    world.passes(10)
    world.sound_ends(told["B"])
    assert told.news() == [f"B POST /music in-progress {place(2, 10, 12, 2)}"]
    world.hangs_up(told["A"])
    told.news()
    for number in range(50):
        world.passes(10)
        world.sound_ends(told["B"])
        waited = 20 + 10 * number
        assert told.news() == [f"B POST /music in-progress {place(1, waited, waited, 1)}"]
    assert told.hears()["B"] == "/music.mp3"


@pytest.mark.parametrize(
    ("attributes", "heard", "method"),
    [
        ("", "builtin:hold", None),
        ('waitUrl=""', "silence", None),
        ('waitUrl="http://twimlets.com/holdmusic?Bucket=com.twilio.music.ambient"', "builtin:hold", None),
        ('waitUrl="/music"', "/music.mp3", "POST"),
        ('waitUrl="/music" waitUrlMethod="GET"', "/music.mp3", "GET"),
        ('waitUrl="/song" waitUrlMethod="GET"', "/song", "GET"),
    ],
)
def test_a_member_hears_the_wait_document(world: World, attributes: str, heard: str, method: str | None) -> None:
    queueing(world, attributes)
    world.pages[f"{APP}/song"] = "audio"
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    assert told.hears() == {"A": heard}
    asked = [line.split()[1] for line in told.news()[1:]]
    assert asked == ([] if method is None else [method])


def test_an_audio_file_as_wait_url_is_requested_again(world: World) -> None:
    queueing(world, 'waitUrl="/song"')
    world.pages[f"{APP}/song"] = "audio"
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    for _ in range(3):
        assert world.playing[told["A"]][2] == 1
        world.passes(30)
        world.sound_ends(told["A"])
    assert world.urls().count(f"{APP}/song") == 4


def test_when_a_chain_of_redirects_runs_out_the_first_document_is_asked_again(world: World) -> None:
    queueing(world, music="<Play>/one.mp3</Play><Redirect>/second</Redirect>")
    pages(world, second="<Play>/two.mp3</Play>")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    for _ in range(2):
        world.passes(20)
        world.sound_ends(told["A"])
        assert told.hears() == {"A": "/two.mp3"}
        world.passes(20)
        world.sound_ends(told["A"])
        assert told.hears() == {"A": "/one.mp3"}
    assert [url.removeprefix(APP) for url in world.urls()] == [
        "/wait", "/music", "/second", "/music", "/second", "/music",
    ]  # fmt: skip


def test_an_empty_document_is_asked_for_once_a_second(world: World) -> None:
    queueing(world, music="")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.passes(10.5)
    assert world.urls().count(f"{APP}/music") == 11
    world.hangs_up(told["A"])
    world.passes(10)
    assert world.urls().count(f"{APP}/music") == 11


def test_a_gather_in_a_wait_document_stays_in_the_wait(world: World) -> None:
    queueing(world, music='<Gather action="/menu" numDigits="1"><Play>/menu.mp3</Play></Gather>')
    pages(world, menu="<Play>/chosen.mp3</Play>")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    told.news()
    world.presses(told["A"], "1")
    assert [line.split()[2] for line in told.news()] == ["/menu"]
    assert told.hears() == {"A": "/chosen.mp3"}
    assert len(only(world).members) == 1
    world.passes(5)
    world.sound_ends(told["A"])
    assert told.hears() == {"A": "/menu.mp3"}


def test_the_wait_document_is_cut_off_the_moment_a_dialler_takes_the_call(world: World) -> None:
    queueing(world)
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.passes(0.5)
    told.name(D=world.calls_in("d", f"{APP}/take"))
    told.news()
    assert told.hears() == {"A": "D", "D": "A"}
    assert told["A"] not in world.playing
    world.passes(600)
    assert told.news() == []


# --- every QueueResult ------------------------------------------------------------------------------------------


def result(world: World, told: Told) -> list[str]:
    """What the action was told."""
    return [line.partition(" ")[2] for line in told.news() if "/left" in line]


def test_result_leave(world: World) -> None:
    queueing(world, music="<Play>/music.mp3</Play><Leave/><Play>/never.mp3</Play>")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.passes(9)
    world.sound_ends(told["A"])
    assert result(world, told) == ["POST /left in-progress QueueResult=leave QueueSid=QU QueueTime=9"]
    assert told.hears() == {"A": "/left.mp3"}
    assert only(world).members == ()


@pytest.mark.parametrize("deed", ["phone", "rest", "verb"])
def test_result_hangup(world: World, deed: str) -> None:
    queueing(world, music="<Play>/music.mp3</Play><Hangup/>")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.passes(9)
    match deed:
        case "phone":
            world.hangs_up(told["A"])
        case "rest":
            end(world, told["A"])
        case _:
            world.sound_ends(told["A"])
    assert result(world, told) == ["POST /left completed QueueResult=hangup QueueSid=QU QueueTime=9"]
    assert told.statuses() == {"A": "completed"}
    assert only(world).members == ()


def test_result_queue_full(world: World) -> None:
    queueing(world)
    world.post(CreateQueue(queue=SID, account=ACCOUNT, name="line", max_size=1))
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"), B=world.calls_in("b", f"{APP}/wait"))
    assert told.news()[2:] == ["B POST /wait ringing", "B POST /left ringing QueueResult=queue-full"]
    assert [(notice.code, notice.log) for notice in world.notifications] == [(14207, 1)]
    assert told.hears() == {"A": "/music.mp3", "B": "/left.mp3"}


def test_a_full_queue_without_action_goes_on_with_the_next_verb(world: World) -> None:
    pages(world, wait="<Enqueue>line</Enqueue><Play>/full.mp3</Play>")
    world.post(CreateQueue(queue=SID, account=ACCOUNT, name="line", max_size=1))
    world.calls_in("a", f"{APP}/wait")
    assert world.heard_by(world.calls_in("b", f"{APP}/wait")) == f"{APP}/full.mp3"


@pytest.mark.parametrize("music", ["<Dial>+15550111</Dial>", "<Reject/>", "<Enqueue>other</Enqueue>"])
def test_result_error_of_a_verb_a_wait_document_may_not_use(world: World, music: str) -> None:
    queueing(world, music=music)
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    assert result(world, told) == ["POST /left ringing QueueResult=error QueueSid=QU QueueTime=0"]


@pytest.mark.parametrize("page", [None, "<Response><Play></Response>", "not twiml"])
def test_result_error_of_a_wait_document_that_cannot_be_had(world: World, page: str | None) -> None:
    queueing(world)
    world.pages[f"{APP}/music"] = page
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    assert result(world, told) == ["POST /left ringing QueueResult=error QueueSid=QU QueueTime=0"]
    assert told.hears() == {"A": "/left.mp3"}


@pytest.mark.parametrize(("name", "code"), [("", 14204), ("q" * 65, 14205)])
def test_result_error_of_a_queue_that_cannot_be_named_so(world: World, name: str, code: int) -> None:
    pages(world, wait=f'<Enqueue action="/left">{name}</Enqueue>', left="<Play>/left.mp3</Play>")
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    assert told.news() == ["A POST /wait ringing", "A POST /left ringing QueueResult=error"]
    assert [notice.code for notice in world.notifications] == [code]
    assert world.state.queues == {}


# --- the resource ---------------------------------------------------------------------------------------------------


def test_a_queue_is_made_on_first_use_and_stays(world: World) -> None:
    queueing(world)
    world.hangs_up(world.calls_in("a", f"{APP}/wait"))
    queue = only(world)
    assert (queue.name, queue.max_size, queue.members) == ("line", 1000, ())
    world.hangs_up(world.calls_in("b", f"{APP}/wait"))
    assert only(world).sid == queue.sid


def test_averages_cover_the_members_that_wait_now(world: World) -> None:
    queueing(world)
    assert world.state.queues == {}
    first = world.calls_in("a", f"{APP}/wait")
    world.passes(30)
    world.calls_in("b", f"{APP}/wait")
    world.passes(10)
    assert only(world).average_wait_s(world.now) == 25
    world.hangs_up(first)
    assert only(world).average_wait_s(world.now) == 10


def test_a_smaller_queue_keeps_its_members_and_takes_no_more(world: World) -> None:
    queueing(world)
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"), B=world.calls_in("b", f"{APP}/wait"))
    world.post(ChangeQueue(queue=only(world).sid, max_size=1))
    told.name(C=world.calls_in("c", f"{APP}/wait"))
    assert told.hears() == {"A": "/music.mp3", "B": "/music.mp3", "C": "/left.mp3"}


def test_a_renamed_queue_is_dialled_by_its_new_name(world: World) -> None:
    queueing(world)
    told = Told(world, A=world.calls_in("a", f"{APP}/wait"))
    world.post(ChangeQueue(queue=only(world).sid, name="other"))
    told.name(D=world.calls_in("d", f"{APP}/take"))
    assert told.hears() == {"A": "/music.mp3", "D": "silence"}
    pages(world, take="<Dial><Queue>other</Queue></Dial>")
    told.name(E=world.calls_in("e", f"{APP}/take"))
    assert told.hears() == {"A": "E", "D": "silence", "E": "A"}


def test_two_queues_cannot_share_a_name(world: World) -> None:
    world.post(CreateQueue(queue=SID, account=ACCOUNT, name="line"))
    other = QueueSid("QU" + "2" * 32)
    with pytest.raises(QueueNameTaken) as refused:
        world.post(CreateQueue(queue=other, account=ACCOUNT, name="line"))
    assert (refused.value.code, refused.value.http) == (22003, 400)
    world.post(CreateQueue(queue=other, account=ACCOUNT, name="second"))
    with pytest.raises(QueueNameTaken):
        world.post(ChangeQueue(queue=other, name="line"))
    world.post(ChangeQueue(queue=other, name="second"))


def test_only_an_empty_queue_is_deleted(world: World) -> None:
    queueing(world)
    call = world.calls_in("a", f"{APP}/wait")
    queue = only(world).sid
    with pytest.raises(QueueNotEmpty):
        world.post(DeleteQueue(queue=queue))
    world.hangs_up(call)
    world.post(DeleteQueue(queue=queue))
    assert world.state.queues == {}
    for command in (DeleteQueue(queue=queue), ChangeQueue(queue=queue, max_size=5)):
        with pytest.raises(NotFound):
            world.post(command)


def test_an_empty_queue_has_no_front_member(world: World) -> None:
    world.post(CreateQueue(queue=SID, account=ACCOUNT, name="line"))
    with pytest.raises(NotFound):
        world.post(DequeueMember(queue=SID, call=None, request=WebRequest(url=f"{APP}/left")))


def test_a_dial_of_a_queue_with_a_name_that_cannot_be_goes_on_with_the_next_verb(world: World) -> None:
    pages(world, take=f"<Dial><Queue>{'q' * 65}</Queue></Dial><Play>/next.mp3</Play>")
    assert world.heard_by(world.calls_in("d", f"{APP}/take")) == f"{APP}/next.mp3"
    assert [notice.code for notice in world.notifications] == [14213]
