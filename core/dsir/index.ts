export { NgramCounts, type NgramCountsFile } from './counts.ts';
export type { Hashing } from './hasher.ts';
export { type DsirFile, DsirModel, PACKAGE_SMOOTHING, type Smoothing } from './model.ts';
