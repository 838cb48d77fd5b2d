"""A pretraining step in PyTorch that keeps docs/trainer-contract.md: a start for a trainer of one's own.

    npx mates conformance --command "python test/parity/trainer/train.py"

It trains one arm for one stage: on a GPU, where there is one, in bfloat16 with float32 weights, else in float32. It needs
torch, transformers, safetensors, numpy, pyarrow and fsspec, and for s3:// also s3fs.
"""

import hashlib
import io
import json
import os
import signal
import sys
import time
from pathlib import Path

import fsspec
import numpy as np
import pyarrow.parquet as pq
import torch
from safetensors.torch import load, save
from transformers import AutoModelForCausalLM, GPTNeoXConfig, LlamaConfig, PreTrainedConfig, Qwen2Config, Qwen3Config

from order import training_order

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
INTERRUPTED = 75


class Store:
    """A folder on a disk or on S3. What is there is whole: on S3 a put is atomic, on a disk a file is renamed to its place."""

    def __init__(self, uri: str) -> None:
        self.fs, self.root = fsspec.core.url_to_fs(uri)
        self.local = "file" in self.fs.protocol

    def path(self, key: str) -> str:
        return f"{self.root}/{key}"

    def has(self, key: str) -> bool:
        return self.fs.exists(self.path(key))

    def get(self, key: str) -> bytes:
        return self.fs.cat_file(self.path(key))

    def json(self, key: str) -> dict:
        return json.loads(self.get(key))

    def put(self, key: str, content: bytes) -> None:
        path = self.path(key)
        if not self.local:
            self.fs.pipe_file(path, content)
            return
        self.fs.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
        beside = f"{path}.{os.getpid()}.tmp"
        with open(beside, "wb") as file:
            file.write(content)
            os.fsync(file.fileno())
        os.replace(beside, path)

    def folders(self, key: str) -> list[str]:
        return [Path(path).name for path in self.fs.ls(self.path(key), detail=False)] if self.has(key) else []

    def remove(self, key: str) -> None:
        if self.has(key):
            self.fs.rm(self.path(key), recursive=True)


