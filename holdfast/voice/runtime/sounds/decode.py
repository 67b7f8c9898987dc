"""Decode any sound file to telephone audio: one mono channel at 8 kHz, µ-law, with headroom.

This code runs in the decoding process only, because the files come from unknown web servers. FFmpeg's libraries read
them, so that a file is played here as it is in other players; only the formats and codecs listed here are opened.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import groupby, repeat, starmap, takewhile
from operator import itemgetter
from typing import Any

import av
import numpy as np
import soundfile
import soxr
from av import AudioCodecContext, AudioFrame, AudioResampler, AudioStream, Packet
from av.container import InputContainer
from numpy.typing import NDArray

from holdfast.voice.runtime.http.content_sniffing import is_markup
from holdfast.voice.runtime.http.errors import SoundUnplayable
from holdfast.voice.runtime.sounds.sound import BLOCK, RATE_HZ, DecodedAudio, encode_samples

PEAK = 10 ** (-3 / 20)
"""The maximum peak, −3 dBFS. Louder audio is attenuated to it, because resampling and mixing would clip it."""
MAX_CHANNELS = 32
FRAMES_AT_ONCE = 32
RATES_HZ = (1000, 768_000)

FORMATS = (
    *(
        "aac",
        "ac3",
        "aiff",
        "amr",
        "amrnb",
        "amrwb",
        "ape",
        "asf",
        "au",
        "avi",
        "avr",
        "caf",
        "dsf",
        "dts",
        "eac3",
        "epaf",
    ),
    *("flac", "flv", "hcom", "iff", "ircam", "loas", "matroska", "mlp", "mov", "mp3", "mpc", "mpc8", "mpeg", "mpegts"),
    *("nistsphere", "ogg", "paf", "pvf", "qcp", "qoa", "rm", "sds", "shn", "sox", "tak", "truehd", "tta", "voc"),
    *("w64", "wav", "wv", "wve", "xwma"),
    *("g722", "gsm"),
)
"""The formats that are opened, by the names of libavformat: no playlist, no picture, no format that names others."""
CODECS = (
    *("8svx_exp", "8svx_fib", "aac", "aac_latm", "ac3", "adpcm_ima_oki", "adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"),
    *("adpcm_ct", "adpcm_sbpro_2", "adpcm_sbpro_3", "adpcm_sbpro_4", "adpcm_swf", "adpcm_yamaha", "alac", "amrnb"),
    *("amrwb", "ape", "cook", "dca", "dsd_lsbf", "dsd_lsbf_planar", "dsd_msbf", "dsd_msbf_planar", "eac3", "evrc"),
    *(
        "flac",
        "g722",
        "g723_1",
        "g726",
        "g726le",
        "g729",
        "gsm",
        "gsm_ms",
        "hcom",
        "ilbc",
        "mace3",
        "mace6",
        "mlp",
        "mp1float",
    ),
    *(
        "mp2float",
        "mp1",
        "mp2",
        "mp3",
        "mp3float",
        "mp3adufloat",
        "mp3on4float",
        "mpc7",
        "mpc8",
        "nellymoser",
        "opus",
        "paf_audio",
        "qcelp",
        "qdm2",
    ),
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
    # libavformat reads RIFX in the wrong byte order, and no MP3 of free format.
    readers = (_read_by_libsndfile,) if body[:4] == b"RIFX" else (_read_by_ffmpeg, _read_by_libsndfile)
    reasons: list[str] = []
    for read in readers:
        try:
            name, sound = read(body, extension, max_duration_s)
        except (av.error.FFmpegError, soundfile.SoundFileError, UnicodeError, ValueError) as error:
            reasons.append(_reason(error))
            continue
        if len(sound):
            peak = float(np.max(np.abs(sound)))
            encoded = encode_samples(sound * np.float32(PEAK / peak) if peak > PEAK else sound)
            return replace(encoded, format=NAMES.get(name, name))
        reasons.append("it contains no audio")
    raise SoundUnplayable(f"the file cannot be decoded: {reasons[0]}")


def _read_by_ffmpeg(body: bytes, extension: str, max_duration_s: float) -> tuple[str, NDArray[np.float32]]:
    """Return the format and the audio of a file. Raises: FFmpegError, ValueError, SoundUnplayable."""
    raw = extension in (*WAVE_TAGS, *FORCED) and body[:4] not in SIGNATURES
    if raw and is_markup(body):
        raise ValueError("it is a document, not a sound")
    if raw and extension in WAVE_TAGS:
        body = _wave_header(*WAVE_TAGS[extension]) + body
    if body[:4] == b".snd" and body[8:12] == bytes(4):
        # The size 0 means for other players that the size is unknown.
        body = body[:8] + b"\xff\xff\xff\xff" + body[12:]
    with av.open(
        _SoundFile(body, extension),
        mode="r",
        format=FORCED[extension] if raw and extension in FORCED else None,
        metadata_errors="replace",
        container_options=OPEN_OPTIONS,
    ) as container:
        name = extension if raw else container.format.name.split(",")[0]
        return name, _resample(_blocks(_mixed(_frames(container))), max_duration_s)


def _read_by_libsndfile(body: bytes, extension: str, max_duration_s: float) -> tuple[str, NDArray[np.float32]]:
    """Return the format and the audio of a file. Raises: SoundFileError, SoundUnplayable."""
    with _SequentialFile(_SoundFile(body, extension)) as file:
        if file.channels > MAX_CHANNELS:
            raise SoundUnplayable(f"{file.channels} channels are not supported")
        read = partial(file.read, BLOCK // file.channels, dtype="float64", always_2d=True)
        blocks = ((file.samplerate, _mean(block.T)) for block in takewhile(len, starmap(read, repeat(()))))
        return file.format.lower(), _resample(blocks, max_duration_s)


class _SoundFile(io.BytesIO):
    """A file in memory has the name by whose extension libavformat decides in doubt: MP3 unless another is known."""

    def __init__(self, body: bytes, extension: str) -> None:
        super().__init__(body)
        self.name = f"sound.{extension or 'mp3'}"

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Seek, or go to the beginning for an offset before it, which a damaged header may cause."""
        ahead = {io.SEEK_CUR: self.tell(), io.SEEK_END: len(self.getbuffer())}.get(whence, 0)
        return super().seek(max(0, ahead + offset))


