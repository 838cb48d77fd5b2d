"""`select_numpy.py UTILITIES K published|array`: one selection, from scores in memory.

published: as in the published code of MATES (src/select_data/select_data.py): scores in float64, as they come from a
           Hugging Face data set, noise added in place, argpartition, and the list of Python integers that it passes on
array:     the same in float32 and without that list, to save memory"""

import json
import sys
import time

import numpy as np

from worker import peak_megabytes

path, k, how = sys.argv[1], int(sys.argv[2]), sys.argv[3]
predictions = np.fromfile(path, np.float32)
if how == "published":
    predictions = predictions.astype(np.float64)
predictions *= -2  # temperature 0.5

started, before = time.perf_counter(), time.process_time()
generator = np.random.default_rng()
predictions += generator.gumbel(size=len(predictions))
chosen = np.argpartition(predictions, k)[:k]
if how == "published":
    chosen = list(map(int, chosen))
cpu, seconds = time.process_time() - before, time.perf_counter() - started
peak = peak_megabytes()
assert len(chosen) == k
print(json.dumps({"cpuSeconds": cpu, "seconds": seconds, "peakMegabytes": peak}))
