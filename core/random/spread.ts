/** Hashes of 32 bits for hash tables and hashed features; not for randomness, which is Philox. */

/** The last steps of MurmurHash3 (Appleby, public domain): a one-to-one map after which every bit depends on all. */
export function spread(hash: number): number {
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
  return hash ^ (hash >>> 16);
}

/**
 * The hash of an ordered pair of hashes. The multiplier, 2^32 divided by the golden ratio, is odd, so no two first
 * hashes fall together.
 */
export function spreadPair(first: number, second: number): number {
  return spread((Math.imul(first, 0x9e3779b1) + second) | 0);
}

/** FNV-1a over units of any size (Fowler, Noll and Vo, public domain). Its upper bits are poorly mixed: see `spread`. */
export const FNV_START = 0x811c9dc5 | 0;
export const FNV_PRIME = 0x01000193;
export const fnv1a = (hash: number, unit: number): number => Math.imul(hash ^ unit, FNV_PRIME);
