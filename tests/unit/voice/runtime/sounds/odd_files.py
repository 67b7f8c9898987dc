"""Sound files as web servers really send them: one second of 1 kHz in each, made without another program."""

from __future__ import annotations

import random
import struct

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec import g711
from tests.unit.voice.runtime.sounds.files import file_of, tone

UNKNOWN = 0xFFFFFFFF
MP3 = file_of(tone(), rate=44_100, kind="MP3")
MP3_8K = file_of(tone(rate=8000), rate=8000, kind="MP3")
TAG = b"ID3\x04\0\0\0\0\0\x0aTIT2\0\0\0\0\0\0"
PAGE = b"<br />\n<b>Warning</b>: include(x.php): failed to open stream in music.php on line 3<br />\n"
JUNK = random.Random(5).randbytes(70_000)
SAMPLES = tone(rate=8000)
PCM_16 = (SAMPLES * 32767).astype("<i2").tobytes()


def wav(
    data: bytes,
    *,
    tag: int = 1,
    bits: int = 16,
    rate: int = 8000,
    size: int | None = None,
    riff: bytes = b"RIFF",
    before: bytes = b"",
    after: bytes = b"",
    extension: bytes = b"",
) -> bytes:
    """Return a mono WAVE file whose size fields say `size`, whatever the length of its data is."""
    order = ">" if riff == b"RIFX" else "<"
    block = (bits + 7) // 8
    layout = struct.pack(f"{order}HHIIHH", tag, 1, rate, rate * block, block, bits) + extension
    chunks = b"fmt " + struct.pack(f"{order}I", len(layout)) + layout + before + b"data"
    size = len(data) if size is None else size
    whole = min(UNKNOWN, size + len(chunks) + 8) if size else 0
    return riff + struct.pack(f"{order}I", whole) + b"WAVE" + chunks + struct.pack(f"{order}I", size) + data + after


def extensible(bits: int, valid: int) -> bytes:
    """Return the extension of a format that says how many bits of each sample are valid."""
    guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
    return struct.pack("<HHI", 22, valid, 4) + guid


def integers(samples: NDArray[np.float64], *, size: int, valid: int) -> bytes:
    """Return little-endian samples of `size` bytes, of which the upper `valid` bits are used."""
    scaled = (samples * (2.0 ** (8 * size - 1) - 1)).astype(np.int64) >> (8 * size - valid) << (8 * size - valid)
    return scaled.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :size].tobytes()


def au(*, size: int, data: bytes = PCM_16) -> bytes:
    """Return an AU file whose header says this size."""
    return b".snd" + struct.pack(">IIIII", 24, size, 3, 8000, 1) + np.frombuffer(data, "<i2").astype(">i2").tobytes()


def flac_of_unknown_length() -> bytes:
    """Return a FLAC file whose header does not say how many samples follow, as a stream is written."""
    body = bytearray(file_of(SAMPLES, rate=8000, kind="FLAC"))
    body[21] &= 0xF0
    body[22:26] = bytes(4)
    return bytes(body)


def scratched(body: bytes) -> bytes:
    """Return the file with 500 damaged bytes in its middle."""
    middle = len(body) // 2
    return body[:middle] + JUNK[:500] + body[middle + 500 :]


def written(kind: str, subtype: str, rate: int = 8000) -> bytes:
    return file_of(tone(rate=rate), rate=rate, kind=kind, subtype=subtype)


