/** The tables of docs/results.md, as functions of the results of the cells. */
import { type Comparison, meanCourse } from '../../core/compare/compare.ts';
import { type Difference, differenceOf } from '../../core/compare/difference.ts';
import { mean } from '../../core/metrics/index.ts';
import { differenceText } from '../../report/compared-difference.ts';
import { BESIDE_CLASSIFIER, CHOSEN, FREE, LONGER as LONGER_RUNS, SEEDS, SIZES } from './grid.ts';

/** The part of a cell's result that is read here; index.ts writes it. */
export interface CellResult {
  id: string;
  method: string;
  seed: number;
  references: string;
  size: string;
  runtime: string;
  stages: StageResult[];
}

interface StageResult {
  stage: number;
  selectionFlops: number;
  spearman?: number;
  /** This stage's model on the rows of `staleSpearman`; absent in older results, which have only `spearman`. */
  freshSpearman?: number;
  staleSpearman?: number;
  selectedDomains: Record<string, number>;
  main: {
    trainingFlops: number;
    heldOutLoss: number;
    referenceLoss: number;
    mixedDomainLoss: number;
    /** The questions of the held-out passages, where these are answers; absent in older results. */
    tasks?: { acc: number; accNorm: number }[];
  };
}

/** The random runs that are longer than the others, the shorter first. */
export const LONGER = Object.keys(LONGER_RUNS);
const RANDOM = 'random';
/** The methods whose selection costs nothing, from weakest to strongest, and random at the end. */
const BASELINES = ['dsir', 'classifier', FREE, RANDOM];
const NOTHING = '\u2013';

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? '---' : '--:'))), ...rows.map(line)].join('\n');
}

const number = (value: number | undefined, digits = 3) => (value === undefined ? NOTHING : value.toFixed(digits));
const tera = (flops: number) => (flops / 1e12).toFixed(2);
const last = <T>(values: readonly T[]): T => values.at(-1)!;

/** Cells by method, and each method's cells by seed. */
function byMethod(cells: readonly CellResult[]): Map<string, Map<number, CellResult>> {
  const methods = new Map<string, Map<number, CellResult>>();
  for (const cell of cells) {
    const seeds = methods.get(cell.method) ?? new Map<number, CellResult>();
    seeds.set(cell.seed, cell);
    methods.set(cell.method, seeds);
  }
  return methods;
}

/** The loss at the end of a cell. */
export const finalLoss = (cell: CellResult) => last(cell.stages).main.heldOutLoss;
const selectionFlops = (cell: CellResult) => cell.stages.reduce((sum, stage) => sum + stage.selectionFlops, 0);
const trainingFlops = (cell: CellResult) => cell.stages.reduce((sum, { main }) => sum + main.trainingFlops, 0);

/** Differences between `of` a method's cell and `of` the baseline's cell with the same seed. */
function paired(
  methods: ReturnType<typeof byMethod>,
  method: string,
  baseline: string,
  of: (cell: CellResult) => number = finalLoss,
): Difference | undefined {
  const others = methods.get(baseline);
  const values = [...(methods.get(method) ?? [])].flatMap(([seed, cell]) => {
    const other = others?.get(seed);
    return other ? [of(cell) - of(other)] : [];
  });
  return values.length > 0 ? differenceOf(values) : undefined;
}

/** Every method at the end: its gain at equal tokens, against random and against DSIR, and its cost. */
export function mainTable(cells: readonly CellResult[]): string {
  const methods = byMethod(cells);
  const rows = [...methods]
    .filter(([method]) => !LONGER.includes(method))
    .map(([method, seeds]) => {
      const all = [...seeds.values()];
      const difference = paired(methods, method, RANDOM);
      const cells = [
        method,
        String(all.length),
        number(mean(all.map(finalLoss))),
        method === RANDOM ? NOTHING : differenceText(difference, all.length),
        method === 'dsir' || method === RANDOM ? NOTHING : differenceText(paired(methods, method, 'dsir'), all.length),
        number(mean(all.map((cell) => last(cell.stages).main.mixedDomainLoss))),
        tera(mean(all.map(selectionFlops))),
      ];
      return { difference: method === RANDOM ? 0 : (difference?.mean ?? 0), cells };
    });
  rows.sort((a, b) => a.difference - b.difference); // not by loss: rows may have other seeds
  return markdownTable(
    ['method', 'seeds', 'held-out loss', 'to random', 'to DSIR', 'mixed-domain loss', 'selection, TFLOP'],
    rows.map(({ cells }) => cells),
  );
}

