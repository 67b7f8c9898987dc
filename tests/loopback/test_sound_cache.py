"""The sound cache with real web servers, polite and hostile, and a real decoding process."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest

from holdfast.voice.media.codec.g711 import decode
from holdfast.voice.model.effects import PlaySound, StopSound
from holdfast.voice.model.facts import SoundFailed
from holdfast.voice.model.ids import Token
from holdfast.voice.runtime.sounds.decode_client import Decoder
from tests.loopback.test_fetch import drip, endless, endless_chunks, nothing, reset
from tests.loopback.web_server import Behaviour, Request, WebServer, answer, raw, reply, to
from tests.loopback.web_stack import ALICE, BOB, Shell, open_shell, token
from tests.unit.voice.runtime.sounds.files import file_of, tone
from tests.unit.voice.runtime.sounds.odd_files import ODD_FILES

pytestmark = pytest.mark.anyio

WAV = file_of(tone(rate=8000, seconds=0.5), rate=8000, kind="WAV")
OTHER_WAV = file_of(tone(rate=8000, seconds=0.7, hz=500), rate=8000, kind="WAV")
MP3 = file_of(tone(), rate=44_100, kind="MP3")


async def failure(shell: Shell, source: str) -> SoundFailed:
    """Return the failure of a sound that must not be played."""
    shell.library.carry_out(PlaySound(token=token(ALICE), source=source))
    fact = await shell.fact()
    assert isinstance(fact, SoundFailed)
    assert fact.token == token(ALICE)
    assert shell.bank.played == []
    return fact


# --- generated sounds ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["music", "hold", "ringback", "beep"])
async def test_a_built_in_sound_is_played_at_once(name: str) -> None:
    async with open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source=f"builtin:{name}", rounds=0))

        assert shell.bank.played == [(ALICE, token(ALICE), f"builtin:{name}", 0)]
        assert len(shell.bank.clips[f"builtin:{name}"]) > 1000


async def test_dtmf_tones_are_played() -> None:
    async with open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source="digits:12w", rounds=3))
        await shell.bank.plays()
        shell.library.carry_out(PlaySound(token=token(BOB), source="digits:12w"))

        assert shell.bank.played == [
            (ALICE, token(ALICE), "digits:12w", 3),
            (BOB, token(BOB), "digits:12w", 1),
        ]
        assert len(shell.bank.clips["digits:12w"]) == 8000 * 9 // 10


@pytest.mark.parametrize("source", ["clip:unknown", "builtin:unknown", "digits:x", "digits:", "nonsense", ""])
async def test_an_unknown_source_fails(source: str) -> None:
    async with open_shell() as shell:
        assert (await failure(shell, source)).code == 13420


# --- sounds from the web ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "kind", "seconds"),
    [
        (WAV, "audio/wav", 0.5),
        (MP3, "audio/mpeg", 1.0),
        (WAV, "application/octet-stream", 0.5),
        (WAV, None, 0.5),
        (bytes(4000), "audio/ulaw", 0.5),
    ],
)
async def test_a_sound_is_fetched_decoded_and_played(body: bytes, kind: str | None, seconds: float) -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(body, kind=kind))
        shell.library.carry_out(PlaySound(token=token(ALICE), source=url, rounds=2))
        await shell.bank.plays()

        leg, sound, clip, rounds = shell.bank.played[0]
        assert (leg, sound, rounds) == (ALICE, token(ALICE), 2)
        assert len(shell.bank.clips[clip]) / 8000 == pytest.approx(seconds, abs=0.1)
        assert shell.notices == []
        seen = (await shell.sees("sound"))[0]
        assert (seen.call, seen.status, seen.url, seen.body, seen.error) == (ALICE, 200, url, "", "")


@pytest.mark.parametrize(("body", "kind"), [(MP3, "audio/x-wav"), (WAV, "audio/mpeg"), (WAV, "text/plain")])
async def test_a_wrong_content_type_is_a_warning_only(body: bytes, kind: str) -> None:
    async with WebServer() as server, open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source=server.on("/music", reply(body, kind=kind))))
        await shell.bank.plays()

        assert [(notice.call, notice.code, notice.log) for notice in shell.notices] == [(ALICE, 12300, 1)]


LONG_WAV = file_of(tone(rate=8000, seconds=30), rate=8000, kind="WAV")


@pytest.mark.parametrize("size", [1000, 65_536, 65_537, 400_000])
@pytest.mark.parametrize("kind", ["text/plain", "text/html; charset=UTF-8", "application/xml", "image/png"])
async def test_a_sound_that_is_called_a_text_is_played_at_every_size(size: int, kind: str) -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(LONG_WAV[:size], kind=kind))
        shell.library.carry_out(PlaySound(token=token(ALICE), source=url))
        await shell.bank.plays()

        _, _, clip, _ = shell.bank.played[0]
        assert len(shell.bank.clips[clip]) == (size - 44) // 2
        assert [(notice.call, notice.code, notice.log) for notice in shell.notices] == [(ALICE, 12300, 1)]


@pytest.mark.parametrize("kind", ["audio/mpeg", "audio/wav", "application/octet-stream", None, "text/html"])
@pytest.mark.parametrize("name", ["mp3 after a line end", "mp3 after a warning of a web script", "wav of length 0"])
async def test_an_odd_file_is_played_by_whatever_type_it_comes(name: str, kind: str | None) -> None:
    body, _ = ODD_FILES[name]
    async with WebServer() as server, open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source=server.on("/music", reply(body, kind=kind))))
        await shell.bank.plays()

        _, _, clip, _ = shell.bank.played[0]
        assert len(shell.bank.clips[clip]) == pytest.approx(8000, abs=800)


async def test_a_headerless_file_without_a_type_is_known_by_its_url() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music.ulaw", reply(bytes(range(256)) * 20, kind="application/octet-stream"))
        shell.library.carry_out(PlaySound(token=token(ALICE), source=url))
        await shell.bank.plays()

        _, _, clip, _ = shell.bank.played[0]
        assert len(shell.bank.clips[clip]) == 256 * 20


async def test_text_over_the_limit_of_documents_is_not_read_to_its_end() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/page", reply("<p>No music here.</p>" * 20_000, kind="text/html"))

        told = await failure(shell, url)

        assert told.code == 13420
        assert "more than 65536 bytes" in told.message


HUGE_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\nContent-Length: 209715200\r\n\r\n"


async def two_hundred_megabytes(request: Request, writer: asyncio.StreamWriter) -> None:
    """Send as many bytes as announced, if the client reads them."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\nID3")
    for _ in range(3200):
        writer.write(bytes(65_536))
        await writer.drain()


