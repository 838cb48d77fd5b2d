"""Training steps and forward passes of PyTorch: `training.py FOLDER THREADS eager|compile`."""

import sys

import torch

from decoders import load_case
from worker import serve

folder, threads, mode = sys.argv[1], int(sys.argv[2]), sys.argv[3]
torch.set_num_threads(threads)
model, rows = load_case(folder)
optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=0.1, fused=True)
read, predicted = rows[:, :-1].contiguous(), rows[:, 1:].contiguous()
loss_of = torch.compile(model) if mode == "compile" else model


def train() -> float:
    optimizer.zero_grad(set_to_none=True)
    loss = loss_of(read, predicted)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    return loss.item()


@torch.no_grad()
def forward() -> float:
    return loss_of(read, predicted).item()


serve({"train": (read.numel(), train), "forward": (read.numel(), forward)})
