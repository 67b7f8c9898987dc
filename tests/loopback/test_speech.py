"""`<Say>` with the real speech process, the sound cache, and a phone that hears it."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from holdfast.testing.file_server import FileServer
from holdfast.testing.phone import Phone
from holdfast.testing.server import Server
from holdfast.voice.media.codec.g711 import decode
from holdfast.voice.model.effects import PlaySound
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.sound import DecodedAudio
from holdfast.voice.runtime.sounds.tts_client import Espeak, SpeechEngine, Utterance
from tests.loopback.shared_server import answers
from tests.loopback.web_stack import ALICE, BOB, open_shell, token

pytestmark = pytest.mark.anyio

HELLO = "say:en-US:woman:Hello, you are on hold."


def text(marked: str, *, language: str = "en-US", gender: str = "man") -> Utterance:
    return Utterance(language=language, gender=gender, ssml=marked)


async def said(speech: SpeechEngine, *utterances: Utterance) -> list[DecodedAudio]:
    try:
        return [await speech.speak(each) for each in utterances]
    finally:
        await speech.close()


async def test_texts_are_spoken_by_the_requested_voice() -> None:
    man, woman, french = await said(
        Espeak(),
        text("Please hold the line"),
        text("Please hold the line", gender="woman"),
        text("Ne quittez pas", language="fr-FR"),
    )
    for sound in (man, woman, french):
        assert 0.7 < sound.seconds < 5
        assert -30 < sound.level_db < -15
        assert sound.peak_db < -2.9
    assert man.audio != woman.audio


async def test_ssml_is_applied() -> None:
    plain, broken, again = await said(
        Espeak(), text("one two"), text('one <break time="3s"></break> two'), text("one &amp; two")
    )
    assert broken.seconds > plain.seconds + 2
    assert again.seconds > plain.seconds


@pytest.mark.parametrize("language", ["xx-YY", "tlh"])
async def test_a_language_without_a_voice_is_an_error(language: str) -> None:
    with pytest.raises(SoundUnplayable, match=language):
        await said(Espeak(), text("x", language=language))


@pytest.mark.parametrize(
    "marked", ["", " ", "</speak><speak>", "<" * 500, "&bogus;", "\x00\x01", "😀" * 300, "a" * 20_000, "<p>" * 3000]
)
async def test_after_any_text_the_next_one_is_spoken(marked: str) -> None:
    speech = Espeak()
    try:
        sound = await speech.speak(text(marked))
        assert sound.seconds <= 601
    except SoundUnplayable:
        pass
    (after,) = await said(speech, text("still here"))
    assert after.seconds > 0.5


async def test_a_speech_engine_that_died_is_started_again() -> None:
    dying = Espeak(command=(sys.executable, "-c", "import sys; sys.stdin.readline(); sys.exit(3)"))
    for _ in range(2):
        with pytest.raises(SoundUnplayable):
            await dying.speak(text("x"))
    await dying.close()


async def test_a_text_is_spoken_once_and_played_to_all_legs() -> None:
    async with open_shell(speech=Espeak()) as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source=HELLO))
        await shell.bank.plays()
        shell.library.carry_out(PlaySound(token=token(BOB), source=HELLO, rounds=2))
        (first, second) = shell.bank.played
        assert first[2] == second[2], "at once, without a second process of it"
        loud = np.abs(decode(shell.bank.clips[first[2]]).astype(int))
        assert loud.max() > 3000
        assert list(shell.codes()) == []


async def test_without_a_speech_engine_a_text_is_a_warning_and_a_pause() -> None:
    async with open_shell() as shell:
        shell.library.carry_out(PlaySound(token=token(ALICE), source=HELLO))
        await shell.bank.plays()
        ((_, _, clip, _),) = shell.bank.played
        assert set(shell.bank.clips[clip]) == {0xFF}
        assert len(shell.bank.clips[clip]) / 8000 == pytest.approx(23 / 15, abs=0.2)
        assert list(shell.codes()) == [13520]
        assert "holdfast[speech]" in shell.notices[0].message


async def test_a_phone_hears_the_spoken_text_and_then_the_next_verb(server: Server) -> None:
    document = (
        '<?xml version="1.0" encoding="UTF-8"?><Response><Say voice="Polly.Amy">Welcome.</Say>'
        "<Play>{music}</Play><Say>Good bye, and thank you.</Say></Response>"
    )
    said = len(server.log())
    with FileServer() as files:
        await answers(server, "+15550100", files.put("voice.xml", document.format(music="builtin:beep")))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call("+15550100")
            await call.answered()
            await call.over()
            payloads = b"".join(packet.payload for packet in alice.ear.packets())
            loud = np.abs(decode(payloads).astype(int)).reshape(-1, 160).max(axis=1) > 1500
            # About half a second of the one, and more than one of the other.
            assert loud.sum() * 0.02 > 1.2
            assert "13520" not in server.log()[said:]


@pytest.mark.parametrize("page", ["the first", "a later"])
async def test_a_phone_hears_that_the_application_failed(server: Server, page: str) -> None:
    with FileServer() as files:
        missing = files.url("missing.xml")
        redirect = f"<Response><Play>builtin:beep</Play><Redirect>{missing}</Redirect></Response>"
        await answers(server, "+15550100", missing if page == "the first" else files.put("voice.xml", redirect))
        async with Phone("alice", server=server.sip) as alice:
            call = await alice.call("+15550100")
            await call.answered()
            await call.over()
            payloads = b"".join(packet.payload for packet in alice.ear.packets())
            loud = np.abs(decode(payloads).astype(int)).reshape(-1, 160).max(axis=1) > 1500
            assert loud.sum() * 0.02 > 2.0
