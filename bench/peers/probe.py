"""The exact oracle probe, written plainly in PyTorch: `probe.py FOLDER THREADS`.

Weights and moments are restored for each probe from copies in memory; the published code reads them from the disk.
"""

import json
import sys
from pathlib import Path

import torch
import torch.nn.functional as F

from decoders import load_case
from worker import serve

BATCH = 16
IGNORED = -100

folder, threads = Path(sys.argv[1]), int(sys.argv[2])
torch.set_num_threads(threads)
passages = json.loads((folder / "passages.json").read_text())
settings = json.loads((folder / "probe.json").read_text())
model, rows = load_case(folder, positions=max(len(passage["tokens"]) for passage in passages))
document = rows[:1]
options = settings["optimizer"]
optimizer = torch.optim.AdamW(
    model.parameters(),
    lr=settings["learningRate"],
    betas=(options["beta1"], options["beta2"]),
    eps=options["epsilon"],
    weight_decay=options["weightDecay"],
    fused=True,
)
weights = [parameter.detach().clone() for parameter in model.parameters()]
moments = [(torch.zeros_like(weight), torch.full_like(weight, settings["v"])) for weight in weights]


def restore() -> None:
    with torch.no_grad():
        for parameter, weight, (m, v) in zip(model.parameters(), weights, moments, strict=True):
            parameter.copy_(weight)
            state = optimizer.state[parameter]
            state["step"] = torch.tensor(float(settings["step"]))
            state["exp_avg"] = m.clone()
            state["exp_avg_sq"] = v.clone()


def batches(whole: bool):
    for begin in range(0, len(passages), BATCH):
        part = passages[begin : begin + BATCH]
        length = max(len(passage["tokens"]) for passage in part)
        tokens = torch.zeros(len(part), length, dtype=torch.long)
        targets = torch.full((len(part), length - 1), IGNORED)
        for row, passage in enumerate(part):
            ids = torch.tensor(passage["tokens"])
            first = 1 if whole else passage["firstTarget"]
            tokens[row, : len(ids)] = ids
            targets[row, first - 1 : len(ids) - 1] = ids[first:]
        yield tokens[:, :-1], targets


@torch.no_grad()
def reference_loss(reference) -> float:
    """The mean over passages of the mean over each one's target tokens."""
    total = 0.0
    for tokens, targets in reference:
        logits = model.embed_out(model.hidden(tokens))
        losses = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=IGNORED, reduction="none")
        counts = (targets != IGNORED).sum(1)
        total += (losses.view_as(targets).sum(1) / counts).sum().item()
    return total / len(passages)


def task(whole: bool):
    state = {}

    def influence() -> float:
        if not state:
            restore()
            state["reference"] = list(batches(whole))
            state["baseline"] = reference_loss(state["reference"])
        restore()
        optimizer.zero_grad(set_to_none=True)
        model(document[:, :-1], document[:, 1:]).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clipNorm"])
        optimizer.step()
        return reference_loss(state["reference"]) - state["baseline"]

    return 1, influence


serve({"last word": task(False), "whole passages": task(True)})
