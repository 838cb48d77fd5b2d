"""Eight clipped AdamW steps of PyTorch: test/engine/adamw.fixture.json, which test/engine/adamw.test.ts repeats.

Without an argument the committed file is compared with this machine's PyTorch; `--write` writes it anew.
"""

import json
import math
import sys

import torch

from support import HERE, finish, report

FIXTURE = HERE.parent / "engine" / "adamw.fixture.json"
OPTIONS = {"beta1": 0.9, "beta2": 0.95, "epsilon": 1e-8, "weightDecay": 0.1}
CLIP = 1.0


def reference() -> dict:
    torch.manual_seed(7)
    weights = torch.nn.Parameter(torch.randn(24))
    optimizer = torch.optim.AdamW(
        [weights],
        betas=(OPTIONS["beta1"], OPTIONS["beta2"]),
        eps=OPTIONS["epsilon"],
        weight_decay=OPTIONS["weightDecay"],
        foreach=False,
    )
    start, steps = weights.tolist(), []
    for step in range(8):
        # Magnitudes from 1e-6 to 10, so that epsilon, the clip and its absence all matter somewhere.
        gradient = torch.randn(24) * 10.0 ** torch.linspace(-6, 1 if step % 2 else -1, 24)
        rate = 1e-3 * (step + 1)
        weights.grad = gradient.clone()
        norm = torch.nn.utils.clip_grad_norm_([weights], CLIP)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        state = optimizer.state[weights]
        steps.append(
            {
                "gradient": gradient.tolist(),
                "learningRate": rate,
                "norm": norm.item(),
                "weights": weights.tolist(),
                "m": state["exp_avg"].tolist(),
                "v": state["exp_avg_sq"].tolist(),
            }
        )
    return {"options": OPTIONS, "clip": CLIP, "start": start, "steps": steps}


def difference(a, b) -> float:
    """Largest relative difference of two JSON values; infinite where their structure differs."""
    if isinstance(a, dict):
        return max(difference(a[key], b[key]) for key in a) if a.keys() == b.keys() else math.inf
    if isinstance(a, list):
        return max(map(difference, a, b)) if len(a) == len(b) else math.inf
    return abs(a - b) / max(abs(a), abs(b), 1e-12)


if "--write" in sys.argv:
    FIXTURE.write_text(json.dumps(reference()) + "\n")
else:
    report("AdamW: committed fixture against PyTorch (relative)", difference(reference(), json.loads(FIXTURE.read_text())), 1e-6)
    finish()