@pytest.mark.parametrize(
    ("behaviour", "code"),
    [
        (reply("<html>Not here</html>", kind="text/html"), 12300),
        (reply('{"error": 1}', kind="application/json"), 12300),
        (reply("<html>Not here</html>", kind="audio/mpeg"), 13420),
        (reply("<Response/>", kind="text/xml"), 13420),
        (reply("<html>" * 20_000, kind="text/html"), 13420),
        (reply(b"", kind="audio/mpeg"), 11770),
        (raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 11770),
        (reply(b"no sound at all", kind="audio/mpeg"), 13420),
        (reply(b"RIFF\x00\x00\x00\x00WAVE" + b"x" * 100, kind="audio/wav"), 13420),
        (reply(MP3[:3], kind="audio/mpeg"), 13420),
        (raw(answer(MP3, kind="audio/mpeg")[:-2000]), 11206),
        (reply(b"gone", status=404), 11200),
        (reply(b"broken", status=500), 11200),
        (raw(HUGE_HEAD), 13420),
        (two_hundred_megabytes, 13420),
        (endless, 13420),
        (endless_chunks, 13420),
        (nothing, 11200),
        (drip, 11203),
        (reset, 11206),
        (to("http://169.254.169.254/music.mp3"), 11205),
        (to("file:///etc/passwd"), 11100),
        (to("/music"), 11215),
    ],
)
async def test_an_unplayable_file_is_reported_with_twilios_code(behaviour: Behaviour, code: int) -> None:
    async with WebServer() as server, open_shell() as shell:
        assert (await failure(shell, server.on("/music", behaviour))).code == code

        shell.library.carry_out(PlaySound(token=token(BOB), source="builtin:hold"))
        assert shell.bank.played[-1][0] == BOB


async def test_a_sound_over_forty_minutes() -> None:
    silence = file_of(tone(rate=8000, seconds=3, level=0), rate=8000, kind="FLAC")
    async with WebServer() as server, open_shell(decoder=Decoder(max_duration_s=2)) as shell:
        told = await failure(shell, server.on("/long", reply(silence, kind="audio/flac")))

        assert told.code == 13420
        assert "longer than" in told.message