/** Shares of the held-out questions whose right answer is the likeliest, by all of its tokens and by its character. */
export function accuracyTable(cells: readonly CellResult[]): string {
  const score = (cell: CellResult) => last(cell.stages).main.tasks?.[0];
  const methods = byMethod(cells.filter((cell) => score(cell) && !LONGER.includes(cell.method)));
  const percent = (share: number) => (100 * share).toFixed(1);
  const points = (share: number) => `${share < 0 ? '\u2212' : '+'}${percent(Math.abs(share))}`;
  const rows = [...methods].map(([method, seeds]) => {
    const all = [...seeds.values()];
    const figures = (of: (cell: CellResult) => number) => [
      percent(mean(all.map(of))),
      method === RANDOM ? NOTHING : differenceText(paired(methods, method, RANDOM, of), all.length, points),
    ];
    const loss = mean(all.map(finalLoss));
    const accuracies = [...figures((cell) => score(cell)!.acc), ...figures((cell) => score(cell)!.accNorm)];
    return { loss, cells: [method, String(all.length), number(loss), ...accuracies] };
  });
  rows.sort((a, b) => a.loss - b.loss);
  return markdownTable(
    ['method', 'seeds', 'held-out loss', 'acc, %', 'to random', 'acc_norm, %', 'to random'],
    rows.map(({ cells }) => cells),
  );
}

const bySize = (cells: readonly CellResult[]) =>
  Object.keys(SIZES).map((size) => ({ size, methods: byMethod(cells.filter((cell) => cell.size === size)) }));

/** A difference, and the number of seeds in it. */
const seedsText = (difference: Difference | undefined) =>
  difference ? `${differenceText(difference, difference.seeds)} (${difference.seeds})` : NOTHING;

/** The chosen methods against the baselines that they have to beat, at every size, for one reference set. */
export function sizesTable(cells: readonly CellResult[]): string {
  const sizes = bySize(cells);
  const pairs = [BESIDE_CLASSIFIER, FREE].flatMap((method) =>
    BASELINES.toReversed().flatMap((baseline) => (baseline === method ? [] : [[method, baseline] as const])),
  );
  const rows = pairs.map(([method, baseline]) => [
    ...[method, baseline],
    ...sizes.map(({ methods }) => seedsText(paired(methods, method, baseline))),
  ]);
  return markdownTable(['method', 'to', ...sizes.map(({ size }) => size)], rows);
}

/** The reference sets that conclusions rest on, as the README calls them. */
const CONCLUSIVE = {
  'lambada-plain': 'LAMBADA, plain',
  'python-docs': "Python's manual",
  piqa: "PIQA's answers",
  'arc-easy': "ARC's answers",
};

/**
 * The README's summary: the best method against the baselines it has to beat, at every size and on all reference sets
 * that have cells.
 */
export function summaryTable(cells: readonly CellResult[]): string {
  const rows = Object.entries(CONCLUSIVE).flatMap(([references, name]) => {
    const own = cells.filter((cell) => cell.references === references);
    if (own.length === 0) return [];
    const sizes = bySize(own);
    const against = (label: string, difference: (methods: ReturnType<typeof byMethod>) => Difference | undefined) => [
      ...[name, label],
      ...sizes.map(({ methods }) => seedsText(difference(methods))),
    ];
    return [
      against('random', (methods) => paired(methods, BESIDE_CLASSIFIER, RANDOM)),
      against('random, equal operations', (methods) => {
        const values = equalFlopsDifferences(methods, BESIDE_CLASSIFIER);
        return values.length > 0 ? differenceOf(values) : undefined;
      }),
      ...['dsir', 'classifier', FREE].map((baseline) =>
        against(baseline, (methods) => paired(methods, BESIDE_CLASSIFIER, baseline)),
      ),
    ];
  });
  return markdownTable(['reference set', 'against', ...Object.keys(SIZES)], rows);
}

/**
 * The chosen methods on the seeds that they were chosen on and, separately, on other seeds: on the seeds it was chosen
 * on, the best of many looks better than it is. A difference without results on both halves is left out.
 */
