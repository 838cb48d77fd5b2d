"""core/regression against scikit-learn's Ridge on the same matrix, centred and scaled here, and against NumPy's solution
of the normal equations: weights and predictions."""

import json
import tempfile
from pathlib import Path

import numpy as np
from scipy import sparse
from sklearn.linear_model import Ridge

from support import finish, ours, report

random = np.random.default_rng(4)
ROWS, COLUMNS = 700, 1200
counts = random.poisson(0.05, (ROWS, COLUMNS)) * (random.random((ROWS, COLUMNS)) < 0.5)
counts[:, 0] += 1  # no row is empty
ngrams = sparse.csr_matrix(np.log1p(counts).astype(np.float32))
dense = {
    "weight": (random.normal(size=(ROWS, 1)) * 40 - 100).astype(np.float32),
    "state": (random.normal(size=(ROWS, 32)) @ random.normal(size=(32, 32)) + 3).astype(np.float32),
}
true = random.normal(size=COLUMNS) * 0.3
y = 1e-3 * (ngrams @ true + 0.02 * dense["weight"][:, 0] + dense["state"][:, 0] * 0.1 + random.normal(size=ROWS)) + 5
FITS = {
    "plain": {"penalties": [20]},
    "weak": {"penalties": [0.5]},
    "relative": {"penalties": [100], "relativePenalties": {"weight": [1e-3], "state": [5]}},
}


def matrix(relative: dict) -> tuple[np.ndarray, np.ndarray]:
    """The centred and scaled columns, and what their weights are multiplied by to be those of the features."""
    parts = [np.asarray(ngrams.todense(), np.float64)]
    scales = [np.ones(COLUMNS)]
    for name, block in dense.items():
        values = block.astype(np.float64)
        scales.append(1 / (values.std(0) * np.sqrt(relative.get(name, [1])[0])))
        parts.append(values)
    scale = np.concatenate(scales)
    values = np.concatenate(parts, 1)
    return (values - values.mean(0)) * scale, scale


with tempfile.TemporaryDirectory() as name:
    folder = Path(name)
    for file, array in [("starts.u32", ngrams.indptr), ("indices.u32", ngrams.indices)]:
        array.astype(np.uint32).tofile(folder / file)
    ngrams.data.tofile(folder / "values.f32")
    for block in dense:
        dense[block].tofile(folder / f"{block}.f32")
    y.tofile(folder / "targets.f64")
    blocks = [{"name": block, "columns": dense[block].shape[1]} for block in dense]
    request = {"rows": ROWS, "columns": COLUMNS, "dense": blocks, "fits": FITS}
    (folder / "request.json").write_text(json.dumps(request))
    ours("write-ridge.ts", folder)
    z, std = (y - y.mean()) / y.std(), y.std()
    for fit, options in FITS.items():
        found = json.loads((folder / f"{fit}.json").read_text())
        penalty = options["penalties"][0]
        values, scale = matrix(options.get("relativePenalties", {}))
        closed = np.linalg.solve(values.T @ values + penalty * np.eye(values.shape[1]), values.T @ z)
        library = Ridge(alpha=penalty, fit_intercept=True, solver="cholesky").fit(values, z)
        for what, weights in [("NumPy", closed), ("scikit-learn", library.coef_)]:
            wanted = weights * scale * std
            difference = np.abs(np.array(found["weights"]) - wanted).max() / np.abs(wanted).max()
            report(f"ridge, {fit}: weights, {what}, relative to the largest", difference, 1e-6)
        predictions = library.predict(values) * std + y.mean()
        difference = np.abs(np.array(found["predictions"]) - predictions).max() / std
        report(f"ridge, {fit}: predictions, in standard deviations of the target", difference, 1e-6)
finish()
