"""The jitter buffers of all legs: packets go in as they arrive, one frame per leg and tick comes out.

A leg's ring holds 32 frames, and a packet's place in it follows from its timestamp alone: packets of 10 to 200 ms are
split and joined by being copied to their place, a telephone event leaves no gap that looks like loss, and order
does not matter. `head` is the frame that is played next; it moves on by one every tick, packet or not.

The delay grows by a frame when packets arrive too late, up to six, and shrinks by one when many packets in a row
arrived early.

Invariant: a frame is played once, at the place its timestamp gives it, or not at all.
Shape: the first index is the row of the leg. Units: timestamps in samples at 8 kHz; everything else in frames.
Source: RFC 3550 §5.1 (timestamp), RFC 3551 §4.1; RFC 4733 §2.1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codec.g711 import DECODE, SILENCE
from holdfast.voice.media.frames import SAMPLES, Bytes, Mask, Numbers
from holdfast.voice.media.rtp.rtp import HEADER

SLOTS = 32
"""Frames in a ring: three packets of 200 ms, and more. A power of two."""
START_DEPTH = 2
MAX_DEPTH = 6
LONG_SILENCE = 16
"""Ticks without a packet after which the next one restarts the buffer, whatever its timestamp.

They are counted from the tick in which the packet after the last one is due.
"""
MARKED_SILENCE = 3
"""The same for a packet with the marker."""

JUMP_WEIGHT, LATE_WEIGHT, RESYNC_WEIGHT = 2, 1, 4
"""The weights of a packet outside the ring and of a late one, and the weight in a row that restarts the buffer.

