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


print(
    json.dumps(
        {
            "clustered": [clustered(1, 5, 3), clustered(2, 12, 1), clustered(3, 25, 4)],
            "mcnemar": [changed(*pair) for pair in [(1, 0), (3, 3), (10, 4), (0, 8), (124, 2), (40, 61)]],
            "wilson": [share(*pair) for pair in [(0, 10), (10, 10), (1, 3), (78, 160)]],
        },
        indent=1,
    )
)
