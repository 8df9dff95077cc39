"""Makes statistics.json: reference values for the tests in src/statistics.

    pip install scipy==1.17.1 statsmodels==0.15.0
    python make.py > statistics.json
"""

import json

import numpy as np
import statsmodels.api as sm
from scipy import stats
from statsmodels.stats.contingency_tables import mcnemar
from statsmodels.stats.proportion import proportion_confint


def clustered(seed, clusters, largest):
    rng = np.random.default_rng(seed)
    names, values = [], []
    for cluster in range(clusters):
        tilt = rng.normal()
        for _ in range(rng.integers(1, largest + 1)):
            names.append(f"f{cluster}")
            values.append(float(np.clip(np.round(rng.normal(0.4 + 0.5 * tilt, 0.5)), -1, 1)))
    groups = np.unique(names, return_inverse=True)[1]
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups}, use_t=True)
    low, high = fit.conf_int()[0]
    t = stats.t(clusters - 1)
    return {
        "values": list(zip(names, values)),
        "mean": float(fit.params[0]),
        "standard_error": float(fit.bse[0]),
        "low": float(max(low, -1)),
        "high": float(min(high, 1)),
        "detectable": float(min((t.ppf(0.975) + t.ppf(0.8)) * fit.bse[0], 1)),
    }


def changed(gained, lost):
    less = min(gained, lost)
    exact = float(mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)
    mid = float(2 * stats.binom.cdf(less, gained + lost, 0.5) - stats.binom.pmf(less, gained + lost, 0.5))
    return {"gained": gained, "lost": lost, "exact": exact, "mid": min(mid, 1.0)}


def share(right, n):
    low, high = proportion_confint(right, n, method="wilson")
    return {"right": right, "n": n, "low": float(low), "high": float(high)}


def drawn_again(seed, n):
    rng = np.random.default_rng(seed)
    values = np.round(rng.exponential(0.2, n) - 0.1, 3)
    limits = stats.bootstrap((values,), np.mean, n_resamples=200_000, method="BCa", rng=rng).confidence_interval
    return {"values": values.tolist(), "low": float(limits.low), "high": float(limits.high)}


def told(effect, error, freedom, alpha):
    t, shift = stats.t.ppf(1 - alpha / 2, freedom), effect / error
    power = float(stats.nct.sf(t, freedom, shift) + stats.nct.cdf(-t, freedom, shift))
    return {"effect": effect, "error": error, "freedom": freedom, "alpha": alpha, "power": power}


def two_ways(seed, rows, columns):
    rng = np.random.default_rng(seed)
    a, b = rng.normal(size=rows), rng.normal(size=columns)
    cells = [(i, j, a[i] + b[j] + rng.normal()) for i in range(rows) for j in range(columns) if rng.random() < 0.8]
    first, second, values = (list(column) for column in zip(*cells))
    values = [round(float(value), 4) for value in values]
    groups = np.column_stack([first, second])
    fit = sm.OLS(values, np.ones(len(values))).fit(cov_type="cluster", cov_kwds={"groups": groups})
    return {"values": values, "first": first, "second": second, "standard_error": float(fit.bse[0])}


print(
    json.dumps(
        {
            "clustered": [clustered(1, 5, 3), clustered(2, 12, 1), clustered(3, 25, 4)],
            "mcnemar": [changed(*pair) for pair in [(1, 0), (3, 3), (10, 4), (0, 8), (124, 2), (40, 61)]],
            "wilson": [share(*pair) for pair in [(0, 10), (10, 10), (1, 3), (78, 160)]],
            "bootstrap": [drawn_again(4, 30), drawn_again(5, 12)],
            "power": [
                told(*case)
                for case in [(0.0, 0.1, 7, 0.05), (0.3, 0.1, 1, 0.05), (0.28, 0.1, 30, 0.05), (0.5, 0.2, 4, 0.01)]
            ],
            "multiway": two_ways(6, 9, 7),
        },
        indent=1,
    )
)
