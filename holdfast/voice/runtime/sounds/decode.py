"""Decode any sound file to telephone audio: one mono channel at 8 kHz, µ-law, with headroom.

This code runs in the decoding process only, because the files come from unknown web servers. FFmpeg's libraries read
them, so that a file is played here as it is in other players; only the formats and codecs listed here are opened.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import groupby

import av
import numpy as np
import soxr
from av import AudioFrame, AudioResampler, AudioStream, Packet
from av.container import InputContainer
from numpy.typing import NDArray

from holdfast.voice.runtime.http.content_sniffing import is_markup
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.sound import RATE_HZ, DecodedAudio, encode_samples

PEAK = 10 ** (-3 / 20)
"""The maximum peak, −3 dBFS. Louder audio is attenuated to it, because resampling and mixing would clip it."""
MAX_CHANNELS = 32
RATES_HZ = (1000, 768_000)

FORMATS = (
    *("aac", "ac3", "aiff", "amr", "amrnb", "amrwb", "ape", "asf", "au", "avi", "avr", "caf", "dsf", "dts", "eac3"),
    *("flac", "flv", "iff", "ircam", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts"),
    *("nistsphere", "ogg", "paf", "pvf", "qcp", "qoa", "rm", "sds", "shn", "sox", "tak", "truehd", "tta", "voc"),
    *("w64", "wav", "wv", "wve", "xwma"),
    *("g722", "gsm"),
)
"""The formats that are opened, by the names of libavformat: no playlist, no picture, no format that names others."""
CODECS = (
    *("8svx_exp", "8svx_fib", "aac", "aac_latm", "ac3", "adpcm_ima_oki", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"),
    *("adpcm_ct", "adpcm_sbpro_2", "adpcm_sbpro_3", "adpcm_sbpro_4", "adpcm_swf", "adpcm_yamaha", "alac", "amrnb"),
    *("amrwb", "ape", "cook", "dca", "dsd_lsbf", "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar", "eac3", "evrc"),
    *("flac", "g722", "g723_1", "g726", "g726le", "g729", "gsm", "gsm_ms", "ilbc", "mace3", "mace6", "mlp", "mp1float"),
    *("mp2float", "mp3float", "mp3adufloat", "mp3on4float", "mpc7", "mpc8", "nellymoser", "opus", "qcelp", "qdm2"),
    *("qoa", "real_144", "real_288", "shorten", "sipr", "speex", "tak", "truehd", "truespeech", "tta", "vorbis"),
    *("wavpack", "wmalossless", "wmapro", "wmav1", "wmav2", "wmavoice"),
    *(name for name in sorted(av.codecs_available) if name.startswith("pcm_")),
)
"""The decoders that are used, by the names of libavcodec."""
OPEN_OPTIONS = {
    "format_whitelist": ",".join(FORMATS),
    "codec_whitelist": ",".join(CODECS),
    "protocol_whitelist": "none",
}
WAVE_TAGS = {"ulaw": (7, 8), "alaw": (6, 8), "sln": (1, 16), "vox": (0x10, 4)}
"""Formats without a header, by file extension: the format tag of WAVE and the bits per sample at 8 kHz."""
FORCED = {"gsm": "gsm", "g722": "g722"}
"""Formats without a header that a WAVE file cannot carry, by file extension."""
SIGNATURES = (b"RIFF", b"RIFX", b"RF64", b"FORM", b"fLaC", b"OggS", b".snd", b"caff", b"ID3\x03", b"ID3\x04")
"""The first bytes of files that some servers send as a headerless format."""
NAMES = {"mov": "mp4", "matroska": "webm"}
"""The names that content types use for some formats of libavformat."""


def decode_audio(body: bytes, extension: str, *, max_duration_s: float) -> DecodedAudio:
    """Decode a file; a truncated or damaged file is decoded as far as possible.

    The file extension names a headerless format, and otherwise only decides in doubt.

    Units: `max_duration_s` seconds. Raises: SoundUnplayable.
    """
    raw = extension in (*WAVE_TAGS, *FORCED) and body[:4] not in SIGNATURES
    if raw and is_markup(body):
        raise SoundUnplayable("the file is a document, not a sound")
    if raw and extension in WAVE_TAGS:
        body = _wave_header(*WAVE_TAGS[extension]) + body
    if body[:4] == b"RIFX":
        body = _little_endian(body)
    elif body[:4] == b".snd" and body[8:12] == bytes(4):
        # The size 0 means for other players that the size is unknown.
        body = body[:8] + b"\xff\xff\xff\xff" + body[12:]
    try:
        with av.open(
            _SoundFile(body, extension),
            format=FORCED[extension] if raw and extension in FORCED else None,
            mode="r",
            metadata_errors="replace",
            container_options=OPEN_OPTIONS,
        ) as container:
            sound = _resample(_frames(container), max_duration_s)
            name = container.format.name.split(",")[0]
    except (av.error.FFmpegError, UnicodeError, ValueError) as error:
        raise SoundUnplayable(f"the file cannot be decoded: {_reason(error)}") from error
    if not len(sound):
        raise SoundUnplayable("the file contains no audio")
    peak = float(np.max(np.abs(sound)))
    encoded = encode_samples(sound * np.float32(PEAK / peak) if peak > PEAK else sound)
    return replace(encoded, format=extension if raw else NAMES.get(name, name))


class _SoundFile(io.BytesIO):
    """A file in memory has the name by whose extension libavformat decides in doubt: MP3 unless another is known."""

    def __init__(self, body: bytes, extension: str) -> None:
        super().__init__(body)
        self.name = f"sound.{extension or 'mp3'}"


def _wave_header(tag: int, bits: int) -> bytes:
    """Return the header of a WAVE file of unknown length, mono at 8 kHz."""
    block = max(1, bits // 8)
    layout = struct.pack("<HHIIHH", tag, 1, RATE_HZ, RATE_HZ * bits // 8, block, bits)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + layout + b"data\xff\xff\xff\xff"


def _little_endian(body: bytes) -> bytes:
    """Return a big-endian WAVE file in the usual byte order, which libavformat takes it for."""
    swapped, width, position = bytearray(body), 2, 12
    swapped[:8] = b"RIFF" + body[7:3:-1]
    while position + 8 <= len(body):
        name, start = body[position : position + 4], position + 8
        size = min(int.from_bytes(body[position + 4 : start], "big"), len(body) - start)
        swapped[position + 4 : start] = body[start - 1 : position + 3 : -1]
        if name == b"fmt " and size >= 16:
            layout = struct.unpack_from(">HHIIHH", body, start)
            struct.pack_into("<HHIIHH", swapped, start, *layout)
            width = max(1, layout[5] // 8)
        elif name == b"data":
            size -= size % width
            samples = np.frombuffer(body, np.uint8, size, start).reshape(-1, width)
            swapped[start : start + size] = samples[:, ::-1].tobytes()
        position = start + size + size % 2
    return bytes(swapped)


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Yield the frames of the best audio stream, and leave out packets that cannot be decoded.

    Raises: SoundUnplayable, if that is most of them; FFmpegError, if no packet can be read.
    """
    stream = container.streams.best("audio")
    if not isinstance(stream, AudioStream) or stream.codec_context.name not in CODECS:
        raise SoundUnplayable("the file contains no audio of a supported codec")
    stream.codec_context.thread_count = 1
    readable = unreadable = 0
    for packet in _packets(container, stream):
        try:
            frames = packet.decode()
        except av.error.FFmpegError:
            unreadable += 1
            continue
        readable += 1
        yield from frames
    if unreadable > readable:
        raise SoundUnplayable(f"{unreadable} of {readable + unreadable} parts of the file cannot be decoded")


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Yield the packets of a stream; a file that is damaged so that no packet follows ends there."""
    with suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _resample(frames: Iterator[AudioFrame], max_duration_s: float) -> NDArray[np.float32]:
    """Mix all channels and resample block by block, so that memory grows with the result only.

    Shape: (samples,), float32, −1 to 1. Raises: SoundUnplayable.
    """
    blocks: list[NDArray[np.float32]] = []
    samples = 0
    for rate, run in groupby(frames, lambda frame: frame.sample_rate):
        if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
            raise SoundUnplayable(f"a rate of {rate} Hz is not supported")
        resampler = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
        for mono in map(_mono, run):
            blocks.append(resampler.resample_chunk(mono))
            samples += len(blocks[-1])
            if samples > max_duration_s * RATE_HZ:
                raise SoundUnplayable(f"the sound is longer than {max_duration_s / 60:g} minutes")
        blocks.append(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    return np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)


def _mono(frame: AudioFrame) -> NDArray[np.float32]:
    """Return the mean of all channels of a frame; values that are no numbers are silence.

    Shape: (samples,), float32, −4 to 4.
    """
    channels = frame.layout.nb_channels
    if channels > MAX_CHANNELS:
        raise SoundUnplayable(f"{channels} channels are not supported")
    if frame.format.name.startswith("s64"):
        # PyAV makes no array of these.
        (frame,) = AudioResampler(format="dbl").resample(frame)
    values = frame.to_ndarray()
    mono: NDArray[np.float64] = (values if frame.format.is_planar else values.reshape(-1, channels).T).mean(
        axis=0, dtype=np.float64
    )
    if values.dtype.kind == "u":
        mono -= 128
    if values.dtype.kind != "f":
        mono /= 1 << (8 * values.dtype.itemsize - 1)
    finite: NDArray[np.float64] = np.nan_to_num(mono, posinf=1.0, neginf=-1.0)
    return np.clip(finite, -4.0, 4.0).astype(np.float32)


def _reason(error: Exception) -> str:
    """Return the text of an error without the name of our buffer."""
    return error.strerror if isinstance(error, av.error.FFmpegError) and error.strerror else str(error)[:120]
