"""Zero-shot evaluation: `mates evaluate` and lm-evaluation-harness, offline, on the same files and the same model.

    lm_eval_tasks.py [--tokenizer tokenizer.json] [--limit N] [TASK.jsonl...]

Every request's log-likelihood and greedy flag, then the metrics with their standard errors. Without files it makes small
ones of every layout from the example corpus, with a tokenizer trained on it. The harness reads the same JSON Lines by
tasks of the `json` data set whose prompts are put together as in its own tasks of the same name.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path

os.environ |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
import lm_eval  # noqa: E402
import numpy as np  # noqa: E402
import torch  # noqa: E402
import yaml  # noqa: E402
from lm_eval.models.huggingface import HFLM  # noqa: E402
from lm_eval.tasks import TaskManager  # noqa: E402
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers  # noqa: E402
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, PreTrainedTokenizerFast  # noqa: E402
from transformers.utils import logging  # noqa: E402

from support import HERE, finish, report  # noqa: E402

logging.set_verbosity_error()
logging.disable_progress_bar()

ROOT = HERE.parent.parent
EXAMPLES = ROOT / "examples" / "corpus"
END_OF_TEXT = "<|endoftext|>"
RESAMPLES = 10_000

# Two layers whose 64 tokens cut long contexts; a Llama with a tokenizer of SentencePiece's kind; the shape of Pythia-70m.
SHAPES = {
    "tiny": dict(hidden_size=64, num_hidden_layers=2, num_attention_heads=4, max_position_embeddings=64),
    "sequential": dict(
        hidden_size=48, num_hidden_layers=2, num_attention_heads=3, max_position_embeddings=200,
        use_parallel_residual=False,
    ),
    "llama": dict(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=64,
    ),
    "70m": dict(hidden_size=512, num_hidden_layers=6, num_attention_heads=8, max_position_embeddings=2048),
}  # fmt: skip

CHOICE = dict(output_type="multiple_choice", doc_to_choice="choices", doc_to_target="gold")
ACC = dict(metric="acc", aggregation="mean", higher_is_better=True)
ACC_NORM = dict(metric="acc_norm", aggregation="mean", higher_is_better=True)
ACC_BYTES = dict(metric="acc_bytes", aggregation="mean", higher_is_better=True)
PERPLEXITY = dict(metric="perplexity", aggregation="perplexity", higher_is_better=False)
NORMED = dict(metric_list=[ACC, ACC_NORM, ACC_BYTES])

# The prompts of the harness's tasks, from the fields that the files have.
ANSWER = CHOICE | NORMED | dict(doc_to_text="{{query.rstrip()}}\nAnswer:")
TASKS = {
    "arc_easy": ANSWER,
    "arc_challenge": ANSWER,
    "piqa": ANSWER,
    "logi_qa": ANSWER,
    "boolq": ANSWER | dict(metric_list=[ACC]),
    "openbook_qa": CHOICE | NORMED | dict(doc_to_text="query"),
    "blimp": CHOICE | NORMED | dict(doc_to_text=""),
    "copa": CHOICE
    | dict(doc_to_text="query", doc_to_choice="{{[' ' + choices[0], ' ' + choices[1]]}}", metric_list=[ACC]),
    "winogrande": dict(
        output_type="multiple_choice",
        doc_to_text="gold",
        doc_to_choice="context_options",
        doc_to_target="continuation",
        metric_list=[ACC],
    ),
    "lambada_openai": dict(
        output_type="loglikelihood",
        doc_to_text="context",
        doc_to_target="{{' ' + continuation.strip()}}",
        metric_list=[PERPLEXITY, ACC],
    ),
    "texts": dict(
        output_type="loglikelihood_rolling",
        doc_to_text="",
        doc_to_target="text",
        metric_list=[
            dict(metric="word_perplexity", aggregation="weighted_perplexity", higher_is_better=False),
            dict(metric="byte_perplexity", aggregation="weighted_perplexity", higher_is_better=False),
            dict(metric="bits_per_byte", aggregation="bits_per_byte", higher_is_better=False),
        ],
    ),
}


def passages() -> list[str]:
    return [json.loads(line)["text"] for line in (EXAMPLES / "reference.jsonl").open()]


def make_tasks(folder: Path) -> list[Path]:
    """A small file of each layout: true continuations among those of other passages, in letters of every length."""
    rng = random.Random(3)
    texts = [text.strip() for text in passages()]
    halves = [(" ".join(words[:18]), " ".join(words[18:26])) for words in map(str.split, texts) if len(words) > 26]
    accents = ["", " caf\u00e9 na\u00efve", " \u6771\u4eac", " \U0001f600\U0001f600"]

    def choices(i: int, of: int):
        gold = rng.randrange(of)
        wrong = [halves[(i + 7 * k + 1) % len(halves)][1] + accents[(i + k) % 4] for k in range(of)]
        wrong[gold] = halves[i][1]
        return dict(query=halves[i][0], choices=wrong, gold=gold)

    def contexts(i: int):
        start, end = halves[i][0].rsplit(" ", 1)
        return dict(context_options=[f"{start} {end}", f"{start} whale"], continuation=halves[i][1], gold=i % 2)

    files = {
        "arc_easy": lambda i: choices(i, 4) | dict(query="Question: " + halves[i][0]),
        "piqa": lambda i: choices(i, 2) | dict(query="Question: " + halves[i][0] + "\n"),
        "boolq": lambda i: dict(query=" ".join(texts[i].split()), choices=["no", "yes"], gold=i % 2),
        "openbook_qa": lambda i: choices(i, 4),
        "blimp": lambda i: choices(i, 2) | dict(query=""),
        "copa": lambda i: choices(i, 2),
        "winogrande": contexts,
        "lambada_openai": lambda i: dict(zip(("context", "continuation"), texts[i % len(texts)].rsplit(" ", 1))),
        "texts": lambda i: dict(text=texts[i] + "\n"),
    }
    for name, line in files.items():
        lines = 100 if name == "lambada_openai" else 24  # the bootstrap of a few lines is too noisy to compare with
        rows = [json.dumps(line(i), ensure_ascii=i % 2 == 0) for i in range(lines)]
        (folder / f"{name}.jsonl").write_text("\n".join(rows) + "\n")
    return [folder / f"{name}.jsonl" for name in files]


def make_tokenizer(file: Path | None) -> PreTrainedTokenizerFast:
    if file:
        tokenizer = Tokenizer.from_file(str(file))
    else:
        tokenizer = Tokenizer(models.BPE())
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        tokenizer.decoder = decoders.ByteLevel()
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(
            vocab_size=1000, special_tokens=[END_OF_TEXT], initial_alphabet=alphabet, show_progress=False
        )
        tokenizer.train_from_iterator(passages(), trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=END_OF_TEXT, eos_token=END_OF_TEXT)


def make_llama_tokenizer() -> PreTrainedTokenizerFast:
    """As Llama 2's: words begin with a low line for their space, and what has no token falls back to its bytes."""
    tokenizer = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("\u2581"), normalizers.Replace(" ", "\u2581")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    words = [word for text in passages() for word in text.replace(" ", " \u2581").split(" ")]
    tokenizer.train_from_iterator(words, trainers.BpeTrainer(vocab_size=900, special_tokens=special, show_progress=False))
    fast = json.loads(tokenizer.to_str())  # bytes are tokens of the vocabulary, not added ones
    fast["added_tokens"] = fast["added_tokens"][:3]
    tokenizer = Tokenizer.from_str(json.dumps(fast))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", 1)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>")


