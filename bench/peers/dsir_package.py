"""`dsir_package.py TEXTS`: log weights of the pool in a JSON file `{reference, pool}` of texts, by PyPI
`data-selection`: its featurizer and its estimator, one text after the other as in its own loop. The model is fitted
before the timing."""

import json
import sys
import time

import numpy as np
from data_selection import HashedNgramDSIR

from worker import peak_megabytes

with open(sys.argv[1]) as file:
    texts = json.load(file)
dsir = HashedNgramDSIR([], [], "/tmp", num_proc=1)
probabilities = sum(dsir.featurizer(text) for text in texts["reference"])
dsir.log_diff = np.log(probabilities / probabilities.sum() + 1e-8)

started, before = time.perf_counter(), time.process_time()
weights = np.asarray([dsir.importance_estimator(dsir.featurizer(text)) for text in texts["pool"]])
cpu, seconds = time.process_time() - before, time.perf_counter() - started
assert np.isfinite(weights).all()
peak = peak_megabytes()
print(json.dumps({"cpuSeconds": cpu, "seconds": seconds, "peakMegabytes": peak}))
