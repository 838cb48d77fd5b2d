"""GPT-NeoX and Llama written for speed in PyTorch: fused attention, fused AdamW, and nothing kept that is not needed."""

import json
from pathlib import Path

import numpy
import torch
import torch.nn.functional as F
from torch import nn

class Layer(nn.Module):
    def __init__(self, width: int, heads: int, epsilon: float):
        super().__init__()
        self.heads = heads
        self.input_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.post_attention_layernorm = nn.LayerNorm(width, eps=epsilon)
        self.query_key_value = nn.Linear(width, 3 * width)
        self.dense = nn.Linear(width, width)
        self.up = nn.Linear(width, 4 * width)
        self.down = nn.Linear(4 * width, width)

    def forward(self, x, cos, sin):
        b, s, d = x.shape
        qkv = self.query_key_value(self.input_layernorm(x)).view(b, s, self.heads, -1).transpose(1, 2)
        q, k, v = qkv.chunk(3, dim=-1)
        attended = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True)
        attended = self.dense(attended.transpose(1, 2).reshape(b, s, d))
        return x + attended + self.down(F.gelu(self.up(self.post_attention_layernorm(x))))


def rotate(x, cos, sin):
    turned, passed = x[..., : cos.shape[-1]], x[..., cos.shape[-1] :]
    first, second = turned.chunk(2, dim=-1)
    return torch.cat([turned * cos + torch.cat([-second, first], dim=-1) * sin, passed], dim=-1)


class LlamaLayer(nn.Module):
    def __init__(self, width: int, heads: int, key_value_heads: int, mlp_width: int, epsilon: float):
        super().__init__()
        self.heads, self.key_value_heads = heads, key_value_heads
        key_width = width // heads * key_value_heads
        self.q = nn.Linear(width, width, bias=False)
        self.k = nn.Linear(width, key_width, bias=False)
        self.v = nn.Linear(width, key_width, bias=False)
        self.o = nn.Linear(width, width, bias=False)
        self.gate = nn.Linear(width, mlp_width, bias=False)
        self.up = nn.Linear(width, mlp_width, bias=False)
        self.down = nn.Linear(mlp_width, width, bias=False)
        self.input_layernorm = nn.RMSNorm(width, eps=epsilon)
        self.post_attention_layernorm = nn.RMSNorm(width, eps=epsilon)

    def forward(self, x, cos, sin):
        b, s, d = x.shape
        normed = self.input_layernorm(x)
        q, k, v = (
            project(normed).view(b, s, heads, -1).transpose(1, 2)
            for project, heads in ((self.q, self.heads), (self.k, self.key_value_heads), (self.v, self.key_value_heads))
        )
        attended = F.scaled_dot_product_attention(
            rotate(q, cos, sin), rotate(k, cos, sin), v, is_causal=True, enable_gqa=self.heads != self.key_value_heads
        )
        x = x + self.o(attended.transpose(1, 2).reshape(b, s, d))
        normed = self.post_attention_layernorm(x)
        return x + self.down(F.silu(self.gate(normed)) * self.up(normed))


class Decoder(nn.Module):
    """`shape` is one of `engine/decoder/decoder.ts`; the parameters come in the order of its state dict."""

    def __init__(self, shape: dict, positions: int):
        super().__init__()
        width, heads, epsilon = shape["width"], shape["heads"], shape["layerNormEpsilon"]
        llama = shape.get("architecture") == "llama"
        rest = (shape["keyValueHeads"], shape["mlpWidth"]) if llama else ()
        self.embed_in = nn.Embedding(shape["vocabularySize"], width)
        layer = LlamaLayer if llama else Layer
        self.layers = nn.ModuleList(layer(width, heads, *rest, epsilon) for _ in range(shape["layers"]))
        self.final_layer_norm = (nn.RMSNorm if llama else nn.LayerNorm)(width, eps=epsilon)
        self.embed_out = nn.Linear(width, shape["vocabularySize"], bias=False)
        rotated = int(width // heads * shape.get("rotaryFraction", 1))
        frequencies = shape["rotaryBase"] ** -(torch.arange(0, rotated, 2) / rotated)
        angles = torch.outer(torch.arange(positions), frequencies).repeat(1, 2)
        self.register_buffer("cos", angles.cos(), persistent=False)
        self.register_buffer("sin", angles.sin(), persistent=False)

    def hidden(self, tokens):
        x = self.embed_in(tokens)
        cos, sin = self.cos[: tokens.shape[1]], self.sin[: tokens.shape[1]]
        for layer in self.layers:
            x = layer(x, cos, sin)
        return self.final_layer_norm(x)

    def forward(self, tokens, targets):
        """Mean cross-entropy."""
        return F.cross_entropy(self.embed_out(self.hidden(tokens)).flatten(0, 1), targets.flatten())


def load_case(folder: str, positions: int = 0) -> tuple[Decoder, torch.Tensor]:
    """The model of a folder that `bench/case-folder.ts` wrote, and its rows of tokens [batch, length + 1]. The model
    can read rows of at least `positions` tokens."""
    case = json.loads((Path(folder) / "case.json").read_text())
    model = Decoder(case["shape"], max(positions, case["length"]))
    weights = torch.from_numpy(numpy.fromfile(Path(folder) / "weights.f32", dtype=numpy.float32))
    nn.utils.vector_to_parameters(weights, model.parameters())
    tokens = numpy.fromfile(Path(folder) / "tokens.i32", dtype=numpy.int32)
    return model, torch.from_numpy(tokens).long().view(case["batch"], case["length"] + 1)
