/**
 * Conjugate gradients for a whole grid of penalties at the price of one: (A + s I) x = b has the same Krylov space for
 * every shift s, so one sequence of products with A serves all (Jegerlehner 1996, "Krylov space solvers for shifted
 * linear systems", arXiv hep-lat/9612014). A is symmetric and positive semi-definite, shifts are positive.
 */

export interface ShiftedSolution {
  /** One solution for each shift, in their order. */
  solutions: Float64Array[];
  iterations: number;
}

interface System {
  /** How much the shift is above the least. */
  above: number;
  x: Float64Array;
  p: Float64Array;
  /** The residual is `zeta` times that of the least shift; `previousZeta` is the factor one step before. */
  zeta: number;
  previousZeta: number;
  done: boolean;
}

/**
 * @param times writes A p to its second argument.
 * @param tolerance of each residual's norm, relative to that of b.
 */
export function solveShifted(
  times: (p: Float64Array, result: Float64Array) => void,
  b: Float64Array,
  shifts: readonly number[],
  { tolerance, maxIterations }: { tolerance: number; maxIterations: number },
): ShiftedSolution {
  const n = b.length;
  const least = Math.min(...shifts);
  const systems = shifts.map((shift): System => {
    const [x, p] = [new Float64Array(n), b.slice()];
    return { above: shift - least, x, p, zeta: 1, previousZeta: 1, done: false };
  });
  const r = b.slice();
  const p = b.slice();
  const product = new Float64Array(n);
  let square = dot(r, r);
  const enough = tolerance * Math.sqrt(square);
  let iterations = 0;
  // As in the paper, `step` is negative; `turn` is how much of the last direction is kept.
  let [previousStep, turn] = [1, 0];
  while (systems.some(({ done }) => !done) && square > 0) {
    if (iterations === maxIterations)
      throw new RangeError(`no solution to ${tolerance} in ${maxIterations} iterations`);
    iterations++;
    times(p, product);
    for (let i = 0; i < n; i++) product[i]! += least * p[i]!;
    const step = -square / dot(p, product);
    for (let i = 0; i < n; i++) r[i]! += step * product[i]!;
    const nextSquare = dot(r, r);
    const nextTurn = nextSquare / square;
    for (const system of systems) {
      if (system.done) continue;
      const { zeta, previousZeta, above, x, p: direction } = system;
      const nextZeta =
        (zeta * previousZeta * previousStep) /
        (step * turn * (previousZeta - zeta) + previousZeta * previousStep * (1 - above * step));
      const itsStep = (step * nextZeta) / zeta;
      const itsTurn = (nextTurn * nextZeta * itsStep) / (zeta * step);
      for (let i = 0; i < n; i++) {
        x[i]! -= itsStep * direction[i]!;
        direction[i] = nextZeta * r[i]! + itsTurn * direction[i]!;
      }
      [system.previousZeta, system.zeta] = [zeta, nextZeta];
      system.done = Math.abs(nextZeta) * Math.sqrt(nextSquare) <= enough;
    }
    for (let i = 0; i < n; i++) p[i] = r[i]! + nextTurn * p[i]!;
    [previousStep, turn, square] = [step, nextTurn, nextSquare];
  }
  return { solutions: systems.map(({ x }) => x), iterations };
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}
