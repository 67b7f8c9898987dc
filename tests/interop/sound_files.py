"""Make odd sound files: two seconds of 1 kHz in every format, depth, rate and length that ffmpeg and sox can write.

Then some of them are cut off, damaged, put behind something else, or have their header say another length.
"""

from __future__ import annotations

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.interop.programs import program

TONE = "aevalsrc=0.3*sin(2*PI*1000*t):s={rate}:d=2"
PAGE = b"<br />\n<b>Warning</b>: include(x.php): failed to open stream in music.php on line 3<br />\n"
TAG = b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0"
JUNK = random.Random(5).randbytes(70_000)

BY_FFMPEG = {
    "a.mp3": "44100 -write_id3v2 0",
    "8 kHz.mp3": "8000 -write_id3v2 0",
    "11025 Hz.mp3": "11025",
    "24 kHz, variable.mp3": "24000 -q:a 2",
    "without Xing.mp3": "44100 -write_xing 0 -id3v2_version 0",
    "8 kbit.mp3": "16000 -b:a 8k",
    "320 kbit.mp3": "48000 -b:a 320k",
    "stereo.mp3": "44100 -ac 2 -joint_stereo 1",
    "tag of version 2.3.mp3": "44100 -id3v2_version 3 -metadata title=Music -write_id3v1 1",
    "layer 2.mp2": "44100 -c:a mp2",
    "layer 2.mp3": "44100 -c:a mp2 -f mp2",
    "a.aac": "44100 -c:a aac",
    "a.m4a": "44100 -c:a aac",
    "moov first.m4a": "44100 -c:a aac -movflags +faststart",
    "fragments.mp4": "44100 -c:a aac -movflags +frag_keyframe+empty_moov",
    "alac.m4a": "44100 -c:a alac",
    "mp3 in mp4.mp4": "44100 -c:a libmp3lame",
    "a.mov": "44100 -c:a pcm_s24le",
    "ima.mov": "44100 -c:a adpcm_ima_qt",
    "a.opus": "48000 -c:a libopus",
    "frames of 60 ms.opus": "48000 -c:a libopus -frame_duration 60",
    "a.ogg": "44100 -c:a libvorbis",
    "speex.ogg": "16000 -c:a libspeex",
    "flac.ogg": "44100 -c:a flac",
    "a.webm": "48000 -c:a libopus",
    "a.mka": "44100 -c:a flac",
    "a.flac": "44100",
    "24 bits, 96 kHz.flac": "96000 -sample_fmt s32",
    "a.wma": "44100 -c:a wmav2",
    "version 1.wma": "44100 -c:a wmav1",
    "a.ac3": "48000 -c:a ac3",
    "a.eac3": "48000 -c:a eac3",
    "a.dts": "48000 -c:a dca -strict -2",
    "a.wv": "44100 -c:a wavpack",
    "a.tta": "44100 -c:a tta",
    "a.ts": "44100 -c:a aac -f mpegts",
    "a.flv": "44100 -c:a libmp3lame",
    "a.avi": "44100 -c:a libmp3lame",
    "nellymoser.flv": "8000 -c:a nellymoser",
    "a.rm": "8000 -c:a real_144",
    "a.caf": "44100 -c:a pcm_f32be",
    "a.au": "44100 -c:a pcm_s16be",
    "a.aiff": "44100 -c:a pcm_s16be",
    "little endian.aiff": "44100 -c:a pcm_s16le -f aiff",
    "a.w64": "44100 -c:a pcm_s16le",
    "a.rf64": "44100 -c:a pcm_s16le -f wav -rf64 always",
    "8 bits.wav": "11025 -c:a pcm_u8",
    "24 bits.wav": "48000 -c:a pcm_s24le",
    "32 bits.wav": "48000 -c:a pcm_s32le",
    "64 bits.wav": "8000 -c:a pcm_s64le",
    "floats.wav": "48000 -c:a pcm_f32le",
    "long floats.wav": "48000 -c:a pcm_f64le",
    "mu-law.wav": "8000 -c:a pcm_mulaw",
    "A-law.wav": "8000 -c:a pcm_alaw",
    "gsm.wav": "8000 -c:a libgsm_ms",
    "microsoft.wav": "22050 -c:a adpcm_ms",
    "ima.wav": "22050 -c:a adpcm_ima_wav",
    "yamaha.wav": "22050 -c:a adpcm_yamaha",
    "swf.wav": "22050 -c:a adpcm_swf",
    "g726.wav": "8000 -c:a g726 -b:a 32k",
    "g722.wav": "16000 -c:a g722",
    "g723.wav": "8000 -c:a g723_1 -b:a 6.3k",
    "mp3.wav": "44100 -c:a libmp3lame",
    "7999 Hz.wav": "7999 -c:a pcm_s16le",
    "11127 Hz.wav": "11127 -c:a pcm_s16le",
    "192 kHz.wav": "192000 -c:a pcm_s24le",
    "six channels.wav": "44100 -af pan=5.1|c0=c0|c1=c0|c2=c0|c3=0*c0|c4=c0|c5=c0 -c:a pcm_s16le",
    "streamed.wav": "44100 -c:a pcm_s16le -f wav -seekable 0",
    "a.g722": "16000 -c:a g722",
    "a.gsm": "8000 -c:a libgsm",
}
"""Files that ffmpeg writes: the rate of the tone, and options."""