def make_model(folder: Path, shape: str, tokenizer: PreTrainedTokenizerFast) -> None:
    """A random model that has learned a little of the passages, so that some of its greedy choices are right."""
    torch.manual_seed(5)
    sizes = SHAPES[shape]
    kind = LlamaConfig if shape == "llama" else GPTNeoXConfig
    config = kind(vocab_size=-(-len(tokenizer) // 128) * 128, intermediate_size=4 * sizes["hidden_size"], **sizes)
    model = AutoModelForCausalLM.from_config(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3 if shape == "70m" else 1e-2)
    ids = torch.tensor([token for text in passages() for token in tokenizer.encode(text + "\n")])
    quick = shape == "70m" or len(tokenizer) > 10_000  # each step is long: no more than a start
    steps, rows, length = (8, 4, 64) if quick else (400, 16, 64)
    for step in range(steps):
        starts = [(step * rows + row) * length % (len(ids) - length) for row in range(rows)]
        batch = torch.stack([ids[start : start + length] for start in starts])
        model(batch, labels=batch).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model = model.eval()
    if shape == "70m":  # as the published Pythia weights are stored
        model.half().save_pretrained(folder, max_shard_size="60MB")
    else:
        model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)


def theirs(model: Path, files: list[Path], limit: int | None) -> dict:
    with tempfile.TemporaryDirectory() as tasks:
        for file in files:
            config = {
                "task": f"json_{file.stem}",
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(file.resolve())}},
                "test_split": "test",
            }
            (Path(tasks) / f"{file.stem}.yaml").write_text(yaml.safe_dump(config | TASKS[file.stem]))
        return lm_eval.simple_evaluate(
            model=HFLM(pretrained=str(model), dtype="float32", device="cpu", batch_size=8),
            tasks=[f"json_{file.stem}" for file in files],
            task_manager=TaskManager(include_path=tasks, include_defaults=False),
            limit=limit,
            bootstrap_iters=RESAMPLES,
            log_samples=True,
            random_seed=None,
            numpy_random_seed=None,
            torch_random_seed=None,
        )