export function confirmedTable(cells: readonly CellResult[]): string {
  const { chosenOn, measuredOn, settledOn } = SEEDS;
  const halves = [chosenOn, [...measuredOn, ...settledOn]];
  const rows = CHOSEN.flatMap((method) =>
    BASELINES.flatMap((baseline) => {
      if (baseline === method) return [];
      const differences = halves.map((seeds) =>
        paired(byMethod(cells.filter(({ seed }) => seeds.includes(seed))), method, baseline),
      );
      if (differences.includes(undefined)) return [];
      return [[method, baseline, ...differences.map((one) => differenceText(one, measuredOn.length))]];
    }),
  );
  const [first, others] = halves.map((seeds) => `seeds ${seeds[0]} to ${last(seeds)}`) as [string, string];
  if (rows.length === 0) return `No difference has results of ${others} here.`;
  return markdownTable(['method', 'to', `${first}, chosen on`, `${others}, measured on`], rows);
}

/**
 * The loss of a longer random run at this number of operations. Between the ends of its stages, the loss is taken to be
 * linear in the logarithm of the operations: a chord over the operations themselves lies above the curve and would
 * favour selection.
 */
export function randomLossAt(longer: CellResult, flops: number): number | undefined {
  let [before, spent] = [undefined as number | undefined, 0];
  for (const { main } of longer.stages) {
    const end = spent + main.trainingFlops;
    if (flops <= end) {
      if (before === undefined) return undefined;
      return before + (main.heldOutLoss - before) * (Math.log(flops / spent) / Math.log(end / spent));
    }
    [before, spent] = [main.heldOutLoss, end];
  }
  return undefined;
}

/**
 * A method's losses less random's at equal operations, selection included, for each seed whose random run is long
 * enough.
 */
function equalFlopsDifferences(methods: ReturnType<typeof byMethod>, method: string): number[] {
  const longer = LONGER.map((name) => methods.get(name));
  return [...(methods.get(method)?.values() ?? [])].flatMap((cell) => {
    const spent = trainingFlops(cell) + selectionFlops(cell);
    const losses = longer.map((cells) => cells?.get(cell.seed)).map((run) => run && randomLossAt(run, spent));
    const at = losses.find((loss) => loss !== undefined);
    return at === undefined ? [] : [finalLoss(cell) - at];
  });
}

/** Methods against random at equal operations. */
export function equalFlopsTable(cells: readonly CellResult[]): string {
  const methods = byMethod(cells);
  const rows: string[][] = [];
  for (const [method, seeds] of methods) {
    if (method === RANDOM || LONGER.includes(method)) continue;
    const overhead = mean([...seeds.values()].map((cell) => selectionFlops(cell) / trainingFlops(cell)));
    const values = equalFlopsDifferences(methods, method);
    rows.push([
      method,
      `${(100 * overhead).toFixed(0)} %`,
      values.length > 0 ? String(values.length) : NOTHING,
      values.length > 0 ? differenceText(differenceOf(values)) : 'costs more than the longest random run',
    ]);
  }
  return markdownTable(['method', 'selection / training', 'seeds', 'to random at equal total FLOPs'], rows);
}

/**
 * Labels of every row gain something over random: how much of that gain an influence model fitted to some labels keeps.
 */
export function keptTable(cells: readonly CellResult[]): string {
  const methods = byMethod(cells);
  const labels = methods.get('lookahead, every row');
  const random = methods.get(RANDOM);
  const rows = [...methods].flatMap(([method, seeds]) => {
    // Next to a classifier, the gain does not come from the labels alone.
    if ((!method.includes('lookahead, ') && method !== 'dsir') || method.includes('classifier')) return [];
    const shared = [...seeds.values()].filter(({ seed }) => labels?.has(seed) && random?.has(seed));
    if (shared.length === 0) return [];
    const gain = (cell: CellResult) => finalLoss(random!.get(cell.seed)!) - finalLoss(cell);
    const kept = mean(shared.map(gain)) / mean(shared.map(({ seed }) => gain(labels!.get(seed)!)));
    const fits = shared.flatMap(({ stages }) => stages.flatMap(({ spearman }) => spearman ?? []));
    return [
      [
        method,
        String(shared.length),
        number(fits.length > 0 ? mean(fits) : undefined, 2),
        number(mean(shared.map(gain))),
        `${(100 * kept).toFixed(0)} %`,
        tera(mean(shared.map(selectionFlops))),
      ],
    ];
  });
  return markdownTable(
    ['method', 'seeds', 'Spearman with its labels', 'gain over random', "of the labels' gain", 'selection, TFLOP'],
    rows,
  );
}