async def test_all_legs_that_wait_share_one_download_and_one_decoding() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(MP3, kind="audio/mpeg"))
        tokens = [token(ALICE), token(BOB)]
        for one in tokens:
            shell.library.carry_out(PlaySound(token=one, source=url))
        await shell.bank.plays(2)

        assert len(server.requests) == 1
        assert {played[1] for played in shell.bank.played} == set(tokens)
        assert len({played[2] for played in shell.bank.played}) == 1


async def test_the_same_bytes_at_another_url_are_not_decoded_again() -> None:
    async with WebServer() as server, open_shell() as shell:
        for number, path in enumerate(("/a", "/b")):
            shell.library.carry_out(
                PlaySound(token=token(ALICE, number), source=server.on(path, reply(WAV, kind="audio/wav")))
            )
            await shell.bank.plays(number + 1)

        assert shell.bank.played[0][2] == shell.bank.played[1][2]
        assert len([clip for clip in shell.bank.puts if clip.startswith("sound-")]) == 1


# --- the newest request -------------------------------------------------------------------------------------


async def test_a_sound_stopped_while_it_is_fetched_is_not_played() -> None:
    async with WebServer() as server:
        async with open_shell() as shell:
            url = server.on("/music", reply(WAV, kind="audio/wav"))
            shell.library.carry_out(PlaySound(token=token(ALICE), source=url))
            shell.library.carry_out(StopSound(token=token(ALICE)))
            await shell.sees("sound")
        assert shell.bank.played == []
        assert shell.told == []
        assert shell.bank.stopped == [token(ALICE)]


async def test_an_older_sound_that_is_still_loading_does_not_replace_a_newer_one() -> None:
    async with WebServer() as server:
        async with open_shell() as shell:
            url = server.on("/music", reply(WAV, kind="audio/wav"))
            shell.library.carry_out(PlaySound(token=token(ALICE, 1), source=url))
            shell.library.carry_out(PlaySound(token=token(ALICE, 2), source="builtin:hold"))
            await shell.sees("sound")
        assert [played[1] for played in shell.bank.played] == [token(ALICE, 2)]


async def test_music_while_loading_ends_when_the_sound_is_ready() -> None:
    async with WebServer() as server:
        async with open_shell() as shell:
            url = server.on("/music", reply(WAV, kind="audio/wav"))
            own, music = token(ALICE, 1), token(ALICE, 2)
            shell.library.carry_out(PlaySound(token=own, source=url))
            shell.library.carry_out(PlaySound(token=music, source="builtin:hold", while_loading=own))
            await shell.sees("sound")
            await shell.bank.plays(2)
            shell.library.carry_out(PlaySound(token=music, source="builtin:hold", while_loading=own))
        assert [played[1] for played in shell.bank.played] == [music, own]


async def test_an_ended_call_hears_nothing_more() -> None:
    async with WebServer() as server:
        async with open_shell() as shell:
            url = server.on("/music", reply(status=404))
            shell.library.carry_out(PlaySound(token=token(ALICE), source=url))
            shell.library.forget(ALICE)
            await shell.sees("sound")
        assert shell.bank.played == []
        assert shell.told == []


# --- the cache ----------------------------------------------------------------------------------------------


def play(shell: Shell, url: str, number: int) -> bool:
    """Request a sound, and return whether it was played at once."""
    before = len(shell.bank.played)
    shell.library.carry_out(PlaySound(token=token(ALICE, number), source=url))
    return len(shell.bank.played) > before


async def test_a_fresh_sound_is_played_at_once_without_a_request() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav", headers={"Cache-Control": "max-age=60"}))
        await shell.preload(url)
        shell.time += 59

        assert play(shell, url, 1)
        await asyncio.sleep(0.05)
        assert len(server.requests) == 1


async def test_a_stale_sound_is_played_at_once_and_revalidated() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav", headers={"ETag": '"1"', "Last-Modified": "Tue"}))
        first = await shell.preload(url)
        server.on("/music", reply(status=304, kind=None, headers={"ETag": '"1"'}))
        shell.time += 60

        assert play(shell, url, 1)
        seen = await shell.sees("sound", 2)
        assert seen[1].status == 304
        assert server.requests[1].headers["if-none-match"] == '"1"'
        assert server.requests[1].headers["if-modified-since"] == "Tue"
        assert shell.bank.played[0][2] == first


async def test_a_stale_sound_is_not_revalidated_at_every_use() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav"))
        await shell.preload(url)
        for number in range(5):
            assert play(shell, url, number)
        shell.time += 31
        assert play(shell, url, 9)
        await shell.sees("sound", 2)

        assert len(server.requests) == 2


