/**
 * The 0.975 quantiles of Student's t by degrees of freedom, from 1 on; the normal distribution's from there on. Values as in any table, such as
 * NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2.
 */
const T_975 = [
  12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.16, 2.145, 2.131, 2.12, 2.11,
  2.101, 2.093, 2.086, 2.08, 2.074, 2.069, 2.064, 2.06, 2.056, 2.052, 2.048, 2.045, 2.042,
];

/** Half of the 95 % interval of a mean of `n` values, in standard errors; NaN for fewer than two. */
export function studentFactor(n: number): number {
  return n < 2 ? Number.NaN : (T_975[n - 2] ?? 1.96);
}
