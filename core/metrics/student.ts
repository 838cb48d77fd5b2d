/**
 * Half of the 95 % interval of a mean of `n` values, in standard errors: the 0.975 quantile of Student's t with `n - 1`
 * degrees of freedom. NaN for fewer than two values.
 */
export function studentFactor(n: number): number {
  if (n < 2) return Number.NaN;
  const freedom = n - 1;
  let [low, high] = [0, Math.PI / 2];
  // 53 halvings give all the digits that a double has.
  for (let i = 0; i < 53; i++) {
    const middle = (low + high) / 2;
    if (probabilityWithin(middle, freedom) < 0.95) low = middle;
    else high = middle;
  }
  return Math.sqrt(freedom) * Math.tan(high);
}

/** P(|t| <= sqrt(freedom) tan(angle)), a finite sum: Abramowitz & Stegun 1964, 26.7.3 for odd, 26.7.4 for even degrees. */
function probabilityWithin(angle: number, freedom: number): number {
  const [sine, cosine] = [Math.sin(angle), Math.cos(angle)];
  const odd = freedom % 2;
  let [sum, term] = [0, odd ? cosine : 1];
  for (let power = odd; power <= freedom - 2; power += 2) {
    sum += term;
    term *= (cosine ** 2 * (power + 1)) / (power + 2);
  }
  return odd ? (angle + sine * sum) * (2 / Math.PI) : sine * sum;
}
