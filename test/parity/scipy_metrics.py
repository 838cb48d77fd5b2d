"""test/metrics/scipy.json, which test/metrics/metrics.test.ts compares with: what SciPy says of some series."""

import json
import sys

import numpy as np
from scipy import stats

from support import HERE, finish, report

FIXTURE = HERE.parent / "metrics" / "scipy.json"

random = np.random.default_rng(1)
normal = random.normal(size=40)
SERIES = {
    "correlated": (normal, normal + random.normal(size=40)),
    "tied": (random.integers(0, 5, 60), random.integers(0, 5, 60)),
    "reversed": (np.arange(9.0), -np.arange(9.0) ** 3),
    "offset": (1e6 + normal, 1e6 - normal + 0.1 * random.normal(size=40)),
    "two": (np.array([1.0, 2.0]), np.array([5.0, 4.0])),
    "infinite": (np.array([1.0, np.inf, -np.inf, 2.0, 0.5]), np.array([3.0, 9.0, 1.0, 2.0, 4.0])),
}


def encode(values) -> list:
    return [float(v) if np.isfinite(v) else str(float(v)) for v in values]


def case(name: str, x, y) -> dict:
    finite = np.isfinite(x).all()
    return {
        "name": name,
        "x": encode(x),
        "y": encode(y),
        "ranks": stats.rankdata(x).tolist(),
        "spearman": float(stats.spearmanr(x, y).statistic),
        "pearson": float(stats.pearsonr(x, y).statistic) if finite else None,
        "mean": float(np.mean(x)) if finite else None,
        "std": float(np.std(x)) if finite else None,
        "standardError": float(stats.sem(x)) if finite else None,
    }


cases = [case(name, x, y) for name, (x, y) in SERIES.items()]
if "--write" in sys.argv:
    FIXTURE.write_text(json.dumps(cases, indent=2) + "\n")
for now, then in zip(cases, json.loads(FIXTURE.read_text()), strict=True):
    for figure in ["spearman", "pearson", "mean", "std", "standardError"]:
        if now[figure] is not None:
            report(f"SciPy fixture, {now['name']}: {figure}", abs(now[figure] - then[figure]), 1e-9)
finish()
