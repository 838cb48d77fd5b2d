export { NgramCounts, type NgramCountsFile } from './counts.ts';
export type { Hashing } from './hasher.ts';
export { type DsirFile, DsirModel, PACKAGE_SMOOTHING, type Score, type Smoothing, wordsOf } from './model.ts';
