/** Correlation of two series of equal length. */
import { mean } from './moments.ts';

type Values = ArrayLike<number>;

/** Pearson's r; 0 where a series is constant and r is undefined (SciPy: NaN), as it shows no association. */
export function pearson(x: Values, y: Values): number {
  if (x.length !== y.length) throw new RangeError(`series of ${x.length} and ${y.length} values have no correlation`);
  if (isConstant(x) || isConstant(y)) return 0;
  const meanX = mean(x);
  const meanY = mean(y);
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < x.length; i++) {
    const dx = x[i]! - meanX;
    const dy = y[i]! - meanY;
    xx += dx * dx;
    yy += dy * dy;
    xy += dx * dy;
  }
  return Math.max(-1, Math.min(1, xy / (Math.sqrt(xx) * Math.sqrt(yy))));
}

/** Spearman's rho: Pearson's r of the ranks. */
export function spearman(x: Values, y: Values): number {
  return pearson(ranks(x), ranks(y));
}

/** Ranks from 1 on; equal values share the mean of their ranks. All NaN when a value is, as in SciPy. */
export function ranks(values: Values): Float64Array {
  if (Array.prototype.some.call(values, Number.isNaN)) return new Float64Array(values.length).fill(NaN);
  const order = Uint32Array.from({ length: values.length }, (_, i) => i).sort((a, b) =>
    values[a]! < values[b]! ? -1 : values[a]! > values[b]! ? 1 : 0,
  );
  const result = new Float64Array(values.length);
  for (let begin = 0; begin < order.length; ) {
    const value = values[order[begin]!]!;
    let end = begin + 1;
    while (end < order.length && values[order[end]!] === value) end++;
    for (let i = begin; i < end; i++) result[order[i]!] = (begin + 1 + end) / 2;
    begin = end;
  }
  return result;
}

/** Compared value by value: the mean of equal values may differ from them in the last digit. */
function isConstant(values: Values): boolean {
  for (let i = 1; i < values.length; i++) if (values[i] !== values[0]) return false;
  return true;
}
