export { NgramCounts } from './counts.ts';
export type { Hashing } from './hasher.ts';
export { type DsirFile, DsirModel, PACKAGE_SMOOTHING } from './model.ts';
