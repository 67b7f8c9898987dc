"""The benches run, and what they count (not what they time) is as promised."""

import asyncio
from io import StringIO
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import Request, urlopen

import pytest
from rich.console import Console

from bench import call_rate, conference_size, hold_latency, impaired, media, steady_stream
from bench.__main__ import measure_all
from bench.application import Application
from bench.figures import Figure, NotMeasured, percentiles, show
from bench.machine import Machine, awake

pytestmark = pytest.mark.anyio


def paper() -> Console:
    return Console(file=StringIO(), width=140)


async def test_holds_are_one_stream_without_a_hole_or_a_foreign_byte() -> None:
    figures = await steady_stream.measure(paper(), cycles=12)

    counted = {figure.what: figure.value for figure in figures if figure.unit == ""}
    assert counted == {"packets with foreign bytes at the held ear": 0, "SSRCs": 1, "holes in the sequence": 0}


async def test_every_way_to_hold_is_timed() -> None:
    figures = await hold_latency.measure(paper(), holds=2)

    timed = [figure for figure in figures if figure.what.endswith("p50")]
    assert len(timed) == 4
    assert all(figure.value > 0 for figure in timed)


async def test_a_hold_is_measured_in_conferences_of_each_size() -> None:
    figures = await conference_size.measure(paper(), holds=2, heard=2, sizes=(2, 10))

    timed = [figure.what for figure in figures if figure.what.endswith("p50")]
    assert timed == [f"hold in a conference of {n}: asked by REST → first packet of the music, p50" for n in (2, 10)]
    stored = [figure for figure in figures if figure.what.endswith("to the store")]
    assert [figure.within for figure in stored] == [True, True]
    assert all(figure.value > 1000 for figure in stored)
    assert figures[-1].what == "10 redirects by REST into another conference"


async def test_many_legs_are_carried_and_counted() -> None:
    run = await media.run(legs=8, encrypted=2, seconds=7)

    assert len(run.loads) >= 1
    assert run.result.sent == 8 * 7 * 50
    assert run.not_taken == run.not_sent == 0
    assert run.result.frames_lost < run.result.sent / 2, "the phones hear each other, sealed or not"
    assert run.us_per_leg > 0


async def test_a_bad_network_is_heard_and_scored() -> None:
    score, concealed = await impaired.measure(paper(), seconds=4, legs=4)

    # One twentieth is lost; what else is concealed came too late, mostly before the buffers had grown.
    assert 5 * 0.6 < concealed.value < 20
    assert 2.5 < score.value < 4.3


def test_the_table_says_which_figure_keeps_its_bar() -> None:
    console = paper()
    figures = [
        *percentiles("hold", [0.010, 0.030], p50_ms=25, p99_ms=28),
        Figure(what="holes", value=0, unit="", bar=0),
    ]

    show(figures, console)

    assert [figure.within for figure in figures] == [True, False, True, True]
    assert isinstance(console.file, StringIO)
    lines = [line.split("│")[1:-1] for line in console.file.getvalue().splitlines() if line.startswith("│")]
    assert [[cell.strip() for cell in line[:4]] for line in lines] == [
        ["hold, p50", "20.0 ms", "≤ 25.0", "✓"],
        ["hold, p99", "29.8 ms", "≤ 28.0", "✗"],
        ["hold, longest", "30.0 ms", "", ""],
        ["holes", "0", "≤ 0", "✓"],
    ]


async def test_a_failed_measurement_does_not_stop_the_others() -> None:
    async def fails() -> list[Figure]:
        async with asyncio.TaskGroup():
            raise NotMeasured("no such program")

    async def works() -> list[Figure]:
        return [Figure(what="holes", value=0, bar=0)]

    console = paper()
    first, second = await measure_all(console, {"one": fails, "two": works})

    assert (first.what, first.text, first.within, first.note) == ("one", "—", False, "not measured: no such program")
    assert second.within


def test_the_load_by_other_programs_is_reported() -> None:
    machine = Machine()
    assert 0.0 <= machine.others() <= 1.0
    assert f"{machine.cores} cores that sleep" in machine.summary()
    with awake() as is_awake:
        assert ("kept awake" in Machine(awake=is_awake).summary()) is is_awake


def test_a_call_is_timed_from_its_webhook_to_its_answer(tmp_path: Path) -> None:
    with Application(voice=["<Response/>", "<Response><Hangup/></Response>"]) as application:
        documents = []
        for number in (7, 8, 9):
            form = urlencode({"From": f"sip:caller{number}@127.0.0.1:5062"}).encode()
            with urlopen(Request(application.url("voice"), data=form)) as response:
                documents.append(response.read())
        asked_at = application.requested_at["sip:caller7@127.0.0.1:5062"]
    answers = tmp_path / "answers.log"
    answers.write_text(f"7 2026-01-01 10:00:00.0 {asked_at + 0.5}\n99 2026-01-01 10:00:00.0 {asked_at}\n")

    assert documents == [b"<Response/>", *[b"<Response><Hangup/></Response>"] * 2]
    assert call_rate.answer_times_s(application, answers) == pytest.approx([0.5])
