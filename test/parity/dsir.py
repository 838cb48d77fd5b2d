"""DSIR by PyPI `data-selection` and by core/dsir: the same counts and log weights in the mode that has the package's
buckets, and nearly the same order in the fast one. `--write` also writes test/dsir/data-selection.json, which
test/dsir/package.test.ts compares with."""

import gzip
import json
import sys
import tempfile
import unicodedata
from pathlib import Path

import numpy as np
from data_selection import HashedNgramDSIR, hashed_ngram_dsir
from scipy import stats

from support import HERE, finish, ours, report

FIXTURE = HERE.parent / "dsir" / "data-selection.json"
CORPUS = HERE.parent.parent / "examples" / "corpus"
ODD = [
    "",
    " \t\n",
    "one",
    "Two words",
    "It's 3.14, isn't it? (yes!)  --  www.example.org/a_b?c=d",
    "ΑΣ ΟΔΟΣ ΣΟΦΟΣ. İstanbul, STRASSE, straße, ǅ, ﬁ",
    "naïve café naı̈ve cafe\u0301 हिन्दी भाषा ไทย ภาษา 한국어 日本語テスト",
    "x² ½ ⅷ ٣٤ 𝟘𝟙 \u0bf0 ㊿ 𐐀𐐨 𞤀𞤢 😀😀 👩\u200d🔬 \ufeffbom\u00a0nbsp\u2028line\u001fsep\u0085nel",
]
LONG = "a" * 20_000 + " " + "b c " * 9_000


def read(path: Path) -> list[str]:
    opened = gzip.open(path, "rt") if path.suffix == ".gz" else open(path)
    with opened as lines:
        rows = [json.loads(line) for line in lines]
    return [row.get("text") or f"{row['context']} {row['continuation']}" for row in rows]


class Recorded(HashedNgramDSIR):
    """The package's class, which keeps only probabilities, with the counts that it makes them from."""

    counts: dict = {}

    def _fit_bow(self, paths, *arguments, **named):
        self.counts[paths[0]] = super()._fit_bow(paths, *arguments, **named)
        return self.counts[paths[0]]


def package(reference: list[str], pool: list[str]) -> dict:
    """What the package gives, with the texts as its data sets."""
    with tempfile.TemporaryDirectory() as cache:
        dsir = Recorded(
            ["pool"],
            ["reference"],
            cache,
            num_proc=1,
            raw_load_dataset_fn=lambda _: pool,
            target_load_dataset_fn=lambda _: reference,
            raw_parse_example_fn=lambda text: text,
            target_parse_example_fn=lambda text: text,
        )
        dsir.fit_importance_estimator(num_tokens_to_fit="all")
        dsir.compute_importance_weights()
        return {
            **dsir.counts,
            "logRatio": dsir.log_diff,
            "logWeights": np.load(f"{cache}/log_importance_weights/0.npy"),
            "words": np.load(f"{cache}/perexample_metadata/0.npy"),
        }


def with_other_hash(reference: list[str], pool: list[str]) -> np.ndarray:
    """The package's log weights if its hash were another: how much of the order is an accident of shared buckets."""
    original = hashed_ngram_dsir.hash_buckets
    hashed_ngram_dsir.hash_buckets = lambda text, num_buckets: original(f"other {text}", num_buckets)
    try:
        return package(reference, pool)["logWeights"]
    finally:
        hashed_ngram_dsir.hash_buckets = original


def compare(name: str, reference: list[str], pool: list[str], fast: bool) -> None:
    theirs = package(reference, pool)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "texts.json").write_text(json.dumps({"reference": reference, "pool": pool}))
        ours("write-dsir.ts", folder)
        found = {mode: json.loads((Path(folder) / f"{mode}.json").read_text()) for mode in ["package", "fast"]}
    same = found["package"]
    for side in ["reference", "pool"]:
        different = np.count_nonzero(np.asarray(same[side]) != theirs[side])
        report(f"DSIR, {name}: {side} counts that differ (of 10,000)", different, 0)
    report(f"DSIR, {name}: log ratios", np.abs(np.asarray(same["logRatio"]) - theirs["logRatio"]).max(), 1e-12)
    # Relative to the size of the terms that are added up.
    scale = 1 + np.abs(theirs["logRatio"]).max() * 2 * theirs["words"]
    weights = {mode: np.array([score["logWeight"] for score in found[mode]["scores"]]) for mode in found}
    difference = np.abs(weights["package"] - theirs["logWeights"]) / scale
    report(f"DSIR, {name}: log weights, relative", difference.max(), 1e-12)
    words = np.array([(score["ngrams"] + 1) // 2 for score in same["scores"]])
    report(f"DSIR, {name}: texts whose number of words differs", np.count_nonzero(words != theirs["words"]), 0)
    if fast:
        order = stats.spearmanr(weights["fast"], theirs["logWeights"]).statistic
        other = stats.spearmanr(with_other_hash(reference, pool), theirs["logWeights"]).statistic
        report(f"DSIR, {name}: 1 - rank correlation of the fast mode", 1 - order, max(0.01, 1.2 * (1 - other)))
        report(f"DSIR, {name}: (the package with another hash: {1 - other:.1e})", 0, 0)


def every_character() -> list[str]:
    """Texts with each character that this Python knows, between letters and alone; half of a pair is none."""
    known = [chr(c) for c in range(0x110000) if unicodedata.category(chr(c)) not in ("Cn", "Cs")]
    return ["".join(f"a{c}B {c} " for c in known[i : i + 500]) for i in range(0, len(known), 500)]


def fixture() -> dict:
    theirs = package(ODD[3:5], ODD)
    counts = [hashed_ngram_dsir.get_ngram_counts(text) for text in ODD]
    return {
        "texts": ODD,
        "counts": [{str(i): int(c[i]) for i in np.flatnonzero(c)} for c in counts],
        "reference": ODD[3:5],
        "logWeights": theirs["logWeights"].tolist(),
    }


if "--write" in sys.argv:
    FIXTURE.write_text(json.dumps(fixture(), indent=2) + "\n")
written = json.loads(FIXTURE.read_text())
report("DSIR fixture: differs from the package (1)", float(written != json.loads(json.dumps(fixture()))), 0)

compare("odd texts", ODD[3:], [*ODD, LONG], fast=False)
compare("every character", ["a b", "B ab"], every_character(), fast=False)
domains = {path.name.split(".")[0]: read(path) for path in sorted(CORPUS.glob("*.jsonl.gz"))}
pool = [text for texts in domains.values() for text in texts]
compare("54 KB of reference passages", read(CORPUS / "reference.jsonl"), pool, fast=True)
compare("1.8 MB of reference passages", domains["novels-austen"], pool, fast=True)
finish()
