"""The recipe of core/selection/keys.ts in NumPy alone: the same rows are selected, with the same keys."""

import json
import tempfile
from pathlib import Path

import numpy as np

from support import finish, ours, report
from trainer.order import uniform

STREAM = {"main": 0, "control": 8}


def gumbel(seed: int, stage: int, arm: str, rows: np.ndarray) -> np.ndarray:
    return -np.log(-np.log(uniform(seed, stage, STREAM[arm], rows)))


def select(utilities: np.ndarray, rows: np.ndarray, k: int, recipe: dict) -> tuple[np.ndarray, np.ndarray]:
    """The k rows with the largest keys, of equal keys the lowest rows; ascending, with their keys."""
    noise = recipe["noise"]
    g = gumbel(noise["seed"], noise["stage"], noise["arm"], rows)
    sign = 1 if recipe["gumbel"] == "exact" else -1
    keys = (utilities.astype(np.float64) / recipe["temperature"] + sign * g).astype(np.float32)
    chosen = np.sort(np.argsort(-keys, kind="stable")[:k])
    return rows[chosen], keys[chosen]


def ordered(keys: np.ndarray) -> np.ndarray:
    """The uint32 of a float32 key that orders as it does."""
    bits = (keys + np.float32(0)).view(np.uint32)
    return np.where(bits >> 31, ~bits, bits | np.uint32(0x80000000))


with tempfile.TemporaryDirectory() as folder:
    ours("write-selection.ts", folder)
    for name in ["exact", "reference-code", "control"]:
        run = Path(folder) / name
        request = json.loads((run / "request.json").read_text())
        rows = np.concatenate([np.arange(r["begin"], r["end"]) for r in request["pool"]])
        scores = [np.fromfile(Path(folder) / p / "scores.f32", np.float32) for p in request["scorePrefixes"]]
        utilities = np.concatenate(scores) if scores else np.zeros(len(rows), np.float32)
        picked, keys = select(utilities, rows, request["selectedRows"], request["recipe"])
        found = np.fromfile(run / "rows.f64").astype(np.int64)
        if scores:
            in_memory = np.fromfile(run / "memory.f64").astype(np.int64)
            report(f"selection, {name}: rows that differ, in one process", len(np.setxor1d(picked, in_memory)), 0)
        found_keys = np.fromfile(run / "keys.u32", np.uint32)
        different = len(np.setxor1d(picked, found)) if len(found) == len(picked) else np.nan
        report(f"selection, {name}: rows that differ (of {len(picked)})", different, 0)
        wrong = np.count_nonzero(ordered(keys) != found_keys) if different == 0 else np.nan
        report(f"selection, {name}: keys that differ", wrong, 0)
finish()