/** How well influence models predict the labels of their own stage, and how well the previous stage's model does. */
export function driftTable(cells: readonly CellResult[]): string {
  const rows = [...byMethod(cells)].flatMap(([method, seeds]) => {
    const stages = [...seeds.values()].flatMap(({ stages }) => stages.filter(({ spearman }) => spearman !== undefined));
    if (stages.length === 0) return [];
    const refitted = stages.filter(({ staleSpearman }) => staleSpearman !== undefined);
    const fresh = refitted.map(({ spearman, freshSpearman = spearman }) => freshSpearman!);
    const stale = refitted.map(({ staleSpearman }) => staleSpearman!);
    const lost = fresh.map((spearman, i) => spearman - stale[i]!);
    return [
      [
        method,
        number(mean(stages.map(({ spearman }) => spearman!)), 2),
        number(fresh.length ? mean(fresh) : undefined, 2),
        number(stale.length ? mean(stale) : undefined, 2),
        fresh.length > 1 ? differenceText(differenceOf(lost), undefined, (value) => number(value, 2)) : NOTHING,
      ],
    ];
  });
  return markdownTable(['method', 'Spearman, all stages', 'last stage', 'the model before it', 'lost'], rows);
}

/** Shares of the domains among the rows that the last stage trained on, in per cent. */
export function domainTable(cells: readonly CellResult[], only: readonly string[]): string {
  const methods = byMethod(cells);
  const shown = only.filter((method) => methods.has(method));
  const shares = new Map(
    shown.map((method) => {
      const sums: Record<string, number> = {};
      for (const { stages } of methods.get(method)!.values())
        for (const [name, rows] of Object.entries(last(stages).selectedDomains)) sums[name] = (sums[name] ?? 0) + rows;
      const total = Object.values(sums).reduce((a, b) => a + b, 0);
      return [method, Object.fromEntries(Object.entries(sums).map(([name, rows]) => [name, (100 * rows) / total]))];
    }),
  );
  const domains = [...new Set([...shares.values()].flatMap((of) => Object.keys(of)))].sort();
  return markdownTable(
    ['domain', ...shown],
    domains.map((name) => [name, ...shown.map((method) => number(shares.get(method)![name] ?? 0, 1))]),
  );
}

/** The final differences as numbers, for docs/results.json. */
export function finalDifferences({ labels, stages, courses }: Comparison): object[] {
  const longest = Math.max(
    ...courses.filter(({ label }) => !LONGER.includes(label)).map(({ points }) => points.length - 1),
  );
  return labels.flatMap((label) => {
    const row = stages.find((one) => one.label === label && one.stage === longest);
    const course = meanCourse(courses.filter((one) => one.label === label)).map(({ flops, tokens, losses }) => ({
      flops,
      tokens,
      heldOutLoss: losses.heldOutLoss,
    }));
    return row ? [{ ...row, course }] : [];
  });
}

/** The results that agreement.ts writes. */
export interface Agreement {
  seed: number;
  rows: number;
  drift: Record<string, number[]>;
  stages: {
    stage: number;
    cost: Record<string, { perLabel: number; once: number }>;
    spearman: Record<string, Record<string, number>>;
  }[];
}

const ORACLE = 'exact, 256 references';

/**
 * Ways to measure influence, on the same rows and checkpoints: their agreement with the oracle, and the cost of a
 * label.
 */
export function agreementTable(agreements: readonly Agreement[]): string {
  const stages = agreements.flatMap((one) => one.stages);
  const names = Object.keys(stages[0]!.spearman);
  const last = Math.max(...stages.map(({ stage }) => stage));
  const over = (name: string, at: readonly Agreement['stages'][number][]) =>
    number(mean(at.map(({ spearman }) => spearman[name]![ORACLE]!)), 2);
  return markdownTable(
    [
      'influence by',
      ...Array.from({ length: last + 1 }, (_, stage) => `Spearman with the oracle, stage ${stage}`),
      'with lookahead, all stages',
      'with itself a stage before',
      'a label, forward passes',
      'once a stage',
    ],
    names.map((name) => [
      name,
      ...Array.from({ length: last + 1 }, (_, k) =>
        name === ORACLE
          ? NOTHING
          : over(
              name,
              stages.filter(({ stage }) => stage === k),
            ),
      ),
      name === 'lookahead' ? NOTHING : number(mean(stages.map(({ spearman }) => spearman[name]!.lookahead!)), 2),
      number(mean(agreements.flatMap(({ drift }) => drift[name]!)), 2),
      stages[0]!.cost[name]!.perLabel.toFixed(0),
      stages[0]!.cost[name]!.once.toFixed(0),
    ]),
  );
}
