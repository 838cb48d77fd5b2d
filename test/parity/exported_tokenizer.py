"""An exported model's tokenizer: AutoTokenizer's ids against those of tokenizer.json itself, and lm_eval's prefix token.

The tokenizer is unlike Pythia's: it cuts numbers into digits, and another token ends its documents.
"""

import json
import tempfile
from pathlib import Path

from lm_eval.models.huggingface import HFLM
from tokenizers import Tokenizer
from transformers import AutoTokenizer

from support import finish, mates, report

TEXTS = ["hello world 12345, in 2024", "  two  spaces\n\n", 'He said: "naïve"</s>and left', "<|endoftext|>"]

with tempfile.TemporaryDirectory() as folder:
    folder = Path(folder)
    digits = {"type": "Digits", "individual_digits": True}
    made = ["--tokenizer", "train:600", "--sequence-length", 32, "--out", folder / "made"]
    mates("prepare", "--input", "examples/corpus/logs.jsonl.gz", *made)
    tokenizer = json.loads((folder / "made/tokenizer.json").read_text().replace("<|endoftext|>", "<|stop|>"))
    tokenizer["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, tokenizer["pre_tokenizer"]]}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    for name in ("reference", "held-out"):
        lines = (json.dumps({"text": f"a {name} passage of some words, number {i}"}) for i in range(8))
        (folder / f"{name}.jsonl").write_text("\n".join(lines))
    config = {
        "corpus": {
            "input": ["builtin:corpus/logs.jsonl.gz"],
            "tokenizer": {"file": "tokenizer.json", "endOfText": "<|stop|>"},
            "sequenceLength": 32,
        },
        "reference": {"input": "reference.jsonl", "passages": 8},
        "heldOut": {"input": "held-out.jsonl", "passages": 8},
        "model": {"layers": 1, "width": 16, "heads": 2},
        "pretrain": {"stages": 1, "stepsPerStage": 2, "warmupSteps": 1, "decaySteps": 1},
        "pools": {"holdOut": 0.2, "warmup": 0.2},
    }
    (folder / "run.json").write_text(json.dumps(config))
    mates("run", folder / "run.json", "--out", folder / "out")
    mates("export", folder / "out/runs/run", "--out", folder / "model")

    theirs = AutoTokenizer.from_pretrained(folder / "model")
    plain = Tokenizer.from_file(str(folder / "model/tokenizer.json"))
    differing = sum(
        theirs(text, add_special_tokens=False)["input_ids"] != plain.encode(text, add_special_tokens=False).ids
        for text in TEXTS
    )
    report("exported tokenizer: texts that AutoTokenizer reads otherwise", differing, 0)
    report("exported tokenizer: ids that the model lacks", len(theirs) - plain.get_vocab_size(), 0)
    end = plain.token_to_id("<|stop|>")
    report("exported tokenizer: token that ends documents (id)", abs(theirs.eos_token_id - end), 0)
    model = HFLM(pretrained=str(folder / "model"), device="cpu")
    report("exported tokenizer: lm_eval's prefix token (id)", abs(model.prefix_token_id - end), 0)
finish()
