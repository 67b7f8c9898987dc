"""Sums of what legs say, each ear's own voice left out: one pass over all conferences.

Invariant: what an ear gets is the exact sum of the decoded members, clipped once, encoded once.
"""

from __future__ import annotations

import numpy as np

from holdfast.voice.media.codec.g711 import (
    ALAW,
    DECODE,
    ENCODE,
    ULAW,
)
from holdfast.voice.media.frames import SAMPLES, Bytes, Numbers
from holdfast.voice.media.mix.routing import MixPlan

_LINEAR: Numbers = DECODE.astype(np.intp).reshape(-1)
_ZERO = 32768


class Mixer:
    """Adds up. Its arrays are kept from one tick to the next: memory that is new each time costs more than the sums."""

    def __init__(self) -> None:
        self._said: Bytes = np.empty((0, SAMPLES), dtype=np.uint8)
        self._codes, self._linear, self._sums, self._heard = (np.empty((0, SAMPLES), dtype=np.intp) for _ in range(4))

    def mix(self, frames: Bytes, plan: MixPlan, out: Bytes) -> None:
        """Write what each ear of the plan hears, encoded in its law. Shape: `out[ears, 160]`; sums do not overflow."""
        members, ears = len(plan.members), len(plan.group_of_ear)
        self._grow(max(members + 1, ears))
        said, linear, sums, heard = self._said[:members], self._linear[: members + 1], self._sums, self._heard[:ears]
        # The mode matters: any other one makes take() buffer its output.
        np.take(frames, plan.members, axis=0, out=said, mode="clip")
        codes = self._codes[:members]
        codes[:] = said
        codes[plan.alaw_members] += 256 * ALAW
        np.take(_LINEAR, codes, out=linear[:members], mode="clip")
        linear[members] = 0
        group = 0
        for bucket in plan.buckets:
            of_bucket = linear[bucket.first : bucket.first + bucket.groups * bucket.size]
            together = of_bucket.reshape(bucket.groups, bucket.size, SAMPLES)
            np.add.reduce(together, axis=1, out=sums[group : group + bucket.groups])
            group += bucket.groups
        np.take(sums, plan.group_of_ear, axis=0, out=heard, mode="clip")
        own = self._codes[:ears]
        np.take(linear, plan.self_of_ear, axis=0, out=own, mode="clip")
        heard -= own
        heard += _ZERO
        # Clipping the index of the table is clipping the sum.
        np.take(ENCODE[ULAW], heard[: plan.ulaw_ears], out=out[: plan.ulaw_ears], mode="clip")
        np.take(ENCODE[ALAW], heard[plan.ulaw_ears :], out=out[plan.ulaw_ears :], mode="clip")

    def _grow(self, rows: int) -> None:
        """Have room for that many rows."""
        if len(self._said) < rows:
            self._said = np.empty((2 * rows, SAMPLES), dtype=np.uint8)
            self._codes, self._linear, self._sums, self._heard = (
                np.empty((2 * rows, SAMPLES), dtype=np.intp) for _ in range(4)
            )
