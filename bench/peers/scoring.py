"""Scores of an influence model, computed with transformers: `scoring.py FOLDER THREADS LONGEST given|sorted`.

Batches have 32 texts, padded to their longest, in the given order or sorted by length as sentence-transformers does.
"""

import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from transformers import BertModel, PreTrainedTokenizerFast
from transformers.utils import logging

from worker import serve

BATCH = 32

logging.set_verbosity_error()
logging.disable_progress_bar()
folder, threads, longest, order = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
torch.set_num_threads(threads)
texts = json.loads((folder / "texts.json").read_text())
tokenizer = PreTrainedTokenizerFast(
    tokenizer_file=str(folder / "model/tokenizer.json"), pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
)
state = {}


def model():
    if not state:
        state["bert"] = BertModel.from_pretrained(folder / "model", add_pooling_layer=False).eval()
        weights = load_file(folder / "model/model.safetensors")
        state["head"] = weights["regressor.weight"][0], weights["regressor.bias"]
    return state["bert"], state["head"]


def tokenize() -> int:
    return len(tokenizer(texts, truncation=True, max_length=longest)["input_ids"])


@torch.inference_mode()
def score() -> list[float]:
    bert, (weight, bias) = model()
    numbers = list(range(len(texts)))
    if order == "sorted":
        numbers.sort(key=lambda i: -len(texts[i]))
    scores = torch.empty(len(texts))
    for begin in range(0, len(texts), BATCH):
        part = numbers[begin : begin + BATCH]
        batch = tokenizer(
            [texts[i] for i in part], padding=True, truncation=True, max_length=longest, return_tensors="pt", return_token_type_ids=False
        )
        mask = batch["attention_mask"].unsqueeze(-1)
        pooled = (bert(**batch).last_hidden_state * mask).sum(1) / mask.sum(1)
        scores[part] = pooled @ weight + bias
    return scores.tolist()


serve({"tokenize": (len(texts), tokenize), "float32": (len(texts), score), "int8": (len(texts), score)})
