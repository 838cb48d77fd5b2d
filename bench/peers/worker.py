"""The protocol by which the bench drives a peer: see `bench/contender.ts`, which drives our own side in the same way.

A line on stdin names a task and the least time to repeat it for; a line on stdout says how much was done. Between two
lines the process sleeps, so that the contenders of one comparison take turns on the same cores.
"""

import json
import os
import re
import resource
import sys
import time
from pathlib import Path

WARM_UP_CALLS, WARM_UP_SECONDS = 3, 5
REPORTED = 2  # the call whose result is reported; `bench/worker.ts` explains why


def peak_megabytes() -> float:
    """Linux's `ru_maxrss` starts at that of the process that started this one; the count in /proc does not."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(re.search(r"VmHWM:\s*(\d+)", status.read_text())[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def serve(tasks: dict) -> None:
    """`tasks` maps each name to (units of one call, the call)."""
    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print must not mix with the protocol
    called, results = {}, {}

    def counted(task: str) -> None:
        value = tasks[task][1]()
        called[task] = called.get(task, 0) + 1
        if called[task] == REPORTED:
            results[task] = value

    for line in sys.stdin:
        request = json.loads(line)
        task = request["task"]
        wall = time.perf_counter()
        for _ in range(0 if task in called else WARM_UP_CALLS):
            if time.perf_counter() - wall < WARM_UP_SECONDS:
                counted(task)
        calls = 0
        wall, cpu = time.perf_counter(), time.process_time()
        while calls == 0 or time.perf_counter() - wall < request["seconds"]:
            counted(task)
            calls += 1
        answer = {
            "units": tasks[task][0] * calls,
            "seconds": time.perf_counter() - wall,
            "cpuSeconds": time.process_time() - cpu,
            "peakMegabytes": peak_megabytes(),
            "value": results.get(task),
        }
        print(json.dumps(answer), file=out, flush=True)
