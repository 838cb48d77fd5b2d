/** The pictures of docs/results.md. */
import { type Course, meanCourse, onSharedSeeds } from '../../core/compare/compare.ts';
import { differenceOf } from '../../core/compare/difference.ts';
import { chart, Plot } from '../../report/charts/plot.ts';
import { type CellResult, finalLoss, LONGER } from './tables.ts';

/** The methods that are drawn, and the texts beside their lines. */
const DRAWN: Record<string, { color: string; text: string }> = {
  random: { color: '#64748b', text: 'random' },
  dsir: { color: '#d97706', text: 'dsir' },
  'lookahead, n-gram + dsir': { color: '#2563eb', text: '1000 labels' },
  'lookahead, n-gram + dsir, 4000 labels, T 0.2': { color: '#7c3aed', text: '4000 labels, T 0.2' },
};

/** A picture that stands alone: it is black on white wherever it is shown. */
function standalone(label: string, options: Plot.PlotOptions): string {
  const svg = chart(label, options).text;
  const alone = svg.replace('style="font-size:12px"', 'style="font-size:12px;background:#fff;color:#111"');
  return `${alone.replace('<svg', '<svg xmlns="http://www.w3.org/2000/svg"')}\n`;
}

/**
 * Held-out loss against all operations, averaged over the seeds that all lines have; the random run has a stage or two
 * more.
 */
export function courseChart(title: string, courses: readonly Course[]): string {
  const longest = LONGER.findLast((method) => courses.some(({ label }) => label === method)) ?? 'random';
  const lines = Object.entries(DRAWN).map(([method, how]) => ({
    ...how,
    method: method === 'random' ? longest : method,
  }));
  const shared = onSharedSeeds(courses.filter(({ label }) => lines.some(({ method }) => method === label)));
  const marks = lines.flatMap(({ method, color, text }) => {
    const mean = meanCourse(shared.filter(({ label }) => label === method));
    const points = mean.map(({ flops, losses }) => ({ flops: flops / 1e12, loss: losses.heldOutLoss }));
    if (points.length === 0) return [];
    const end = points.at(-1)!;
    return [
      Plot.lineY(points, { x: 'flops', y: 'loss', stroke: color, strokeWidth: 2.5, marker: 'dot' }),
      Plot.text([end], { x: 'flops', y: 'loss', text: () => text, fill: color, textAnchor: 'start', dx: 8 }),
    ];
  });
  const seeds = new Set(shared.map(({ seed }) => seed)).size;
  return standalone(
    `${title}: held-out loss against operations, by method, mean of ${seeds} ${seeds === 1 ? 'seed' : 'seeds'}`,
    {
      width: 560,
      height: 300,
      marginLeft: 50,
      marginRight: 150,
      marginBottom: 40,
      x: { label: 'TFLOP of training and selection', labelAnchor: 'center', labelArrow: 'none', ticks: 6 },
      y: { label: 'held-out loss, nats per token', labelArrow: 'none', grid: true, ticks: 6 },
      marks,
    },
  );
}

/** Every method's difference from random at equal tokens, with its interval. */
export function gainsChart(title: string, cells: readonly CellResult[]): string {
  const random = new Map(cells.filter(({ method }) => method === 'random').map((cell) => [cell.seed, finalLoss(cell)]));
  const methods = [...new Set(cells.map(({ method }) => method))].filter(
    (name) => name !== 'random' && !LONGER.includes(name),
  );
  const rows = methods.map((method) => {
    const own = cells.filter((cell) => cell.method === method && random.has(cell.seed));
    const { mean, student } = differenceOf(own.map((cell) => finalLoss(cell) - random.get(cell.seed)!));
    return { method, mean, low: student?.[0] ?? mean, high: student?.[1] ?? mean };
  });
  rows.sort((a, b) => a.mean - b.mean);
  return standalone(`${title}: difference of the held-out loss to random, by method`, {
    width: 780,
    height: 60 + 24 * rows.length,
    marginLeft: 300,
    marginBottom: 40,
    x: {
      label: 'held-out loss less that of random, nats per token',
      labelAnchor: 'center',
      labelArrow: 'none',
      grid: true,
    },
    y: { label: null, domain: rows.map(({ method }) => method) },
    marks: [
      Plot.ruleX([0]),
      Plot.ruleY(rows, { y: 'method', x1: 'low', x2: 'high', stroke: '#2563eb', strokeWidth: 2 }),
      Plot.dot(rows, { x: 'mean', y: 'method', fill: '#2563eb', r: 4 }),
    ],
  });
}
