"""Sums of what legs say, each ear's own voice left out: one pass over all conferences.

Invariant: what an ear gets is the exact sum of the decoded members, clipped once, encoded once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from holdfast.voice.media.codecs import ALAW, DECODE, ENCODE, ULAW
from holdfast.voice.media.frames import SAMPLES, Bytes
from holdfast.voice.media.routing import MixPlan

_LINEAR: NDArray[np.intp] = DECODE.astype(np.intp).reshape(-1)
_ZERO = 32768


def mix(frames: Bytes, plan: MixPlan, out: Bytes) -> None:
    """Write what each ear of the plan hears, encoded in its law. Shape: `out[ears, 160]`; sums do not overflow."""
    codes = frames[plan.members].astype(np.intp)
    codes[plan.alaw_members] += 256 * ALAW
    members = len(codes)
    linear = np.zeros((members + 1, SAMPLES), dtype=np.intp)
    # The mode matters: any other one makes take() buffer its output.
    np.take(_LINEAR, codes, out=linear[:members], mode="clip")
    sums = np.concatenate(
        [
            np.add.reduce(
                linear[bucket.first : bucket.first + bucket.groups * bucket.size].reshape(
                    bucket.groups, bucket.size, SAMPLES
                ),
                axis=1,
            )
            for bucket in plan.buckets
        ]
    )
    heard = sums[plan.group_of_ear]
    heard -= linear[plan.self_of_ear]
    heard += _ZERO
    # Clipping the index of the table is clipping the sum.
    np.take(ENCODE[ULAW], heard[: plan.ulaw_ears], out=out[: plan.ulaw_ears], mode="clip")
    np.take(ENCODE[ALAW], heard[plan.ulaw_ears :], out=out[plan.ulaw_ears :], mode="clip")