async def test_a_changed_sound_is_heard_from_the_next_use_on() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav", headers={"ETag": '"1"'}))
        old = await shell.preload(url)
        server.on("/music", reply(OTHER_WAV, kind="audio/wav", headers={"ETag": '"2"'}))
        shell.time += 60

        assert play(shell, url, 1)
        await shell.sees("sound", 2)
        assert play(shell, url, 2)
        clips = [played[2] for played in shell.bank.played]
        assert clips[0] == old
        assert clips[1] != old


@pytest.mark.parametrize("policy", ["no-cache", "max-age=1, must-revalidate"])
async def test_a_server_may_forbid_playing_before_revalidation(policy: str) -> None:
    async with WebServer() as server, open_shell() as shell:
        headers = {"ETag": '"1"', "Cache-Control": policy}
        url = server.on("/music", reply(WAV, kind="audio/wav", headers=headers))
        await shell.preload(url)
        server.on("/music", reply(status=304, kind=None, headers=headers))
        shell.time += 60

        assert not play(shell, url, 1)
        await shell.bank.plays()
        assert len(server.requests) == 2


async def test_a_sound_that_may_not_be_cached_is_requested_each_time() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav", headers={"Cache-Control": "no-store", "ETag": "1"}))
        for number in (1, 2):
            assert not play(shell, url, number)
            await shell.bank.plays(number)

        assert len(server.requests) == 2
        assert "if-none-match" not in server.requests[1].headers


@pytest.mark.parametrize("behaviour", [reply(status=500), reply("<html>", kind="text/html"), nothing])
async def test_the_last_good_copy_outlives_a_server_that_fails(behaviour: Behaviour) -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav"))
        await shell.preload(url)
        server.on("/music", behaviour)
        shell.time += 60
        assert play(shell, url, 1)
        await shell.sees("sound", 2)

        assert play(shell, url, 2)
        assert shell.told == []


async def test_a_withdrawn_sound_is_not_played_again() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav"))
        await shell.preload(url)
        server.on("/music", reply(status=410))
        shell.time += 60
        assert play(shell, url, 1)
        await shell.sees("sound", 2)

        assert not play(shell, url, 2)
        fact = await shell.fact()
        assert isinstance(fact, SoundFailed)
        assert fact.code == 11200


async def test_a_sound_is_dropped_for_newer_ones_but_not_while_it_plays() -> None:
    async with WebServer() as server, open_shell(budget_bytes=1) as shell:
        kept = {"Cache-Control": "max-age=60"}
        first = server.on("/1", reply(WAV, kind="audio/wav", headers=kept))
        second = server.on("/2", reply(OTHER_WAV, kind="audio/wav", headers=kept))
        shell.library.carry_out(PlaySound(token=token(ALICE), source=first))
        await shell.bank.plays()
        await shell.preload(second)
        assert shell.library.has_clip(shell.bank.played[0][2])

        shell.library.playback_ended(token(ALICE))
        shell.library.playback_ended(Token(f"{BOB}/unknown"))
        await shell.preload(server.on("/3", reply(MP3, kind="audio/mpeg")))
        assert not shell.library.has_clip(shell.bank.played[0][2])
        assert not play(shell, first, 2)
        await shell.bank.plays(2)
        assert len(server.asked("/1")) == 2


# --- the media process --------------------------------------------------------------------------------------


async def test_a_new_media_process_gets_the_built_in_sounds_and_others_when_needed() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav", headers={"Cache-Control": "max-age=60"}))
        clip = await shell.preload(url)
        shell.bank.clips.clear()
        await shell.library.media_restarted()
        assert set(shell.bank.clips) == {f"builtin:{name}" for name in ("music", "hold", "ringback", "beep")}

        assert not play(shell, url, 1)
        await shell.bank.plays()
        assert clip in shell.bank.clips
        assert len(server.requests) == 1


async def test_a_clip_that_the_media_process_dropped_is_sent_again_and_played() -> None:
    async with open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source="builtin:hold", rounds=5))
        del shell.bank.clips["builtin:hold"]
        shell.library.playback_refused([ALICE, BOB])
        await shell.bank.plays(2)

        assert shell.bank.played[0] == shell.bank.played[1] == (ALICE, token(ALICE), "builtin:hold", 5)
        assert "builtin:hold" in shell.bank.clips


async def test_a_refusal_of_another_command_plays_nothing_again() -> None:
    async with open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source="builtin:hold"))
        shell.library.playback_refused([ALICE])
    assert len(shell.bank.played) == 1


