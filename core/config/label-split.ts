/** How many labels are kept for an influence model's early stopping and for its test. */

/** The fewest labels that must be left to fit. */
const LEAST_FITTED = 2;
/** A correlation needs two. */
const LEAST_HELD = 2;

export interface SplitShares {
  validationFraction: number;
  testFraction: number;
}

/** The sizes of the two sets out of `labels` labels; undefined when they leave too few to fit. */
export function splitSizes(
  labels: number,
  { validationFraction, testFraction }: SplitShares,
): { validation: number; test: number } | undefined {
  const size = (share: number) => Math.max(LEAST_HELD, Math.round(share * labels));
  const sizes = { validation: size(validationFraction), test: size(testFraction) };
  return labels < sizes.validation + sizes.test + LEAST_FITTED ? undefined : sizes;
}
