"""The seeded order in which the pretraining job takes a stage's rows (core/plan/training-order.ts), in NumPy."""

import numpy as np

LOW = np.uint64(0xFFFFFFFF)
SHIFT = np.uint64(32)
TRAINING_ORDER = 3  # the stream, see core/random/philox.ts


def philox4x32(counter: list[np.ndarray], key: list[int]) -> list[np.ndarray]:
    """Philox4x32-10 (Salmon et al. 2011): four uint64 arrays of 32-bit words in, four out."""
    c0, c1, c2, c3 = counter
    k0, k1 = key
    for _ in range(10):
        p0 = np.uint64(0xD2511F53) * c0
        p1 = np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (p1 >> SHIFT) ^ c1 ^ np.uint64(k0), p1 & LOW, (p0 >> SHIFT) ^ c3 ^ np.uint64(k1), p0 & LOW
        k0, k1 = (k0 + 0x9E3779B9) & 0xFFFFFFFF, (k1 + 0xBB67AE85) & 0xFFFFFFFF
    return [c0, c1, c2, c3]


def uniform(seed: int, stage: int, stream: int, indices: np.ndarray) -> np.ndarray:
    """float64 in (0, 1), a function of its place alone."""
    indices = indices.astype(np.uint64)
    same = np.ones_like(indices)
    counter = [indices & LOW, indices >> SHIFT, same * np.uint64(stage), same * np.uint64(stream)]
    w0, w1, _, _ = philox4x32(counter, [seed & 0xFFFFFFFF, seed >> 32])
    a, b = (w0 >> np.uint64(5)).astype(np.float64), (w1 >> np.uint64(6)).astype(np.float64)
    return np.minimum((a * 2.0**26 + b + 0.5) * 2.0**-53, 1 - 2.0**-53)


def training_order(n: int, seed: int, stage: int) -> np.ndarray:
    """0 to n-1, shuffled: Fisher-Yates with one draw a place, from the last place down."""
    draws = uniform(seed, stage, TRAINING_ORDER, np.arange(n))
    order = list(range(n))
    for i in range(n - 1, 0, -1):
        j = min(i, int(draws[i] * (i + 1)))
        order[i], order[j] = order[j], order[i]
    return np.array(order)
