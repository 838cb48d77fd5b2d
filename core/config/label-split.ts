/** How many labels an influence model stops early by and is tested on. */

/** Of labels that are fitted, the fewest there must be. */
const LEAST_FITTED = 2;
/** A correlation needs two. */
const LEAST_HELD = 2;

export interface SplitShares {
  validationFraction: number;
  testFraction: number;
}

/** The sizes of the sets, of so many labels; undefined where they leave too few to fit. */
export function splitSizes(
  labels: number,
  { validationFraction, testFraction }: SplitShares,
): { validation: number; test: number } | undefined {
  const size = (share: number) => Math.max(LEAST_HELD, Math.round(share * labels));
  const sizes = { validation: size(validationFraction), test: size(testFraction) };
  return labels < sizes.validation + sizes.test + LEAST_FITTED ? undefined : sizes;
}
