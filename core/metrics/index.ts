export { type Bootstrap, bootstrapInterval } from './bootstrap.ts';
export { pearson, ranks, spearman } from './correlation.ts';
export { mean, standardDeviation, standardError, standardise } from './moments.ts';
export { studentFactor } from './student.ts';
