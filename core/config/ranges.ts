/** Ranges that flags share with fields of the configuration; without imports, so that the command line reads them at once. */

/** Tokens in a row. The upper limit is above the context of any model that this trains; some rows are in memory at once. */
export const SEQUENCE_LENGTH = { least: 8, most: 1 << 20 };

/** Passages of a file that are used, where nobody says how many. */
export const PASSAGES = 64;

/** A pool is a set of shards, so one is too few; each has three files of its own, so more are too many. */
export const SHARDS = { least: 2, most: 10_000 };

/** Shards from which each stage gets a pool of its own, beside the hold-out: the fewest, and enough for even sizes. */
export const shardsFor = (stages: number) => ({ least: stages + 1, better: 8 * stages });
