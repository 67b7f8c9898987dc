"""Estimate the audio quality of a leg from loss and delay: the E-model and its mean opinion score.

Echo, noise and the phone itself are not known: 4.4 is the best score of telephone speech; below 3.6 many listeners are
dissatisfied. Source: ITU-T G.107 §7 (with the delay curve of its common simplification), G.107 annex B (R to MOS),
G.113 appendix I (G.711 with concealment: Ie 0, Bpl 25.1).
"""

from __future__ import annotations

BEST_R = 93.2
PACKET_LOSS_ROBUSTNESS = 25.1
PACKET_MS = 20.0


def rating(*, loss: float, delay_ms: float) -> float:
    """Return the rating factor R.

    Units: `loss` is the share of frames missing, 0 to 1; `delay_ms` is from mouth to ear.
    """
    by_delay = 0.024 * delay_ms + 0.11 * max(0.0, delay_ms - 177.3)
    percent = 100 * min(1.0, max(0.0, loss))
    by_loss = 95 * percent / (percent + PACKET_LOSS_ROBUSTNESS)
    return BEST_R - by_delay - by_loss


def mean_opinion(r: float) -> float:
    """Return the mean opinion score of a rating, 1 to 4.5."""
    r = min(100.0, max(0.0, r))
    # The polynomial dips below 1 for the smallest ratings.
    return min(4.5, max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6))


def estimate(*, expected: int, missing: int, round_trip_ms: float | None, buffered_ms: float) -> float | None:
    """Return the score of a stream in which `missing` of `expected` packets were lost or late; None before the first.

    Units: `buffered_ms` is how long the receiver keeps a packet. A round trip that was not measured counts as 0 ms.
    """
    if expected <= 0:
        return None
    delay_ms = (round_trip_ms or 0.0) / 2 + buffered_ms + PACKET_MS
    return round(mean_opinion(rating(loss=missing / expected, delay_ms=delay_ms)), 2)
