"""Files by the Python library and by engine/files/safetensors.ts: byte for byte the same, and read alike."""

import tempfile
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from support import finish, ours, report

with tempfile.TemporaryDirectory() as folder:
    theirs, rewritten = Path(folder) / "theirs.safetensors", Path(folder) / "rewritten.safetensors"
    torch.manual_seed(3)

    # 1. float32: we read the library's file and write it again.
    tensors = {
        "b.weight": torch.randn(3, 5),
        "a.bias": torch.randn(7),
        "scalar": torch.tensor(2.5),
        "empty": torch.zeros(0, 4),
        "special": torch.tensor([0.0, -0.0, float("inf"), float("-inf"), float("nan"), 1e-45]),
        'ünïcode "quoted" \\ 名前': torch.randn(2, 2, 2),
        "z" * 61: torch.randn(1),
    }
    save_file(tensors, theirs, metadata={"format": "pt"})
    ours("write-safetensors.ts", theirs, rewritten)
    same = theirs.read_bytes() == rewritten.read_bytes()
    report("safetensors: float32 file written again (bytes differ: 1)", float(not same), 0)

    # 2. Other types: converted to float32 as PyTorch converts them.
    values = torch.cat([torch.randn(1000) * 10.0 ** torch.linspace(-8, 4, 1000), torch.tensor([0.0, 65504.0, 6e-8])])
    other = {
        "f16": values.to(torch.float16),
        "bf16": values.to(torch.bfloat16),
        "f64": values.to(torch.float64) / 3,
        "i64": torch.arange(-500, 500),
        "i32": torch.arange(-500, 500, dtype=torch.int32),
        "u8": torch.arange(256, dtype=torch.uint8),
        "bool": torch.tensor([True, False, True]),
    }
    save_file(other, theirs)
    ours("write-safetensors.ts", theirs, rewritten)
    read = load_file(rewritten)
    for name, tensor in other.items():
        expected = tensor.to(torch.float32)
        equal = read[name].shape == expected.shape and np.array_equal(read[name].numpy(), expected.numpy())
        report(f"safetensors: {name} read as float32 (values differ: 1)", float(not equal), 0)
finish()