def oki_adpcm(samples: NDArray[np.float64]) -> bytes:
    """Return Dialogic ADPCM, as `.vox` files have it. Source: Dialogic, application note 1366."""
    steps = [int(16 * 1.1**step) for step in range(49)]
    codes, predicted, index = [], 0, 0
    for sample in (samples * 2047).astype(int).tolist():
        step, difference = steps[index], sample - predicted
        magnitude = min(7, abs(difference) * 4 // step)
        change = (2 * magnitude + 1) * step // 8
        predicted = max(-2048, min(2047, predicted - change if difference < 0 else predicted + change))
        index = max(0, min(48, index + (-1, -1, -1, -1, 2, 4, 6, 8)[magnitude]))
        codes.append(magnitude | (8 if difference < 0 else 0))
    return bytes(high << 4 | low for high, low in zip(codes[::2], codes[1::2], strict=True))


ODD_FILES: dict[str, tuple[bytes, str]] = {
    # MP3 whose first frame is not the first byte.
    "mp3 after 4096 zeros": (bytes(4096) + MP3, "mp3"),
    "mp3 after 417 zeros": (bytes(417) + MP3, "mp3"),
    "mp3 after a megabyte of zeros": (bytes(1_000_000) + MP3, "mp3"),
    "mp3 after a line end": (b"\r\n" + MP3, "mp3"),
    "mp3 after a byte order mark": (b"\xef\xbb\xbf" + MP3, "mp3"),
    "mp3 after junk": (JUNK[:2000] + MP3, "mp3"),
    "mp3 after much junk, at 8 kHz": (JUNK + MP3_8K, "mp3"),
    "mp3 after much junk, without a name": (JUNK + MP3_8K, ""),
    "mp3 after a warning of a web script": (PAGE * 20 + MP3, "mp3"),
    "mp3 after a tag and padding": (TAG + bytes(3000) + MP3, "mp3"),
    "mp3 after two tags": (TAG + TAG + MP3, "mp3"),
    "mp3 after a tag of unknown version": (b"ID3\x09" + TAG[4:] + MP3, "mp3"),
    "mp3 after a tag that says it is longer": (b"ID3\x04\0\0\0\0\0\x7f" + TAG[10:] + MP3, "mp3"),
    "mp3 before a tag of version 1": (MP3 + b"TAG" + bytes(125), "mp3"),
    "mp3 before a page": (MP3 + PAGE * 20, "mp3"),
    "mp3 that begins within a frame": (file_of(tone(seconds=1.1), rate=44_100, kind="MP3")[700:], "mp3"),
    "mp3 that is cut off": (file_of(tone(seconds=2.0), rate=44_100, kind="MP3")[: len(MP3)], "mp3"),
    "mp3 that is damaged": (scratched(file_of(tone(seconds=1.1), rate=44_100, kind="MP3")), "mp3"),
    "mp3 called wav": (MP3, "wav"),
    "mp3 in a wav": (
        wav(MP3, tag=0x55, bits=0, rate=44_100, extension=struct.pack("<HHIHHH", 12, 1, 2, 417, 1, 0)),
        "wav",
    ),
    # WAVE with lengths, chunks, depths and rates that few write.
    "wav of length 0": (wav(PCM_16, size=0), "wav"),
    "wav of unknown length": (wav(PCM_16, size=UNKNOWN), "wav"),
    "wav of length 0x7fffffff": (wav(PCM_16, size=0x7FFFFFFF), "wav"),
    "wav longer than its file": (wav(PCM_16, size=10 * len(PCM_16)), "wav"),
    "wav with half a sample at its end": (wav(PCM_16 + b"\0"), "wav"),
    "wav with a list before its data": (wav(PCM_16, before=b"LIST\x04\0\0\0INFO"), "wav"),
    "wav with an odd chunk": (wav(PCM_16, before=b"junk\x03\0\0\0abc\0"), "wav"),
    "wav with text after it": (wav(PCM_16, after=PAGE * 20), "wav"),
    "wav called mp3": (wav(PCM_16), "mp3"),
    "wav called ulaw": (wav(PCM_16), "ulaw"),
    "wav without a name": (wav(PCM_16), ""),
    "wav of 8 bits": (wav((SAMPLES * 127 + 128).astype(np.uint8).tobytes(), bits=8), "wav"),
    "wav of 12 bits in 16": (
        wav(integers(SAMPLES, size=2, valid=12), tag=0xFFFE, extension=extensible(16, 12)),
        "wav",
    ),
    "wav of 20 bits in 24": (
        wav(integers(SAMPLES, size=3, valid=20), tag=0xFFFE, bits=24, extension=extensible(24, 20)),
        "wav",
    ),
    "wav of 24 bits": (wav(integers(SAMPLES, size=3, valid=24), bits=24), "wav"),
    "wav of 32 bits": (wav(integers(SAMPLES, size=4, valid=32), bits=32), "wav"),
    "wav of 64 bits": (wav(integers(SAMPLES, size=8, valid=50), bits=64), "wav"),
    "wav of floats": (wav(SAMPLES.astype("<f4").tobytes(), tag=3, bits=32), "wav"),
    "wav of long floats": (wav(SAMPLES.astype("<f8").tobytes(), tag=3, bits=64), "wav"),
    "wav at 7999 Hz": (wav((tone(rate=7999) * 32767).astype("<i2").tobytes(), rate=7999), "wav"),
    "wav at 11127 Hz": (wav((tone(rate=11_127) * 32767).astype("<i2").tobytes(), rate=11_127), "wav"),
    "wav at 192 kHz": (wav((tone(rate=192_000) * 32767).astype("<i2").tobytes(), rate=192_000), "wav"),
    "wav of the other byte order": (wav(np.frombuffer(PCM_16, "<i2").astype(">i2").tobytes(), riff=b"RIFX"), "wav"),
    "wav of IMA ADPCM": (written("WAV", "IMA_ADPCM"), "wav"),
    "wav of Microsoft ADPCM": (written("WAV", "MS_ADPCM"), "wav"),
    "rf64": (written("RF64", "PCM_16"), "wav"),
    "w64": (written("W64", "PCM_24"), "wav"),
    # Others.
    "au of unknown length": (au(size=UNKNOWN), ""),
    "au of length 0": (au(size=0), "au"),
    "htk": (written("HTK", "PCM_16"), "htk"),
    "paf": (written("PAF", "PCM_16"), "paf"),
    "aiff of floats": (written("AIFF", "FLOAT"), "aiff"),
    "aiff of µ-law": (written("AIFF", "ULAW"), "aiff"),
    "aiff of 24 bits, cut off": (
        file_of(tone(rate=8000, seconds=2), rate=8000, kind="AIFF", subtype="PCM_24")[:24_100],
        "",
    ),
    "caf": (written("CAF", "PCM_16"), "caf"),
    "caf of ALAC": (written("CAF", "ALAC_16"), "caf"),
    "voc": (written("VOC", "PCM_16"), "voc"),
    "nist sphere": (written("NIST", "PCM_16"), "sph"),
    "ircam": (written("IRCAM", "PCM_16"), "sf"),
    "avr": (written("AVR", "PCM_16"), "avr"),
    "8svx": (written("SVX", "PCM_16"), "8svx"),
    "flac of unknown length": (flac_of_unknown_length(), "flac"),
    "flac of 24 bits at 96 kHz": (written("FLAC", "PCM_24", 96_000), "flac"),
    "flac after a tag": (TAG + written("FLAC", "PCM_16"), "flac"),
    "flac that is damaged": (scratched(file_of(tone(rate=8000, seconds=1.5), rate=8000, kind="FLAC")), "flac"),
    "ogg that is cut off": (
        file_of(tone(rate=48_000, seconds=3), rate=48_000, kind="OGG", subtype="OPUS")[:12_000],
        "ogg",
    ),
    "opus called mp3": (written("OGG", "OPUS", 48_000), "mp3"),
    "µ-law": (g711.encode(np.frombuffer(PCM_16, np.int16), g711.ULAW), "ulaw"),
    "A-law": (g711.encode(np.frombuffer(PCM_16, np.int16), g711.ALAW), "alaw"),
    "signed linear": (PCM_16, "sln"),
    "vox": (oki_adpcm(SAMPLES), "vox"),
}
"""Files by what is odd in them, each with the extension that its content type or URL gives."""