async def test_a_missing_media_process_is_an_internal_failure() -> None:
    async with WebServer() as server, open_shell() as shell:
        url = server.on("/music", reply(WAV, kind="audio/wav"))
        shell.bank.away = True

        assert (await failure(shell, url)).code == 12400
        assert (await failure(shell, "digits:1")).code == 12400
        shell.library.carry_out(PlaySound(token=token(ALICE), source="builtin:hold"))
        shell.library.playback_refused([ALICE])
        fact = await shell.fact()
        assert isinstance(fact, SoundFailed)
        assert fact.code == 12400


# --- configuration ------------------------------------------------------------------------------------------


async def test_a_loaded_sound_can_be_played_by_its_clip() -> None:
    async with WebServer() as server, open_shell() as shell:
        clip = await shell.preload(server.on("/music", reply(MP3, kind="audio/mpeg")))

        samples = decode(shell.bank.clips[clip]) / 32768
        assert len(samples) / 8000 == pytest.approx(1.0, abs=0.1)
        assert 20 * np.log10(np.sqrt(np.mean(np.square(samples)))) == pytest.approx(-14, abs=1)
        assert shell.library.has_clip(clip)
        shell.library.carry_out(PlaySound(token=token(ALICE), source=f"clip:{clip}"))
        assert shell.bank.played[0][2] == clip
        shell.bank.played.clear()
        assert "404" in (await failure(shell, server.url("/gone"))).message


# --- the decoding process -----------------------------------------------------------------------------------


async def test_a_file_that_takes_too_long_costs_the_process_and_nothing_else() -> None:
    stuck = (sys.executable, "-c", "import time; time.sleep(60)")
    decoder = Decoder(timeout_s=0.3, command=stuck)
    async with WebServer() as server, open_shell(decoder=decoder) as shell:
        told = await failure(shell, server.on("/music", reply(MP3, kind="audio/mpeg")))

        assert told.code == 13420
        assert "longer than 0.3 s" in told.message


@pytest.mark.parametrize(
    "program",
    [
        "import os, sys; sys.stdin.buffer.readline(); os.kill(os.getpid(), 11)",
        "import sys; sys.stdin.buffer.readline(); print('nonsense', flush=True)",
        "import sys; sys.stdin.buffer.readline(); print('{}', flush=True)",
        "import sys; sys.stdin.buffer.readline(); print('x' * 100_000, flush=True)",
        """import sys; sys.stdin.buffer.readline(); print('{"size": 1000000000, "level_db": -1.0, "peak_db": -1.0}')""",
        "raise SystemExit",
    ],
)
async def test_a_file_that_crashes_the_decoder_costs_the_process_and_nothing_else(program: str) -> None:
    decoder = Decoder(command=(sys.executable, "-c", program))
    async with WebServer() as server, open_shell(decoder=decoder) as shell:
        assert (await failure(shell, server.on("/music", reply(MP3, kind="audio/mpeg")))).code == 13420
        assert (await failure(shell, server.on("/again", reply(WAV, kind="audio/wav")))).code == 13420


async def test_the_decoding_process_is_confined() -> None:
    decoder = Decoder()
    try:
        await decoder.decode(WAV, "wav")
        assert decoder._process is not None
        lines = Path(f"/proc/{decoder._process.pid}/limits").read_text().splitlines()
    finally:
        await decoder.close()

    soft = {line[:26].strip(): line[26:47].strip() for line in lines}
    assert (soft["Max file size"], soft["Max open files"], soft["Max core file size"]) == ("0", "3", "0")
    assert int(soft["Max address space"]) < 4_000_000_000
    assert 20 <= int(soft["Max cpu time"]) <= 30


async def test_a_decoder_that_died_is_started_again() -> None:
    decoder = Decoder()
    try:
        await decoder.start()
        first = await decoder.decode(WAV, "wav")
        process = decoder._process
        assert process is not None
        process.kill()
        await process.wait()

        assert await decoder.decode(WAV, "wav") == first
    finally:
        await decoder.close()


async def test_a_cancelled_decoding_leaves_no_partial_reply() -> None:
    long = file_of(tone(seconds=20), rate=44_100, kind="FLAC")
    decoder = Decoder()
    try:
        await decoder.start()
        given_up = asyncio.create_task(decoder.decode(long, "flac"))
        await asyncio.sleep(0.02)
        given_up.cancel()
        with pytest.raises(asyncio.CancelledError):
            await given_up

        assert (await decoder.decode(WAV, "wav")).seconds == pytest.approx(0.5, abs=0.01)
    finally:
        await decoder.close()
