"""GPT-NeoX: logits, loss and gradients of Transformers' GPTNeoXForCausalLM and of ours, on the same directory.

Both ways: a directory that our checkpoint writer made, read by Transformers, and directories that Transformers made (one
file; sharded; float16; unlike Pythia), read by us.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import GPTNeoXConfig, GPTNeoXForCausalLM
from transformers.utils import logging

from support import finish, ours, report

logging.set_verbosity_error()
logging.disable_progress_bar()


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def compare(what: str, directory: Path) -> None:
    result = load_file(directory / "ours.safetensors")
    model = GPTNeoXForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    tokens = result["tokens"].long()
    output = model(tokens, labels=tokens)
    output.loss.backward()
    with torch.no_grad():
        report(f"{what}: logits (absolute)", (result["logits"] - output.logits).abs().max().item(), 1e-4)
        report(f"{what}: loss (absolute)", (result["loss"] - output.loss).abs().item(), 1e-5)
        # In memory Transformers 5 calls the head lm_head; on disk it is embed_out.
        gradients = {name.replace("lm_head", "embed_out"): p.grad for name, p in model.named_parameters()}
        worst = max(relative(result[f"gradient.{name}"], gradient) for name, gradient in gradients.items())
        report(f"{what}: gradients (relative, worst of {len(gradients)} tensors)", worst, 1e-4)


with tempfile.TemporaryDirectory() as folder:
    for rotary in (0.25, 0.5, 1.0):
        directory = Path(folder) / f"ours-{rotary}"
        ours("write-logits.ts", "create", directory, rotary)
        compare(f"GPT-NeoX made by us, rotary {rotary}", directory)
    directory = Path(folder) / "ours-other"
    ours("write-logits.ts", "create", directory, 0.5, "other")
    compare("GPT-NeoX made by us, unlike Pythia", directory)

    torch.manual_seed(1)
    config = GPTNeoXConfig(
        vocab_size=200,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=160,
        max_position_embeddings=64,
        rope_parameters={"rope_type": "default", "rope_theta": 1234.0, "partial_rotary_factor": 0.5},
    )
    model = GPTNeoXForCausalLM(config)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    others = {
        "an MLP of another width, GELU by tanh": {"intermediate_size": 100, "hidden_act": "gelu_new"},
        "no biases in attention": {"attention_bias": False},
        "a tied head": {"tie_word_embeddings": True},
    }
    for what, changes in others.items():
        other = GPTNeoXForCausalLM(GPTNeoXConfig(**{**config.to_dict(), **changes}))
        for parameter in other.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        directory = Path(folder) / what
        other.save_pretrained(directory)
        ours("write-logits.ts", "read", directory)
        compare(f"GPT-NeoX made by Transformers, {what}", directory)

    cases = {"one file": {}, "sharded": {"max_shard_size": "60KB"}, "sequential residual": {}, "float16": {}}
    for what, options in cases.items():
        directory = Path(folder) / what
        model.config.use_parallel_residual = what != "sequential residual"
        (model.half() if what == "float16" else model).save_pretrained(directory, **options)
        if what == "sharded" and not (directory / "model.safetensors.index.json").exists():
            raise SystemExit("the model was not sharded: lower max_shard_size")
        ours("write-logits.ts", "read", directory)
        compare(f"GPT-NeoX made by Transformers, {what}", directory)
finish()
