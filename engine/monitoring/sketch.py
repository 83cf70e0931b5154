"""Histograms that can be added up: percentiles of a day over many replicas come from sums of their minutes.

Buckets are logarithmic with a growth of 1.1, so a percentile is off by at most 5 % (DDSketch with alpha = 0.0476: Masson, Rim
and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees", VLDB 2019).
"""

from __future__ import annotations

import math
from collections.abc import Mapping

GROWTH = 1.1
SMALLEST = 1e-5  # seconds; whatever is quicker counts as this
LARGEST = 86_400.0
_LOG = math.log(GROWTH)


def bucket_of(seconds: float) -> int:
    """Return the bucket of a duration: the i with SMALLEST * GROWTH**(i - 1) < seconds <= SMALLEST * GROWTH**i, at least 0."""
    bounded = min(max(seconds, SMALLEST), LARGEST)
    return max(0, math.ceil(math.log(bounded / SMALLEST) / _LOG))


def seconds_of(bucket: int) -> float:
    """Return the duration that stands for all of a bucket, in the middle of it."""
    return SMALLEST * GROWTH**bucket * 2 / (1 + GROWTH)


def quantile(buckets: Mapping[int, int], q: float) -> float:
    """Return the least duration in seconds that a share `q` (0..1) does not exceed (nearest rank); 0.0 for no durations.

    Of few durations the high quantiles are the longest one: to tell the second longest would hide what went wrong.
    """
    total = sum(buckets.values())
    if not total:
        return 0.0
    rank, seen = q * total - 1e-9, 0  # a product such as 0.07 * 100 is a little too large
    for bucket in sorted(buckets):
        seen += buckets[bucket]
        if seen >= rank:
            return seconds_of(bucket)
    return seconds_of(max(buckets))


def merged(one: Mapping[int, int], other: Mapping[int, int]) -> dict[int, int]:
    """Return the sum of two histograms."""
    found = dict(one)
    for bucket, count in other.items():
        found[bucket] = found.get(bucket, 0) + count
    return found
