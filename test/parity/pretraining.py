"""A stage trained by PyTorch (trainer/train.py) from our checkpoint, moments included, on the same rows in the same order:
the same losses, gradient norms and weights; and `mates conformance` finds that trainer to keep the contract."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from support import HERE, finish, report

ROOT = HERE.parent.parent
TRAINER = HERE / "trainer" / "train.py"
MATES = ["node", str(ROOT / "bin" / "mates.js")]
STAGE = "stages/1"


def succeed(command: list, **more) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if done.returncode != 0:
        sys.exit(f"{' '.join(map(str, command))} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def largest(found, wanted) -> float:
    """The largest difference, relative to the largest value."""
    found, wanted = np.asarray(found), np.asarray(wanted)
    return float(np.abs(found - wanted).max() / np.abs(wanted).max()) if found.shape == wanted.shape else np.nan


def stage_by_both(what: str, folder: Path, *model: str) -> None:
    # Two micro-batches a step, and rows at random, which cost nothing to select.
    changes = ["selection.method=random", "control=none", "pretrain.microBatchRows=4", "evaluation.rowsPerDomain=1", *model]
    sets = [word for change in changes for word in ("--set", change)]
    succeed([*MATES, "run", ROOT / "examples/smoke.json", "--out", folder, "--run-id", "ours", *sets], cwd=ROOT)
    ours, theirs = folder / "runs/ours", folder / "runs/theirs"
    shutil.copytree(ours, theirs)
    shutil.rmtree(theirs / STAGE / "checkpoint")
    (theirs / STAGE / "metrics.json").unlink()
    given = {"MATES_RUN_URI": theirs.as_uri(), "MATES_STAGE": "1", "MATES_ARM": "main", "MATES_TASK": "pretrain"}
    succeed([sys.executable, TRAINER], env={**os.environ, **given})

    wanted, found = (json.loads((run / STAGE / "metrics.json").read_text()) for run in (ours, theirs))
    for name in ("loss", "gradientNorm", "learningRate"):
        report(f"{what}, a stage of {len(wanted['loss'])} steps in PyTorch: {name} (relative)", largest(found[name], wanted[name]), 1e-5)
    for file in ("model", "optimizer"):
        weights, theirs_too = (load_file(run / STAGE / f"checkpoint/{file}.safetensors") for run in (ours, theirs))
        difference = max(largest(theirs_too[name], weights[name]) for name in weights) if weights.keys() == theirs_too.keys() else np.nan
        report(f"{what}, the same: {file}.safetensors (relative to each array's largest)", difference, 2e-3)


with tempfile.TemporaryDirectory() as folder:
    stage_by_both("GPT-NeoX", Path(folder) / "gpt-neox")
    llama = ["architecture=llama", "keyValueHeads=2", "mlpWidth=172", "attentionBias=qkv"]
    stage_by_both("Llama", Path(folder) / "llama", *(f"model.{field}" for field in llama))

said = subprocess.run(
    [*MATES, "conformance", "--command", f'"{sys.executable}" "{TRAINER}"', "--json"], cwd=ROOT, capture_output=True, text=True
).stdout
results = json.loads(said.strip().splitlines()[-1])["results"]
for result in results:
    if result["status"] == "fail":
        print(f"{result['rule']}: {result.get('detail', '')}", file=sys.stderr)
broken = sum(result["status"] in ("fail", "skipped") for result in results)
report(f"trainer/train.py: rules of the contract that it breaks (of {len(results)})", broken, 0)
finish()