def model_config(config: dict, corpus: dict) -> PreTrainedConfig:
    model, multiple = config["model"], config["model"]["vocabularyMultiple"]
    padded = -(-corpus["tokenizer"]["vocabularySize"] // multiple) * multiple
    common = {
        "vocab_size": model.get("vocabularySize", padded),
        "hidden_size": model["width"],
        "num_hidden_layers": model["layers"],
        "num_attention_heads": model["heads"],
        "intermediate_size": model.get("mlpWidth", 4 * model["width"]),
        "max_position_embeddings": corpus["sequenceLength"],
        "initializer_range": model["initializerStd"],
        "tie_word_embeddings": model["tiedEmbeddings"],
        "use_cache": False,
        "bos_token_id": corpus["tokenizer"]["endOfText"],
        "eos_token_id": corpus["tokenizer"]["endOfText"],
    }
    if model["architecture"] == "llama":
        return llama_config(model, common)
    return GPTNeoXConfig(
        **common,
        hidden_act={"gelu": "gelu", "gelu-tanh": "gelu_pytorch_tanh"}[model["activation"]],
        attention_bias=model["attentionBias"],
        rope_parameters={
            "rope_type": "default",
            "rope_theta": model["rotaryBase"],
            "partial_rotary_factor": model["rotaryFraction"],
        },
        layer_norm_eps=model["layerNormEpsilon"],
        use_parallel_residual=model["parallelResidual"],
        architectures=["GPTNeoXForCausalLM"],
    )


def llama_config(model: dict, common: dict) -> PreTrainedConfig:
    scaling = model.get("rotaryScaling")
    rope = {"rope_type": "llama3" if scaling else "default", "rope_theta": model["rotaryBase"]}
    if scaling:
        rope |= {
            "factor": scaling["factor"],
            "low_freq_factor": scaling["lowFrequencyFactor"],
            "high_freq_factor": scaling["highFrequencyFactor"],
            "original_max_position_embeddings": scaling["originalLength"],
        }
    common |= {
        "head_dim": model.get("headWidth", model["width"] // model["heads"]),
        "num_key_value_heads": model.get("keyValueHeads", model["heads"]),
        "rms_norm_eps": model["layerNormEpsilon"],
        "rope_parameters": rope,
    }
    if model["attentionBias"] == "qkv":  # Qwen2 is a Llama with these biases
        return Qwen2Config(**common, architectures=["Qwen2ForCausalLM"])
    common["attention_bias"] = model["attentionBias"]
    if model.get("queryKeyNorm"):
        return Qwen3Config(**common, architectures=["Qwen3ForCausalLM"])
    return LlamaConfig(**common, architectures=["LlamaForCausalLM"])


def named_parameters(model) -> dict[str, torch.nn.Parameter]:
    """By their names in files: transformers 5 calls the head of a GPT-NeoX `lm_head` in memory alone."""
    head = "embed_out." if model.config.model_type == "gpt_neox" else "lm_head."
    return {name.replace("lm_head.", head): parameter for name, parameter in model.named_parameters()}


def pretrained_weights(store: Store) -> dict[str, torch.Tensor]:
    """Of a Hugging Face directory, in one file or several."""
    index = "model.safetensors.index.json"
    files = set(json.loads(store.get(index))["weight_map"].values()) if store.has(index) else {"model.safetensors"}
    return {name: weight for file in files for name, weight in load(store.get(file)).items()}


def save_checkpoint(store: Store, prefix: str, model, optimizer, settings: dict, state: dict) -> None:
    """`training.json` goes last: before it is there, nothing is."""
    store.remove(f"{prefix}/training.json")
    names = named_parameters(model)
    moments = {
        f"{moment}.{name}": optimizer.state[parameter][moment].cpu()
        for name, parameter in names.items()
        for moment in ("exp_avg", "exp_avg_sq")
    }
    files = {
        "config.json": model.config.to_json_string(use_diff=False).encode(),
        "model.safetensors": save({name: parameter.detach().cpu().contiguous() for name, parameter in names.items()}),
        "optimizer.safetensors": save(moments),
    }
    for name, content in files.items():
        store.put(f"{prefix}/{name}", content)
    record = {
        "format": "mates-checkpoint/1",
        "state": state,
        "optimizer": {**{key: settings[key] for key in ("beta1", "beta2", "epsilon", "weightDecay")}, "step": state["step"]},
        "sha256": {name: hashlib.sha256(content).hexdigest() for name, content in files.items()},
    }
    store.put(f"{prefix}/training.json", json.dumps(record).encode())


def load_checkpoint(store: Store, prefix: str, model, optimizer) -> dict:
    """Weights, moments and step count into the model and its optimizer; returns `state`."""
    state = store.json(f"{prefix}/training.json")["state"]
    weights = load(store.get(f"{prefix}/model.safetensors"))
    moments = load(store.get(f"{prefix}/optimizer.safetensors"))
    for name, parameter in named_parameters(model).items():
        parameter.data.copy_(weights[name])
        optimizer.state[parameter] = {
            "step": torch.tensor(float(state["step"]), device=DEVICE),
            **{moment: moments[f"{moment}.{name}"].to(DEVICE) for moment in ("exp_avg", "exp_avg_sq")},
        }
    return state


def read_rows(corpus_store: Store, corpus: dict, rows: np.ndarray) -> np.ndarray:
    """The tokens of the rows, [rows, sequenceLength], in the order of `rows`: two or four bytes each."""
    length = corpus["sequenceLength"]
    dtype = np.dtype(corpus["dtype"]).newbyteorder("<")
    tokens = np.empty((len(rows), length), dtype)
    for shard in corpus["shards"]:
        mine = (rows >= shard["firstRow"]) & (rows < shard["firstRow"] + shard["rows"])
        if mine.any():
            content = np.frombuffer(corpus_store.get(shard["tokens"]["key"]), dtype).reshape(-1, length)
            tokens[mine] = content[rows[mine] - shard["firstRow"]]
    return tokens


def main() -> int:
    stop = []
    signal.signal(signal.SIGTERM, lambda *_: stop.append("a signal"))
    deadline = time.monotonic() + 3600 * float(os.environ.get("MATES_DEADLINE_HOURS", "inf"))

    run = Store(os.environ["MATES_RUN_URI"])
    stage, arm = int(os.environ["MATES_STAGE"]), os.environ["MATES_ARM"]
    folder = lambda k, of: f"stages/{k}/control" if of == "control" else f"stages/{k}"  # noqa: E731
    here = folder(stage, arm)
    if run.has(f"{here}/checkpoint/training.json"):
        run.remove(f"{here}/partial-checkpoint")
        return 0

    record, plan = run.json("run.json"), run.json(f"stages/{stage}/plan.json")
    config = record["config"]
    settings = config["pretrain"]
    corpus_store = Store(f"{os.environ['MATES_RUN_URI']}/corpus" if record["corpus"] == "corpus" else record["corpus"])
    corpus = corpus_store.json("corpus.json")
    selected = pq.read_table(io.BytesIO(run.get(f"{here}/selection.parquet")))["row"].to_numpy()
    order = training_order(len(selected), config["seed"], stage)[: plan["consumedRows"]]
    tokens = read_rows(corpus_store, corpus, selected[order])

    torch.manual_seed(config["seed"])
    torch.set_float32_matmul_precision("high")
    model = AutoModelForCausalLM.from_config(model_config(config, corpus), dtype=torch.float32).to(DEVICE).train()
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=settings["learningRate"],
        betas=(settings["beta1"], settings["beta2"]),
        eps=settings["epsilon"],
        weight_decay=settings["weightDecay"],
        fused=True,
    )
    metrics = {"format": "mates-training/1", "firstStep": plan["firstStep"]}
    metrics |= {"loss": [], "gradientNorm": [], "learningRate": [], "tokens": 0}
    partials = f"{here}/partial-checkpoint"
    whole = [int(step) for step in run.folders(partials) if run.has(f"{partials}/{step}/training.json")]
    if whole:
        metrics = load_checkpoint(run, f"{partials}/{max(whole)}", model, optimizer)["metrics"]
    elif stage > 0:  # the random first stage is shared: the control leaves the main arm after it
        load_checkpoint(run, f"{folder(stage - 1, 'main' if stage == 1 else arm)}/checkpoint", model, optimizer)
    elif given := config["model"].get("pretrained"):
        weights = pretrained_weights(Store(given))
        for name, parameter in named_parameters(model).items():
            parameter.data.copy_(weights[name])

    batch, micro, length = settings["batchRows"], settings["microBatchRows"], corpus["sequenceLength"]
    saved_at = time.monotonic()

    def state(done: int, **more) -> dict:
        step = plan["firstStep"] + done
        return {"step": step, "tokens": step * batch * length, **more}

    for done in range(len(metrics["loss"]), plan["steps"]):
        rate = settings["learningRate"] * min(1, (plan["firstStep"] + done + 1) / max(1, settings["warmupSteps"]))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = 0.0
        for first in range(done * batch, (done + 1) * batch, micro):
            ids = torch.from_numpy(tokens[first : first + micro].astype(np.int64)).to(DEVICE)
            with torch.autocast(DEVICE, torch.bfloat16, enabled=DEVICE == "cuda"):
                logits = model(input_ids=ids).logits[:, :-1]
            part = torch.nn.functional.cross_entropy(logits.flatten(0, 1).float(), ids[:, 1:].flatten()) * micro / batch
            part.backward()
            loss += part.item()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), settings["clipNorm"]).item()
        if not (np.isfinite(loss) and np.isfinite(norm)):
            print(f"step {done + 1}: the loss is {loss}, the gradient's norm {norm}: lower the learning rate", file=sys.stderr)
            return 1
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        for name, value in (("loss", loss), ("gradientNorm", norm), ("learningRate", rate)):
            metrics[name].append(value)
        metrics["tokens"] += batch * length
        progress = {"step": "Pretrain", "done": done + 1, "total": plan["steps"], "unit": "steps", "note": f"loss {loss:.3f}"}
        print(json.dumps({"progress": progress}), flush=True)

        if done + 1 == plan["steps"]:
            break
        now = time.monotonic()
        interrupted = bool(stop) or now > deadline
        due = (done + 1) % settings["checkpointEverySteps"] == 0 or now > saved_at + 60 * settings["checkpointEveryMinutes"]
        if interrupted or due:
            before = run.folders(partials)
            place = str(plan["firstStep"] + done + 1)
            save_checkpoint(run, f"{partials}/{place}", model, optimizer, settings, state(done + 1, metrics=metrics))
            for older in before:
                if older != place:
                    run.remove(f"{partials}/{older}")
            saved_at = now
        if interrupted:
            print(f"stopped after step {done + 1} of {plan['steps']}; it resumes there", file=sys.stderr)
            return INTERRUPTED

    run.put(f"{here}/metrics.json", json.dumps(metrics).encode())
    save_checkpoint(run, f"{here}/checkpoint", model, optimizer, settings, state(plan["steps"]))
    run.remove(partials)
    return 0


sys.exit(main())
