/**
 * Kernels take so many numbers at once, and other routines, which give other last bits, what is left over at a tensor's end.
 * A token's loss has the same bits anywhere only if no part but the last has such a rest.
 */
const VECTOR = 16;

/** The size of the fewest equal parts of about `most` at most that `count` is cut into, each of whole vectors but the last. */
export function partSize(count: number, most: number): number {
  return Math.ceil(count / Math.ceil(count / most) / VECTOR) * VECTOR;
}

/**
 * Chooses at most `most` lengths to pad to, such that as little padding as possible is added in all.
 *
 * @param lengths in ascending order.
 * @returns the length that each of them is padded to.
 */
export function paddedLengths(lengths: readonly number[], most: number): number[] {
  const distinct = [...new Set(lengths)];
  /** How many of `lengths` are at most as long as each of the distinct ones. */
  const upTo = distinct.map((length) => lengths.lastIndexOf(length) + 1);
  // best[e]: the smallest sum of padded lengths for the first e distinct lengths, and the lengths that it pads them to.
  let best = distinct.map(() => ({ sum: Number.POSITIVE_INFINITY, groups: [] as number[] }));
  best.unshift({ sum: 0, groups: [] });
  for (let group = 0; group < most; group++) {
    best = best.map((fewer, end) => {
      let least = fewer;
      for (let start = 0; start < end; start++) {
        const count = upTo[end - 1]! - (upTo[start - 1] ?? 0);
        const sum = best[start]!.sum + count * distinct[end - 1]!;
        if (sum < least.sum) least = { sum, groups: [...best[start]!.groups, distinct[end - 1]!] };
      }
      return least;
    });
  }
  const { groups } = best.at(-1)!;
  return lengths.map((length) => groups.find((padded) => padded >= length)!);
}
