"""Computes with numpy and scipy what ../statistics.rs compares with: python3 expected.py > expected.json

Needs numpy and scipy, in the versions of tests/src/python.rs: a test there computes it anew. Values are such that histograms hold
them exactly.
"""

import json

import numpy as np
from scipy import stats

random = np.random.default_rng(20261126)


def exact(values):
    """The nearest values below that the buckets of histograms begin with: four bits after the first."""
    values = np.asarray(values, dtype=np.int64)
    shift = np.maximum(np.floor(np.log2(values)).astype(np.int64) - 4, 0)
    return (values >> shift) << shift


def canary(size, size_canary, slower, failing, failing_canary):
    baseline = exact(random.lognormal(18.0, 0.5, size))
    tried = exact(random.lognormal(18.0 + np.log(slower), 0.5, size_canary))
    failed, failed_canary = (int(random.binomial(n, p)) for n, p in [(size, failing), (size_canary, failing_canary)])
    ranks = stats.mannwhitneyu(tried, baseline, alternative="two-sided", method="asymptotic", use_continuity=True)
    table = [[failed, size - failed], [failed_canary, size_canary - failed_canary]]
    errors = stats.chi2_contingency(table, correction=False)
    return {
        "baseline": baseline.tolist(),
        "canary": tried.tolist(),
        "failed": [failed, failed_canary],
        "rank_p": ranks.pvalue,
        "superiority": ranks.statistic / (size * size_canary),
        "error_z_squared": errors.statistic,
        "error_p": errors.pvalue,
    }


def drift(size, size_current, scale, spread):
    reference = exact(random.lognormal(6.0, 1.0, size) + 1)
    current = exact(random.lognormal(6.0 + np.log(scale), spread, size_current) + 1)
    below = np.searchsorted(np.sort(reference), current, side="left")
    below_reference = np.searchsorted(np.sort(reference), reference, side="left")

    def shares(values, below):
        bins = 1 + below * 10 // size
        bins[values < reference.min()] = 0
        bins[values > reference.max()] = 11
        return np.maximum(np.bincount(bins, minlength=12) / len(values), 1e-4)

    expected, actual = shares(reference, below_reference), shares(current, below)
    index = np.sum((actual - expected) * np.log(actual / expected))
    return {"reference": reference.tolist(), "current": current.tolist(), "index": index}


def chart():
    """Calls a minute: quiet, then a leap, a slow change and a shift, each up and down."""
    learned = random.poisson(40, 30)
    rise = np.array([33, 35, 38, 41, 44, 47, 50, 52])
    calm = [random.poisson(40, size) for size in (25, 10, 5, 10, 10, 5)]
    up = [calm[0], [95], calm[1], rise, calm[2], random.poisson(52, 14)]
    down = [calm[3], [3], calm[4], rise[::-1], calm[5], random.poisson(30, 14)]
    points = np.concatenate(up + down)
    mean, deviation = learned.mean(), learned.std(ddof=1)
    outside = np.abs(points - mean) > 3 * deviation
    last_seven = np.lib.stride_tricks.sliding_window_view(points, 7)
    steps = np.diff(last_seven, axis=1)
    rising, falling = np.all(steps > 0, axis=1), np.all(steps < 0, axis=1)
    above, below = np.all(last_seven > mean, axis=1), np.all(last_seven < mean, axis=1)
    high, low = points > mean + 3 * deviation, points < mean - 3 * deviation
    assert all(broken.any() for broken in (high, low, rising, falling, above, below))
    trend, side = rising | falling, above | below
    return {
        "learned": learned.tolist(),
        "points": points.tolist(),
        "mean": mean,
        "deviation": deviation,
        "outside": outside.tolist(),
        "trend": [False] * 6 + trend.tolist(),
        "one_side": [False] * 6 + side.tolist(),
    }


def burn():
    """Calls and failed calls a minute over three days; at times, burn rates of a target of 99.9 % and which alerts fire on them."""
    total = random.poisson(6, 3 * 24 * 60)
    rate = np.full(len(total), 0.0005)
    rate[2_000:2_400], rate[3_500:3_560], rate[4_290:] = 0.004, 0.06, 0.05
    bad = random.binomial(total, rate)
    times = [2_100, 2_150, 2_400, 3_000, 3_505, 3_550, 3_575, 3_700, 4_100, 4_300, 4_320]
    factors = np.array([14.4, 6, 1])

    def rates(until, minutes):
        window = slice(max(until - minutes, 0), until)
        return bad[window].sum() / total[window].sum() / 0.001

    both = np.array([[[rates(t, m), rates(t, m // 12)] for m in (60, 360, 4_320)] for t in times])
    over = both > factors[:, None]
    fires = over.all(axis=2)
    # Each alert fires at some time and not at another, and does not where one window alone is over its factor.
    assert (fires.any(axis=0) & (over[:, :, 0] & ~fires).any(axis=0) & (over[:, :, 1] & ~fires).any(axis=0)).all()
    return {
        "total": total.tolist(),
        "bad": bad.tolist(),
        "times": times,
        "rates": both.tolist(),
        "fires": fires.tolist(),
        "left": [1 - bad[:t].sum() / (0.001 * total[:t].sum()) for t in times],
    }


print(
    json.dumps(
        {
            "canaries": [
                canary(300, 300, 1.0, 0.02, 0.02),
                canary(300, 280, 1.2, 0.02, 0.03),
                canary(500, 150, 0.8, 0.01, 0.10),
                canary(120, 130, 1.05, 0.05, 0.05),
            ],
            "drifts": [drift(800, 400, 1.0, 1.0), drift(800, 300, 1.5, 1.0), drift(500, 400, 3.0, 0.6), drift(300, 300, 0.4, 1.4)],
            "chart": chart(),
            "burn": burn(),
        }
    )
)