BY_SOX = {
    "12 bits.voc": "-b 8",
    "16 bits.voc": "-b 16",
    "a.wav": "-e gsm-full-rate",
    "a.vox": "-r 8000 -e oki-adpcm",
    "a.ul": "-r 8000 -e mu-law",
    "a.al": "-r 8000 -e a-law",
    "a.sln": "-r 8000",
    "a.sph": "-b 16",
    "a.8svx": "-b 8",
    "a.avr": "-b 16",
    "a.ircam": "-e floating-point",
    "a.sox": "-b 32",
    "a.snd": "-e a-law",
    "a.aifc": "-b 16",
    "a.wve": "-r 8000",
    "big endian.wav": "-B -b 16",
    "20 bits.wav": "-b 24",
    "a.maud": "-b 16",
    "a.sds": "-b 16",
    "a.htk": "-b 16",
    "a.paf": "-b 16",
    "a.pvf": "-b 16",
    "a.amr-nb": "-r 8000",
}
"""Files that sox writes, from WAV at 44.1 kHz."""


def put_length(*fields: int, value: bytes) -> Callable[[bytes], bytes]:
    """Return an alteration that writes another length into these fields of a header."""

    def alter(body: bytes) -> bytes:
        for field in fields:
            body = body[:field] + value + body[field + 4 :]
        return body

    return alter


