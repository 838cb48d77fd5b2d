"""GPT-NeoX and Llama: logits, loss and gradients of Transformers' models and of ours, on the same directory.

Both ways: a directory that our checkpoint writer made, read by Transformers, and directories that Transformers made (one
file; sharded; float16; unlike Pythia), read by us.
"""

import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import (
    AutoModelForCausalLM,
    GPTNeoXConfig,
    GPTNeoXForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    PreTrainedModel,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen3Config,
    Qwen3ForCausalLM,
)
from transformers.utils import logging

from support import finish, ours, report

logging.set_verbosity_error()
logging.disable_progress_bar()


def relative(ours: torch.Tensor, theirs: torch.Tensor) -> float:
    """Largest difference over the largest value."""
    return ((ours - theirs).abs().max() / theirs.abs().max()).item()


def compare(what: str, directory: Path) -> None:
    result = load_file(directory / "ours.safetensors")
    model = AutoModelForCausalLM.from_pretrained(directory, dtype=torch.float32, attn_implementation="eager")
    tokens = result["tokens"].long()
    output = model(tokens, labels=tokens)
    output.loss.backward()
    with torch.no_grad():
        report(f"{what}: logits (absolute)", (result["logits"] - output.logits).abs().max().item(), 1e-4)
        report(f"{what}: loss (absolute)", (result["loss"] - output.loss).abs().item(), 1e-5)
        # In memory Transformers 5 calls the head of a GPT-NeoX lm_head; on disk it is embed_out.
        head = "embed_out" if model.config.model_type == "gpt_neox" else "lm_head"
        gradients = {name.replace("lm_head", head): p.grad for name, p in model.named_parameters()}
        worst = max(relative(result[f"gradient.{name}"], gradient) for name, gradient in gradients.items())
        report(f"{what}: gradients (relative, worst of {len(gradients)} tensors)", worst, 1e-4)


def compare_saved(what: str, directory: Path, model: PreTrainedModel) -> None:
    """A random model that Transformers saves and we read."""
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    model.save_pretrained(directory)
    ours("write-logits.ts", "read", directory)
    compare(what, directory)


with tempfile.TemporaryDirectory() as folder:
    for rotary in (0.25, 0.5, 1.0):
        directory = Path(folder) / f"ours-{rotary}"
        ours("write-logits.ts", "create", directory, rotary)
        compare(f"GPT-NeoX made by us, rotary {rotary}", directory)
    kinds = {
        "other": "GPT-NeoX made by us, unlike Pythia",
        "llama": "Llama made by us",
        "other-llama": "Qwen2 made by us, tied, with Llama 3's positions",
        "qwen3-llama": "Qwen3 made by us, with biases",
    }
    for kind, what in kinds.items():
        directory = Path(folder) / f"ours-{kind}"
        ours("write-logits.ts", "create", directory, 0.5, kind)
        compare(what, directory)

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
        compare_saved(f"GPT-NeoX made by Transformers, {what}", Path(folder) / what, other)

    cases = {"one file": {}, "sharded": {"max_shard_size": "60KB"}, "sequential residual": {}, "float16": {}}
    for what, options in cases.items():
        directory = Path(folder) / what
        model.config.use_parallel_residual = what != "sequential residual"
        (model.half() if what == "float16" else model).save_pretrained(directory, **options)
        if what == "sharded" and not (directory / "model.safetensors.index.json").exists():
            raise SystemExit("the model was not sharded: lower max_shard_size")
        ours("write-logits.ts", "read", directory)
        compare(f"GPT-NeoX made by Transformers, {what}", directory)

    shape = {
        "vocab_size": 200,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "intermediate_size": 100,
        "max_position_embeddings": 64,
    }
    stretched = {
        "rope_type": "llama3",
        "rope_theta": 500.0,
        "factor": 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    }
    llamas = {
        "Llama": LlamaForCausalLM(LlamaConfig(**shape)),
        "Llama, positions as in Llama 3.1": LlamaForCausalLM(LlamaConfig(**shape, rope_parameters=stretched)),
        "Llama, all biases": LlamaForCausalLM(LlamaConfig(**shape, attention_bias=True)),
        "Llama, heads of their own width": LlamaForCausalLM(LlamaConfig(**shape, head_dim=12)),
        "Mistral": MistralForCausalLM(MistralConfig(**shape, sliding_window=None)),
        "Qwen2, a tied head": Qwen2ForCausalLM(Qwen2Config(**shape, tie_word_embeddings=True)),
        "Qwen3, a tied head": Qwen3ForCausalLM(Qwen3Config(**shape, head_dim=12, tie_word_embeddings=True)),
    }
    for what, model in llamas.items():
        compare_saved(f"{what}, made by Transformers", Path(folder) / what, model)
finish()
