"""The benches run, and what they count (not what they time) is as promised."""

from io import StringIO

import pytest
from rich.console import Console

from bench import hold_latency, impaired, media, steady_stream
from bench.figures import Figure, percentiles, show

pytestmark = pytest.mark.anyio


def paper() -> Console:
    return Console(file=StringIO(), width=140)


async def test_20_holds_are_one_stream_without_a_hole_or_a_foreign_byte() -> None:
    figures = await steady_stream.measure(paper(), holds=20)

    counted = {figure.what: figure.value for figure in figures if figure.unit == ""}
    assert counted == {"packets with foreign bytes at the held ear": 0, "SSRCs": 1, "holes in the sequence": 0}


async def test_every_way_to_hold_is_timed() -> None:
    figures = await hold_latency.measure(paper(), holds=2)

    timed = [figure for figure in figures if figure.what.endswith("p50")]
    assert len(timed) == 4
    assert all(figure.value > 0 for figure in timed)


async def test_many_legs_are_carried_and_counted() -> None:
    run = await media.run(legs=8, held=False, seconds=11)

    assert len(run.loads) >= 1
    assert run.heard.sent == 8 * 11 * 50
    assert run.not_taken == run.heard.holes == 0
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