One stray packet changes nothing. Source: RFC 3550 appendix A.1, where two in a row must agree.
"""

CALM_PACKETS = 200
"""Packets that must all have arrived earlier than needed before the delay is cut by one frame."""
QUIET_PEAK = 200
SCAN_STRIDE = 20
"""One of so many samples is examined first."""
MAX_CUT_WAIT = 500
"""Ticks for which a quiet frame is waited for; after them a loud frame is cut."""

NOTHING_TO_MISS = 1 << 30
"""More missing frames in a row than there can be: nothing arrived yet, or the stream is over."""
_WRAP = 1 << 32
_HALF = 1 << 31
_SAMPLES_IN_RING = SLOTS * SAMPLES
G722 = 2
"""The coding of frames that are not G.711. The ring holds bytes of it; whether they are quiet is not known."""
_SILENT = (*SILENCE, 0)
_LOUDNESS: NDArray[np.int32] = np.concatenate(
    [np.abs(DECODE.astype(np.int32)), np.full((1, 256), 32767, dtype=np.int32)]
)


class JitterBuffers:
    """There is one jitter buffer per row."""

    def __init__(self, rows: int) -> None:
        self._rows = rows
        # The last frames are silence, one per coding, so that a leg with nothing to play needs no case of its own.
        self._ring: Bytes = np.zeros((rows * SLOTS + len(_SILENT), SAMPLES), dtype=np.uint8)
        self._ring[rows * SLOTS :] = np.array(_SILENT, dtype=np.uint8)[:, None]
        self._samples: Bytes = self._ring.reshape(-1)
        self._present: Mask = np.zeros(rows * SLOTS, dtype=np.bool_)
        self._coding: Numbers = np.zeros(rows, dtype=np.intp)
        self._base: Numbers = np.arange(rows, dtype=np.intp) * SLOTS
        self._head: Numbers = np.zeros(rows, dtype=np.intp)
        self._head_timestamp: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._ssrc: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._idle: NDArray[np.int64] = np.full(rows, NOTHING_TO_MISS, dtype=np.int64)
        self._resync_weight: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._min_ahead: NDArray[np.int64] = np.full(rows, SLOTS, dtype=np.int64)
        self._tracked: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self._excess_ticks: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
        self.missed: NDArray[np.int64] = np.full(rows, NOTHING_TO_MISS, dtype=np.int64)
        """Frames missing in a row; at least `NOTHING_TO_MISS` where nothing is expected."""
        self.missed_before: NDArray[np.int64] = np.full(rows, NOTHING_TO_MISS, dtype=np.int64)
        """The same, one tick ago."""
        self.depth: NDArray[np.int64] = np.full(rows, START_DEPTH, dtype=np.int64)
        self.late: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)

    def open(self, row: int, *, coding: int) -> None:
        """Begin a leg whose packets have this coding: a companding, or `G722`."""
        self.late[row] = 0
        self.depth[row] = START_DEPTH
        self.reset(row, coding=coding)

    def reset(self, row: int, *, coding: int) -> None:
        """Drop the frames that wait; the next packet restarts the buffer."""
        self._coding[row] = coding
        self._present[row * SLOTS : (row + 1) * SLOTS] = False
        self.missed[row] = self.missed_before[row] = self._idle[row] = NOTHING_TO_MISS
        self._excess_ticks[row] = 0

    def drop(self, row: int) -> None:
        """Drop the frames that wait as if they had never been sent: nothing counts as missing in their place."""
        self._present[row * SLOTS : (row + 1) * SLOTS] = False
        self.missed[row] = NOTHING_TO_MISS

    def pause(self, rows: Numbers) -> None:
        """Pause rows that send DTMF events or comfort noise: nothing counts as missing until audio arrives again."""
        self.missed[rows] = NOTHING_TO_MISS

    # --- in ---------------------------------------------------------------------------------------------------

    def put(
        self,
        rows: Numbers,
        *,
        timestamp: NDArray[np.int64],
        ssrc: NDArray[np.int64],
        marker: Mask,
        data: Bytes,
        start: Numbers,
        size: Numbers,
    ) -> None:
        """Store one packet of each of these rows. Invariant: no row twice, at most 1600 bytes each.

        Shape: payload k is `data[k, start[k] : start[k] + size[k]]`, uint8.
        """
        ahead = (timestamp - self._head_timestamp[rows] + _HALF & _WRAP - 1) - _HALF
        last = (ahead + size - 1) // SAMPLES
        idle = self._idle[rows]
        if (
            (idle < MARKED_SILENCE).all()
            and (last.view(np.uint64) < SLOTS).all()
            and (ssrc == self._ssrc[rows]).all()
            and (last * SAMPLES == ahead).all()
            and (size == SAMPLES).all()
            and (start == HEADER).all()
        ):
            # All packets follow each other, frame by frame.
            self._idle[rows] = self._resync_weight[rows] = 0
            self._track_depth(rows, last)
            self._put_whole(rows, last, data[:, HEADER : HEADER + SAMPLES])
            return
        jump = (last >= SLOTS) | (last < -SLOTS)
        late = (last < 0) & ~jump
        resync = self._resync_weight[rows] + JUMP_WEIGHT * jump + LATE_WEIGHT * late
        restart = (idle >= LONG_SILENCE) | (ssrc != self._ssrc[rows]) | (resync >= RESYNC_WEIGHT)
        restart |= marker & (idle >= MARKED_SILENCE)
        if restart.any():
            self._restart(rows[restart], timestamp[restart], ssrc[restart])
            ahead[restart] = START_DEPTH * SAMPLES
            last[restart] = (ahead[restart] + size[restart] - 1) // SAMPLES
            late &= ~restart
            jump &= ~restart
        # The next packet is due when this one has been played.
        self._idle[rows] = np.minimum(0, 1 - size // SAMPLES)
        kept = ~(late | jump)
        self._resync_weight[rows] = np.where(kept, 0, resync)
        if not kept.all():
            self.late[rows[~kept]] += 1
            self._grow(rows[late])
        begins_late = kept & (ahead < 0)
        if begins_late.any():
            before = self._head_timestamp[rows]
            self._grow(rows[begins_late])
            ahead = ahead + (before - self._head_timestamp[rows]) % _WRAP
            last = (ahead + size - 1) // SAMPLES
        whole = (size == SAMPLES) & (start == HEADER) & (ahead % SAMPLES == 0)
        self._track_depth(rows[kept], ahead[kept] // SAMPLES)
        partial = np.flatnonzero(kept & ~whole & (size > 0))
        whole &= kept
        if whole.any():
            self._put_whole(rows[whole], last[whole], data[:, HEADER : HEADER + SAMPLES][whole])
        if partial.size:
            self._put_partial(rows[partial], ahead[partial], data[partial], start[partial], size[partial])

    def _restart(self, rows: Numbers, timestamp: NDArray[np.int64], ssrc: NDArray[np.int64]) -> None:
        """Restart these rows: `timestamp` is played two frames from now, and nothing before it."""
        self._present.reshape(-1, SLOTS)[rows] = False
        self._head_timestamp[rows] = (timestamp - START_DEPTH * SAMPLES) % _WRAP
        self._ssrc[rows] = ssrc
        self.depth[rows] = START_DEPTH
        self._reset_depth_tracking(rows)

    def _put_whole(self, rows: Numbers, ahead: NDArray[np.int64], payload: Bytes) -> None:
        """Store payloads that are one frame each, `ahead` frames from now."""
        slot = self._base[rows] + ((self._head[rows] + ahead) & (SLOTS - 1))
        self._ring[slot] = payload
        self._present[slot] = True

    def _put_partial(self, rows: Numbers, ahead: NDArray[np.int64], data: Bytes, start: Numbers, size: Numbers) -> None:
        """Store packets that are not one whole frame: each sample goes to its own place."""
        first, last = ahead // SAMPLES, (ahead + size - 1) // SAMPLES
        frame = first[:, None] + np.arange(int((last - first).max()) + 1)
        touched = (frame >= 0) & (frame <= last[:, None])
        slot = self._base[rows][:, None] + ((self._head[rows][:, None] + frame) & (SLOTS - 1))
        new = touched & ~self._present[slot]
        self._ring[slot[new]] = self._ring[(self._rows * SLOTS + self._coding[rows])[np.nonzero(new)[0]]]
        self._present[slot[touched]] = True
        sample = np.arange(int(size.max()))
        place = ahead[:, None] + sample
        inside = (sample < size[:, None]) & (place >= 0)
        place = (self._head[rows][:, None] * SAMPLES + place) % _SAMPLES_IN_RING + self._base[rows][:, None] * SAMPLES
        payload = np.take_along_axis(data, np.minimum(start[:, None] + sample, data.shape[1] - 1), axis=1)
        self._samples[place[inside]] = payload[inside]

    # --- delay ------------------------------------------------------------------------------------------------

    def _grow(self, rows: Numbers) -> None:
        """Increase the delay of these rows by one frame, as far as it may grow, because packets arrived too late."""
        rows = rows[self.depth[rows] < MAX_DEPTH]
        self.depth[rows] += 1
        self._head[rows] = (self._head[rows] - 1) & (SLOTS - 1)
        self._head_timestamp[rows] = (self._head_timestamp[rows] - SAMPLES) % _WRAP
        # The slot behind the head is also the one 15 ahead: a frame that far in the future must not be played now.
        self._present[self._base[rows] + self._head[rows]] = False
        self._reset_depth_tracking(rows)

    def _track_depth(self, rows: Numbers, ahead: NDArray[np.int64]) -> None:
        """Note how early packets arrive; when many in a row arrived earlier than needed, the buffer is too deep."""
        self._min_ahead[rows] = np.minimum(self._min_ahead[rows], ahead)
        self._tracked[rows] = tracked = self._tracked[rows] + 1
        over = rows[tracked >= CALM_PACKETS]
        if over.size:
            deep = self._min_ahead[over] > START_DEPTH
            self._excess_ticks[over] = np.where(deep, np.maximum(self._excess_ticks[over], 1), 0)
            self._reset_depth_tracking(over)

    def _reset_depth_tracking(self, rows: Numbers) -> None:
        self._min_ahead[rows] = SLOTS
        self._tracked[rows] = 0

    def _shrink(self, rows: Numbers) -> Numbers:
        """Drop the next frame of legs whose buffer is too deep, if it is present and quiet.

        Return the rows that waited so long for a quiet frame that a loud one was cut.
        """
        slot = self._base[rows] + self._head[rows]
        quiet = self._are_quiet(rows, slot)
        long = self._excess_ticks[rows] > MAX_CUT_WAIT
        self._excess_ticks[rows] += 1
        present = self._present[slot]
        cut = rows[present & (quiet | long)]
        self._skip_frame(cut)
        self._excess_ticks[cut] = 0
        self.depth[cut] = np.maximum(self.depth[cut] - 1, START_DEPTH)
        cut_loud: Numbers = rows[present & long & ~quiet]
        return cut_loud

    def _are_quiet(self, rows: Numbers, slot: Numbers) -> Mask:
        """Return whether the frames in these slots are quiet.

        A few samples show of most frames that they are loud: a row that is never quiet is examined in every tick.
        """
        coding = self._coding[rows][:, None]
        quiet: Mask = _LOUDNESS[coding, self._ring[:, ::SCAN_STRIDE][slot]].max(axis=1) <= QUIET_PEAK
        perhaps = np.flatnonzero(quiet)
        quiet[perhaps] = _LOUDNESS[coding[perhaps], self._ring[slot[perhaps]]].max(axis=1) <= QUIET_PEAK
        return quiet

    # --- out --------------------------------------------------------------------------------------------------

    def skip(self, n: int, *, frames: int) -> None:
        """Drop frames unplayed in the first `n` rows, because ticks were left out."""
        rows = np.arange(n, dtype=np.intp)
        for _ in range(min(frames, SLOTS)):
            self._skip_frame(rows)
        self._head_timestamp[:n] = (self._head_timestamp[:n] + max(0, frames - SLOTS) * SAMPLES) % _WRAP

    def _skip_frame(self, rows: Numbers) -> None:
        self._present[self._base[rows] + self._head[rows]] = False
        self._head[rows] = (self._head[rows] + 1) & (SLOTS - 1)
        self._head_timestamp[rows] = (self._head_timestamp[rows] + SAMPLES) % _WRAP

    def play(self, frames: Bytes) -> Numbers:
        """Write the next frame of the first rows into `frames`, silence where it is missing. Shape: `[n, 160]`, uint8.

        Return the rows whose frame does not follow the one before, because one was cut.
        """
        n = len(frames)
        excess = np.flatnonzero(self._excess_ticks[:n])
        cut = self._shrink(excess) if excess.size else excess
        slot = self._base[:n] + self._head[:n]
        present = self._present[slot]
        missed = self.missed[:n]
        self.missed_before[:n] = missed
        self._idle[:n] += 1
        self._present[slot] = False
        if present.all():
            missed[:] = 0
        else:
            missed += 1
            missed[present] = 0
            slot = np.where(present, slot, self._rows * SLOTS + self._coding[:n])
        np.take(self._ring, slot, axis=0, out=frames, mode="clip")
        self._head[:n] = (self._head[:n] + 1) & (SLOTS - 1)
        self._head_timestamp[:n] = self._head_timestamp[:n] + SAMPLES & _WRAP - 1
        return cut