def ours(model: Path, files: list[Path], limit: int | None) -> tuple[dict, list[dict]]:
    samples = model / "samples.jsonl"
    command = ["node", "bin/mates.js", "evaluate", str(model), "--json", "--samples", str(samples)]
    command += ["--task", *map(str, files)] + (["--limit", str(limit)] if limit else [])
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"mates evaluate failed:\n{done.stdout}{done.stderr}")
    return json.loads(done.stdout.strip().split("\n")[-1]), [json.loads(line) for line in samples.open()]


def bootstrap_noise(log_likelihoods: list[float]) -> float:
    """Relative standard error of the standard deviation of bootstrapped perplexities, by their kurtosis."""
    draws = np.random.default_rng(0).choice(log_likelihoods, (RESAMPLES, len(log_likelihoods)))
    deviations = np.exp(-draws.mean(axis=1))
    deviations -= deviations.mean()
    kurtosis = (deviations**4).mean() / (deviations**2).mean() ** 2
    return ((kurtosis - 1) / (4 * RESAMPLES)) ** 0.5


def relative(a: float, b: float) -> float:
    return abs(a - b) / max(abs(a), abs(b), 1e-30)


def compare(shape: str, model: Path, files: list[Path], limit: int | None) -> int:
    """Reports every difference; the number of greedy continuations, which should not be 0 to test the flags."""
    result, samples = ours(model, files, limit)
    harness = theirs(model, files, limit)
    greedy = 0
    for file, score in zip(files, result["results"], strict=True):
        name = file.stem
        found = [sample for sample in samples if sample["task"] == name]
        documents = sorted(harness["samples"][f"json_{name}"], key=lambda sample: sample["doc_id"])
        metrics = {key.removesuffix(",none"): value for key, value in harness["results"][f"json_{name}"].items()}
        what = f"{shape}, {name}"
        if name == "texts":  # one figure a text, the sum over its windows
            expected = [sample["resps"][0][0] for sample in documents]
            sums: dict[int, float] = {}
            for sample in found:
                sums[sample["line"]] = sums.get(sample["line"], 0) + sample["logLikelihood"]
            worst = max(relative(a, b) for a, b in zip(sums.values(), expected, strict=True))
            report(f"{what}: {len(expected)} log-likelihoods of whole texts (relative)", worst, 1e-5)
            for metric, field in ("word_perplexity", "wordPerplexity"), ("bits_per_byte", "bitsPerByte"):
                report(f"{what}: {metric} (relative)", relative(score[field], metrics[metric]), 1e-5)
            continue
        expected = [tuple(response[0]) for sample in documents for response in sample["resps"]]
        worst = max(abs(a["logLikelihood"] - b[0]) for a, b in zip(found, expected, strict=True))
        report(f"{what}: {len(expected)} log-likelihoods (absolute)", worst, 1e-3)
        report(f"{what}: greedy flags that differ", sum(a["greedy"] != b[1] for a, b in zip(found, expected)), 0)
        greedy += sum(bool(b[1]) for b in expected)
        pairs = [("acc", "acc"), ("acc_norm", "accNorm"), ("acc_bytes", "accBytes")]
        for metric, field in pairs:
            if metric not in metrics:
                continue
            report(f"{what}: {metric}", abs(score[field] - metrics[metric]), 1e-12)
            report(f"{what}: {metric}_stderr", abs(score[f"{field}Stderr"] - metrics[f"{metric}_stderr"]), 1e-12)
        if "perplexity" in metrics:
            report(f"{what}: perplexity (relative)", relative(score["perplexity"], metrics["perplexity"]), 1e-4)
            # Theirs is a bootstrap of so many resamples, with its noise; ours is what it converges to.
            stderr = relative(score["perplexityStderr"], metrics["perplexity_stderr"])
            report(f"{what}: perplexity_stderr (relative)", stderr, 5 * bootstrap_noise([b[0] for b in expected]))
    return greedy


if __name__ == "__main__":  # the harness's bootstrap starts processes that import this file
    parser = argparse.ArgumentParser()
    parser.add_argument("--tokenizer", type=Path)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--shape", choices=SHAPES, action="append")
    parser.add_argument("files", type=Path, nargs="*")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        tasks = [file.resolve() for file in given.files] or make_tasks(folder)
        for shape in given.shape or SHAPES:
            llama = shape == "llama" and not given.tokenizer
            make_model(folder / shape, shape, make_llama_tokenizer() if llama else make_tokenizer(given.tokenizer))
            greedy = compare(shape, folder / shape, tasks, given.limit)
            if shape == "tiny" and greedy == 0 and not given.files:
                sys.exit("no continuation was greedy: the flags were not tested, train the model longer")
    finish()