class _SequentialFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile carries no types
    """A sequential file is read from its beginning to its end without a seek.

    soundfile seeks to its current position after each block, and an MP3 decoder that seeks loses the overlap of its
    frames: a gap and a burst of noise at every block.
    """

    def seekable(self) -> bool:
        """Return False, so that no block is followed by a seek."""
        return False


def _wave_header(tag: int, bits: int) -> bytes:
    """Return the header of a WAVE file of unknown length, mono at 8 kHz."""
    block = max(1, bits // 8)
    layout = struct.pack("<HHIIHH", tag, 1, RATE_HZ, RATE_HZ * bits // 8, block, bits)
    return b"RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0" + layout + b"data\xff\xff\xff\xff"


def _frames(container: InputContainer) -> Iterator[AudioFrame]:
    """Yield the frames of the best audio stream, and leave out packets that cannot be decoded.

    Raises: ValueError, if that is most of them.
    """
    stream = container.streams.best("audio")
    # PyAV gives no codec context to a stream without a decoder, although its types say so.
    codec_context: AudioCodecContext | None = stream.codec_context if isinstance(stream, AudioStream) else None
    if not isinstance(stream, AudioStream) or codec_context is None or codec_context.name not in CODECS:
        raise ValueError("it contains no audio of a supported codec")
    codec_context.thread_count = 1
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
        raise ValueError(f"{unreadable} of its {readable + unreadable} parts are damaged")


def _packets(container: InputContainer, stream: AudioStream) -> Iterator[Packet[AudioStream]]:
    """Yield the packets of a stream; a file that is damaged so that no packet follows ends there."""
    with suppress(av.error.FFmpegError):
        yield from container.demux(stream)


def _mixed(frames: Iterator[AudioFrame]) -> Iterator[AudioFrame]:
    """Yield frames of one or two channels: libav mixes more of them by their places."""
    mixer, kind = AudioResampler(), ("", "", 0)
    for frame in frames:
        channels = frame.layout.nb_channels
        if channels > MAX_CHANNELS:
            raise SoundUnplayable(f"{channels} channels are not supported")
        if channels <= 2 and not frame.format.name.startswith("s64"):
            yield frame
            continue
        if kind != (kind := (frame.format.name, frame.layout.name, frame.sample_rate)):
            mixer = AudioResampler(format="s32", layout="mono")
        yield from mixer.resample(frame)


def _resample(blocks: Iterator[tuple[int, NDArray[np.float32]]], max_duration_s: float) -> NDArray[np.float32]:
    """Resample blocks with their rates one by one, so that memory grows with the result only.

    Shape: (samples,), float32, −1 to 1. Raises: SoundUnplayable.
    """
    resampled: list[NDArray[np.float32]] = []
    samples = 0
    for rate, run in groupby(blocks, itemgetter(0)):
        if not RATES_HZ[0] <= rate <= RATES_HZ[1]:
            raise SoundUnplayable(f"a rate of {rate} Hz is not supported")
        resampler = soxr.ResampleStream(rate, RATE_HZ, 1, dtype="float32")
        for _, block in run:
            resampled.append(resampler.resample_chunk(block))
            samples += len(resampled[-1])
            if samples > max_duration_s * RATE_HZ:
                raise SoundUnplayable(f"the sound is longer than {max_duration_s / 60:g} minutes")
        resampled.append(resampler.resample_chunk(np.zeros(0, dtype=np.float32), last=True))
    return np.concatenate(resampled) if resampled else np.zeros(0, dtype=np.float32)


def _blocks(frames: Iterator[AudioFrame]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield many frames at once, with their rate."""
    for (rate, _, _), run in groupby(frames, lambda frame: (frame.sample_rate, frame.format.name, frame.layout.name)):
        pending: list[AudioFrame] = []
        for frame in run:
            pending.append(frame)
            if len(pending) == FRAMES_AT_ONCE:
                yield rate, _mono(pending)
                pending = []
        if pending:
            yield rate, _mono(pending)


def _mono(frames: Sequence[AudioFrame]) -> NDArray[np.float32]:
    """Return the mean of the channels of frames of one format. Shape: (samples,), −4 to 4."""
    values = np.concatenate([frame.to_ndarray() for frame in frames], axis=1)
    layout, is_planar = frames[0].layout, frames[0].format.is_planar
    channels = values if is_planar else values.reshape(-1, layout.nb_channels).T
    if values.dtype.kind == "f":
        return _mean(channels.astype(np.float64))
    scale = np.float64(2 ** (8 * values.dtype.itemsize - 1))
    return _mean((channels - (scale if values.dtype.kind == "u" else 0)) / scale)


def _mean(channels: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Return the mean of channels; values that are no numbers are silence.

    Shape: (channels, samples) to (samples,), −4 to 4.
    """
    mono: NDArray[np.float64] = np.nan_to_num(channels.mean(axis=0), posinf=1.0, neginf=-1.0)
    return np.clip(mono, -4.0, 4.0).astype(np.float32)


def _reason(error: Exception) -> str:
    """Return the text of an error without the name of our buffer."""
    if isinstance(error, av.error.FFmpegError):
        return str(error.strerror)
    return str(error).rpartition(">: ")[2].strip()[:120]