def scratch(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + JUNK[:500] + body[middle + 500 :]


def data_field(body: bytes) -> int:
    return body.index(b"data") + 4


ALTERED: dict[str, tuple[str, Callable[[bytes], bytes]]] = {
    "after 4096 zeros.mp3": ("a.mp3", lambda body: bytes(4096) + body),
    "after 417 zeros.mp3": ("8 kHz.mp3", lambda body: bytes(417) + body),
    "after a line end.mp3": ("a.mp3", lambda body: b"\r\n" + body),
    "after a mark.mp3": ("a.mp3", lambda body: b"\xef\xbb\xbf" + body),
    "after junk.mp3": ("a.mp3", lambda body: JUNK[:2000] + body),
    "after much junk.mp3": ("8 kHz.mp3", lambda body: JUNK + body),
    "after a page.mp3": ("a.mp3", lambda body: PAGE * 30 + body),
    "after padding.mp3": ("a.mp3", lambda body: TAG + bytes(3000) + body),
    "after two tags.mp3": ("a.mp3", lambda body: TAG + TAG + body),
    "within a frame.mp3": ("without Xing.mp3", lambda body: body[700:]),
    "twice.mp3": ("a.mp3", lambda body: body + body),
    "two rates.mp3": ("without Xing.mp3", lambda body: body + body),
    "cut off.mp3": ("a.mp3", lambda body: body[: len(body) // 2]),
    "damaged.mp3": ("320 kbit.mp3", scratch),
    "mp3 called.wav": ("a.mp3", lambda body: body),
    "wav called.mp3": ("24 bits.wav", lambda body: body),
    "m4a called.mp3": ("a.m4a", lambda body: body),
    "without a name": ("a.mp3", lambda body: b"\r\n" + body),
    "length 0.wav": ("24 bits.wav", lambda body: put_length(4, data_field(body), value=bytes(4))(body)),
    "unknown length.wav": ("24 bits.wav", lambda body: put_length(4, data_field(body), value=b"\xff" * 4)(body)),
    "length 7fffffff.wav": (
        "24 bits.wav",
        lambda body: put_length(4, data_field(body), value=b"\xff\xff\xff\x7f")(body),
    ),
    "cut off.wav": ("floats.wav", lambda body: body[: len(body) // 2 + 1]),
    "cut off, ADPCM.wav": ("ima.wav", lambda body: body[: len(body) // 2 + 1]),
    "cut off, GSM.wav": ("gsm.wav", lambda body: body[: len(body) // 2 + 1]),
    "text behind.wav": ("mu-law.wav", lambda body: body + PAGE * 10),
    "unknown length.au": ("a.au", put_length(8, value=b"\xff" * 4)),
    "length 0.au": ("a.au", put_length(8, value=bytes(4))),
    "cut off.aiff": ("a.aiff", lambda body: body[: len(body) // 2 + 1]),
    "cut off.m4a": ("moov first.m4a", lambda body: body[: len(body) // 2]),
    "without moov.m4a": ("a.m4a", lambda body: body[: len(body) // 2]),
    "cut off.mp4": ("fragments.mp4", lambda body: body[: len(body) // 2]),
    "cut off.aac": ("a.aac", lambda body: body[100 : len(body) // 2]),
    "cut off.flac": ("a.flac", lambda body: body[: len(body) // 2]),
    "damaged.flac": ("a.flac", scratch),
    "cut off.opus": ("a.opus", lambda body: body[: len(body) // 2]),
    "twice.ogg": ("a.ogg", lambda body: body + body),
    "cut off.webm": ("a.webm", lambda body: body[: len(body) // 2]),
    "cut off.wma": ("a.wma", lambda body: body[: len(body) // 2]),
    "cut off.amr": ("a.amr-nb", lambda body: body[: len(body) // 2]),
    "cut off.ts": ("a.ts", lambda body: body[: len(body) // 2]),
    "cut off.caf": ("a.caf", lambda body: body[: len(body) // 2]),
}
"""Files that are made of others by hand: the other's name, and the alteration."""


def make_files(folder: Path) -> None:
    """Write every file into a folder."""
    for name, options in BY_FFMPEG.items():
        rate, *rest = options.split()
        run(
            "ffmpeg",
            "-v",
            "error",
            "-f",
            "lavfi",
            "-i",
            TONE.format(rate=rate),
            *rest,
            "-strict",
            "-2",
            str(folder / name),
        )
    source = folder / "source.wav"
    run("ffmpeg", "-v", "error", "-f", "lavfi", "-i", TONE.format(rate=44_100), str(source))
    for name, options in BY_SOX.items():
        run("sox", str(source), *options.split(), str(folder / name))
    for name, (other, alter) in ALTERED.items():
        (folder / name).write_bytes(alter((folder / other).read_bytes()))


def run(name: str, *arguments: str, check: bool = True) -> bytes:
    """Return what a program writes; without `check` also if it fails."""
    return subprocess.run([program(name), *arguments], check=check, capture_output=True, timeout=60).stdout
