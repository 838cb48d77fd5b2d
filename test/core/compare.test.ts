import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compareRuns as compareEntries, onSharedSeeds } from '../../core/compare/compare.ts';
import { differenceOf } from '../../core/compare/difference.ts';
import type { Entry } from '../../core/compare/entries.ts';
import type { ArmSummary, RunSummary } from '../../core/formats.ts';
import type { Method } from '../../core/selection/methods.ts';
import { COMPARED, comparedRows, comparisonMarkdown, renderComparison } from '../../report/compare.ts';
import { comparedTaskRows } from '../../report/compared-tasks.ts';
import { checkXml } from '../report/xml.ts';

const arm = (tokens: number, referenceLoss: number): ArmSummary => ({
  tokens,
  trainingFlops: 100,
  trainingSeconds: 10,
  trainingLoss: 4,
  referenceLoss,
  heldOutLoss: referenceLoss + 0.1,
  mixedDomainLoss: referenceLoss - 0.1,
});

const compareRuns = (summaries: RunSummary[], baseline?: string) =>
  compareEntries(
    summaries.map((summary) => ({ summary })),
    baseline,
  );

/** Two stages, the second scored. */
function summary(
  method: Method,
  seed: number,
  last: number,
  over: { name?: string; control?: number } = {},
): RunSummary {
  const common = {
    selectedRows: 10,
    poolRows: 50,
    seconds: 20,
    method,
    warnings: [],
    mostSelected: { domain: 'a', share: 0.5, poolShare: 0.5 },
  };
  return {
    format: 'mates-summary/1',
    runId: `${method}-${seed}`,
    name: over.name ?? method,
    method,
    seed,
    stages: [
      { ...common, stage: 0, scored: false, selectionSeconds: 0, selectionFlops: 0, main: arm(1000, 6) },
      {
        ...common,
        stage: 1,
        scored: method !== 'random',
        selectionSeconds: 5,
        selectionFlops: 40,
        spearman: 0.5,
        main: arm(2000, last),
        control: over.control === undefined ? undefined : arm(2000, over.control),
      },
    ],
  };
}

describe('a comparison', () => {
  it('keeps a label with any characters in its cell', () => {
    const labelled = compareEntries([{ summary: summary('dsir', 1, 5), label: 'a|b <i>*c_d`' }]);
    expect(comparisonMarkdown(labelled)).toContain('\n| a\\|b \\<i>\\*c\\_d\\` | 1 |');
  });

  it('says which stages were not selected by the method of the run', () => {
    const one = summary('influence', 7, 5, { control: 5.1 });
    const replaced = { ...one, stages: one.stages.map((stage) => ({ ...stage, method: 'dsir' as const })) };
    const sentence =
      'influence, seed 7: not selected by influence in stage 1 (by dsir), as the influence model or its labels were weak.';
    const comparison = compareRuns([replaced]);
    expect(comparison.notes).toEqual([sentence]);
    expect(comparisonMarkdown(comparison)).toContain(sentence);
    expect(renderComparison(comparison)).toContain(sentence);
    expect(compareRuns([one]).notes).toEqual([]);
  });

  it('pairs methods by seed', () => {
    const runs = [1, 2, 3].flatMap((seed) => [
      summary('random', seed, 5 + seed / 10),
      summary('dsir', seed, 4.8 + seed / 10),
    ]);
    const { baseline, labels, stages, courses } = compareRuns([...runs, summary('dsir', 9, 1)]);
    expect([baseline, ...labels]).toEqual(['random', 'random', 'dsir']);
    const [, dsir] = stages.filter(({ stage }) => stage === 1);
    expect(dsir).toMatchObject({ label: 'dsir', seeds: [1, 2, 3, 9] });
    const { mean, seeds, student, bootstrap } = dsir!.difference!.referenceLoss;
    expect(seeds).toBe(3); // the seed that only one has is no pair
    expect(mean).toBeCloseTo(-0.2, 12);
    for (const side of [...student!, ...bootstrap!]) expect(side).toBeCloseTo(-0.2, 6);
    expect(courses.find(({ label }) => label === 'dsir')!.points.map(({ flops, seconds }) => [flops, seconds])).toEqual(
      [
        [100, 10],
        [240, 25],
      ],
    );
  });

  it('says how many pairs a difference has where some seeds have none, and draws means over shared seeds', () => {
    const comparison = compareRuns([
      ...[1, 2].map((seed) => summary('random', seed, 5)),
      ...[1, 2, 3].map((seed) => summary('dsir', seed, 4 + seed / 2)),
    ]);
    expect(comparisonMarkdown(comparison)).toContain('| dsir | 3 | 5.000 ± 0.289 | −0.250 [−3.427, +2.927] (2) |');
    expect(onSharedSeeds(comparison.courses).map(({ label, seed }) => `${label} ${seed}`)).toEqual([
      ...['random 1', 'random 2', 'dsir 1', 'dsir 2'],
    ]);
  });

  it("uses a run's control as the random run, at the control's cost, unless there is a random run", () => {
    const control = compareRuns([summary('influence', 1, 4.5, { control: 5 })]);
    expect(control.labels).toEqual(['influence', 'random']);
    const random = control.courses.find(({ label }) => label === 'random')!;
    expect(random.points.map(({ flops, seconds, losses }) => [flops, seconds, losses.referenceLoss])).toEqual([
      [100, 10, 6],
      [200, 20, 5],
    ]);
    const both = compareRuns([summary('influence', 1, 4.5, { control: 5 }), summary('random', 1, 5.2)]);
    expect(both.courses.filter(({ label }) => label === 'random')).toHaveLength(1);
    expect(both.stages.find(({ label, stage }) => label === 'random' && stage === 1)!.mean.referenceLoss).toBe(5.2);
  });

  it("compares each run with its own control, and a run without one with the seed's", () => {
    const { stages, courses } = compareRuns([
      summary('influence', 1, 4.5, { name: 'small', control: 5 }),
      summary('influence', 1, 3.5, { name: 'big', control: 4 }),
      summary('dsir', 1, 4.2),
    ]);
    const at = (of: string) => stages.find(({ label, stage }) => label === of && stage === 1)!;
    const difference = (of: string) => at(of).difference!.referenceLoss.mean;
    expect(['small', 'big', 'dsir'].map(difference)).toEqual([-0.5, -0.5, expect.closeTo(-0.3, 12)]);
    expect(at('random').mean.referenceLoss).toBe(4.5);
    expect(courses.filter(({ label }) => label === 'random')).toHaveLength(1);
  });

  it('compares a run that has a control with the baseline asked for', () => {
    const { stages } = compareRuns([summary('influence', 1, 4.5, { control: 5 }), summary('dsir', 1, 4.25)], 'dsir');
    const last = stages.filter(({ stage }) => stage === 1);
    expect(last.map(({ label, difference }) => [label, difference?.referenceLoss.mean])).toEqual([
      ['influence', 0.25],
      ['dsir', undefined],
      ['random', 0.75],
    ]);
  });

  it('tells runs of one method and seed apart by their names, and refuses to guess', () => {
    const { labels } = compareRuns([
      summary('influence', 1, 5, { name: 'few labels' }),
      summary('influence', 1, 4, { name: 'many labels' }),
    ]);
    expect(labels).toEqual(['few labels', 'many labels']);
    expect(() => compareRuns([summary('dsir', 1, 5), summary('dsir', 1, 4)])).toThrow(
      /dsir-1 and dsir-1 are both "dsir" with seed 1/,
    );
    expect(() => compareRuns([summary('dsir', 1, 5)], 'random')).toThrow(/--baseline random: .*there are dsir/);
  });

  it('refuses two runs of the same method, name and seed, whatever their controls, unless they are labelled', () => {
    const [a, b] = [summary('influence', 1, 5, { control: 6 }), summary('influence', 1, 4, { control: 6 })];
    expect(() =>
      compareEntries([
        { summary: a, source: 'out/a' },
        { summary: b, source: 'out/b' },
      ]),
    ).toThrow(/^compare: out\/a and out\/b are both "influence" with seed 1: leave one out, or .* LABEL=out\/b\.$/);
    const { labels } = compareEntries([{ summary: a }, { summary: b, label: 'colder' }]);
    expect(labels).toEqual(['influence', 'colder', 'random']);
  });

  it('refuses runs whose losses were measured on different data or after different training', () => {
    const on = (over: object = {}, seed = 1): RunSummary => ({
      ...summary('dsir', seed, 5),
      data: { corpus: 'c', heldOut: 'h', reference: 'r', settings: 's', ...over },
    });
    const other = (over: object = {}): RunSummary => ({ ...on(over), method: 'random', runId: 'other' });
    expect(compareRuns([on(), other(), on({ corpus: 'of seed 2' }, 2)]).labels).toEqual(['dsir', 'random']);
    expect(compareRuns([on(), other({ settings: undefined })]).labels).toEqual(['dsir', 'random']); // an older file
    expect(() => compareRuns([on(), other({ heldOut: 'g' })])).toThrow(
      /the runs dsir-1 and other have different held-out passages, so their losses cannot be subtracted/,
    );
    expect(() => compareRuns([on(), other({ corpus: 'd' })])).toThrow(
      /different corpora or pools, though their seed is/,
    );
    expect(() => compareRuns([on(), other({ reference: 'q' })])).toThrow(
      /dsir-1 and other have different reference passages/,
    );
    const elsewhere = other({ corpus: 'another', rows: 'q' });
    expect(() =>
      compareRuns([
        { ...on(), data: { ...on().data!, rows: 'p' } },
        { ...elsewhere, seed: 2 },
      ]),
    ).toThrow(/have different sizes of vocabulary or lengths of rows/);
    expect(() => compareRuns([on(), other({ settings: 't' })])).toThrow(
      /dsir-1 and other have different settings of model, pretrain, pools or evaluation, .* differ only in .*: seed, probe/,
    );
  });

  it('refuses a trainer beside our own and other items of a task, and remarks on what seeds are not meant to change', () => {
    const on = (seed: number, over: object, method: Method = 'dsir'): RunSummary => ({
      ...summary(method, seed, 5),
      data: { corpus: `of seed ${seed}`, heldOut: 'h', reference: 'r', trainer: 'mates', texts: 't', ...over },
    });
    expect(compareRuns([on(1, {}), on(2, {}), on(3, { trainer: undefined, texts: undefined })]).notes).toEqual([]);
    for (const [a, b] of [
      [{}, { trainer: 'python train.py' }],
      [{ trainer: 'python train.py' }, {}],
    ])
      expect(() => compareRuns([on(1, a!), on(2, b!)])).toThrow(
        /dsir-1 and dsir-2 have different trainers \((mates and python|python train.py and mates)/,
      );
    expect(compareRuns([on(1, { trainer: 'python a.py' }), on(2, { trainer: 'python b/a.py' })]).notes).toEqual([
      'The runs were trained by 2 different trainers, which their losses depend on.',
    ]);
    const texts = compareRuns([on(1, {}), on(2, { texts: 'u' })]);
    expect(texts.notes).toEqual([
      "The runs' corpora were made of 2 different sets of files: seeds differ in their texts, too.",
    ]);
    expect(comparisonMarkdown(texts)).toContain(texts.notes[0]);
    const tasks = (piqa: string) => ({ tasks: { piqa, copa: 'c' } });
    expect(compareRuns([on(1, tasks('p')), on(2, tasks('p')), on(3, {})]).notes).toEqual([]);
    expect(() => compareRuns([on(1, tasks('p')), on(2, tasks('q'))])).toThrow(
      /dsir-1 and dsir-2 have different items of the task piqa/,
    );
  });

  it('names a row by all scores that count, and shows no interval of a stage that is shared', () => {
    const influence = (seed: number, label?: string): RunSummary => ({
      ...summary('influence', seed, 5 + seed / 10, { control: 5.5 + seed / 5 }),
      label,
    });
    const both = compareRuns([influence(1), influence(1, 'influence + classifier'), influence(2)]);
    expect(both.labels).toEqual(['influence', 'influence + classifier', 'random']);
    const cells = (at: number) => comparedRows(both, at).find(([label]) => label === 'influence')!;
    expect(cells(0)[3]).toBe('0.000');
    expect(cells(1)[3]).toMatch(/^\u22120\.650 \[/);
  });

  it('compares tasks over the seeds that have them', () => {
    const withTasks = (arm: ArmSummary, acc: number): ArmSummary => ({
      ...arm,
      tasks: [
        { task: 'piqa', layout: 'choices', items: 10, acc, accStderr: 0, accNorm: acc + 0.1, accNormStderr: 0 },
        { task: 'copa', layout: 'choices', items: 10, acc, accStderr: 0 },
        {
          task: 'lambada',
          layout: 'continuation',
          items: 9,
          acc,
          accStderr: 0,
          perplexity: 9,
          perplexityStderr: 1,
          loss: 10 * acc,
        },
        { task: 'wiki', layout: 'text', items: 9, wordPerplexity: 9, bytePerplexity: 2, bitsPerByte: 2 * acc },
      ],
      taskMean: { tasks: 2, acc, accStderr: 0, accNorm: acc + 0.05, accNormStderr: 0 },
    });
    const run = (seed: number, acc: number, control: number): RunSummary => {
      const one = summary('influence', seed, 5, { control: 5.1 });
      const [first, last] = one.stages as [RunSummary['stages'][0], RunSummary['stages'][0]];
      return {
        ...one,
        stages: [first, { ...last, main: withTasks(last.main, acc), control: withTasks(last.control!, control) }],
      };
    };
    const comparison = compareRuns([run(1, 0.5, 0.4), run(2, 0.6, 0.48), summary('influence', 3, 5, { control: 5.1 })]);
    expect(comparedTaskRows(comparison, 0)).toEqual([]);
    const rows = comparedTaskRows(comparison, 1);
    expect(rows.slice(0, 2)).toEqual([
      ['piqa', 'acc', 'influence', '2', '55.0% \u00b1 5.0%', '+11.0% [\u22121.7%, +23.7%]'],
      ['piqa', 'acc', 'random', '2', '44.0% \u00b1 4.0%', '\u2013'],
    ]);
    expect(rows.map(([task, metric]) => `${task} ${metric}`).filter((_, i) => i % 2 === 0)).toEqual([
      ...['piqa acc', 'piqa acc_norm', 'copa acc', 'lambada acc', 'lambada loss', 'wiki bits per byte'],
      ...['mean of 2 choice tasks acc', 'mean of 2 choice tasks acc_norm'],
    ]);
    expect(rows.find(([, metric]) => metric === 'loss')!.slice(2)).toEqual([
      ...['influence', '2', '5.500 \u00b1 0.500', '+1.100 [\u22120.171, +2.371]'],
    ]);
    const text = comparisonMarkdown(comparison);
    expect(text).toContain('| piqa | acc | influence | 2 | 55.0% ');
    expect(text).toContain('Zero-shot tasks');
    expect(renderComparison(comparison)).toContain('<th scope="row">piqa</th><td class="text">acc</td>');
    expect(comparisonMarkdown(compareRuns([summary('dsir', 1, 5)]))).not.toContain('Zero-shot');
  });

  it('refuses a loss that is not a number, as JSON has it, and names where it is', () => {
    const diverged = summary('dsir', 1, null as never);
    expect(() => compareRuns([summary('random', 1, 5), diverged])).toThrow(
      'compare: referenceLoss of stage 1 of dsir-1 is not a number',
    );
    expect(() => compareRuns([summary('dsir', 1, 5, { control: Number.NaN })])).toThrow('is not a number');
  });

  it('refuses two ways to choose rows as seeds of one method, unless they are labelled', () => {
    const run = (seed: number, choice?: string): Entry => {
      const data = { corpus: `of seed ${seed}`, heldOut: 'h', reference: 'r', choice };
      return { summary: { ...summary('influence', seed, 5), data } };
    };
    expect(compareEntries([run(1, 'a'), run(2, 'a'), run(3)]).labels).toEqual(['influence']); // an older file
    expect(() => compareEntries([run(1, 'a'), run(2, 'b')])).toThrow(
      /influence-1 and influence-2 are both influence, and differ in probe, .*LABEL=/,
    );
    const named = [
      { ...run(1, 'a'), source: 'out/a' },
      { ...run(1, 'b'), source: 'out/b' },
    ];
    expect(() => compareEntries([named[0]!, { ...named[1]!, summary: run(2, 'b').summary }])).toThrow(
      /the runs out\/a and out\/b are both influence/,
    );
    const labelled = [{ ...run(1, 'a'), label: 'plain' }, run(2, 'b')];
    expect(compareEntries(labelled).labels).toEqual(['plain', 'influence']);
    const together = [run(1, 'a'), run(2, 'b')].map((entry) => ({ ...entry, label: 'either' }));
    expect(compareEntries(together).labels).toEqual(['either']);
  });

  it('leaves out seconds where a trainer recorded none', () => {
    const one = summary('random', 1, 5);
    const other = summary('influence', 1, 4.9);
    delete other.stages[1]!.main.trainingSeconds;
    const { courses } = compareRuns([one, other]);
    expect(courses.map(({ points }) => points.at(-1)!.seconds)).toEqual([expect.any(Number), undefined]);
    const controlled = ['small', 'big'].map((name) => summary('influence', 1, 4.9, { name, control: 5 }));
    delete controlled[1]!.stages[1]!.control!.trainingSeconds;
    const random = compareRuns(controlled).courses.find(({ label }) => label === 'random')!;
    expect(random.points.map(({ seconds }) => seconds)).toEqual([10, undefined]);
  });

  it('becomes a page without scripts or requests, and Markdown', () => {
    const comparison = compareRuns(
      [1, 2].flatMap((seed) => [summary('random', seed, 5), summary('influence', seed, 4.9)]),
    );
    const page = renderComparison(comparison);
    expect(page).not.toMatch(/<script|https?:\/\/(?!www\.w3\.org)/);
    const charts = [...page.matchAll(/<svg role="img"[\s\S]*?<\/svg>/g)];
    expect(charts.length).toBeGreaterThan(0);
    for (const [svg] of charts) checkXml(svg!);
    expect(comparisonMarkdown(comparison)).toMatchInlineSnapshot(`
      "| method | seeds | reference loss | difference | held-out loss | difference | mixed-domain loss | difference | Spearman | FLOPs |
      | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: |
      | random | 2 | 5.000 ± 0.000 | – | 5.100 ± 0.000 | – | 4.900 ± 0.000 | – | 0.50 | 2.40e+2 |
      | influence | 2 | 4.900 ± 0.000 | −0.100 [−0.100, −0.100] | 5.000 ± 0.000 | −0.100 [−0.100, −0.100] | 4.800 ± 0.000 | −0.100 [−0.100, −0.100] | 0.50 | 2.40e+2 |

      After stage 1. Losses in nats per token, mean ± standard error over seeds; differences to random, taken before rounding, paired by seed (a run with its own control, if it has one), with 95 % intervals (which span the bootstrap's and Student's t) and, where some seeds have no pair, the number of pairs in parentheses; negative is better. Intervals are of what seeds change, on one set of passages. Spearman: the influence model on held-out probes. FLOPs: training and selection up to there."
    `);
  });
});

describe('the charts of a comparison', () => {
  const random = [1, 2].map((seed) => summary('random', seed, 5));
  const pageOf = (...runs: RunSummary[]) => renderComparison(compareRuns(runs));
  const linesOf = (page: string) => [...page.matchAll(/<li><svg[\s\S]*?<\/svg>([^<]*)<\/li>/g)].map(([, line]) => line);

  it('name the seeds that a line is the mean of, where its row in the table has more of them', () => {
    const page = pageOf(...random, summary('influence', 2, 4.9));
    expect(linesOf(page)).toEqual(['random (1 of 2 seeds)', 'influence']);
    expect(page).toContain('over the seed that all methods have; the tables use all of its seeds.');
    const same = pageOf(...random, ...[1, 2].map((seed) => summary('influence', seed, 4.9)));
    expect(linesOf(same)).toEqual(['random', 'influence']);
    expect(same).toContain('the mean of a method over its seeds.');
    const none = pageOf(...random, summary('influence', 3, 4.9));
    expect(linesOf(none)).toEqual(['random (0 of 2 seeds)', 'influence (0 of 1 seed)']);
    expect(none).toContain('no seed has all methods');
  });

  it('leave room between the highest loss and the label of the axis', () => {
    const [chart] = /<svg role="img"[\s\S]*?<\/svg>/.exec(pageOf(...random))!;
    const lines = [...chart.matchAll(/<g [^>]*aria-label="line"[\s\S]*?<\/g>/g)].join('');
    const heights = [...lines.matchAll(/[ML]([\d.]+),([\d.]+)/g)].map(([, , y]) => Number(y));
    expect(heights.length).toBeGreaterThan(1);
    expect(Math.min(...heights)).toBeGreaterThanOrEqual(38); // below the frame's edge at 28
  });
});

it('counts the runs that were given, and says how many have a control', () => {
  const title = (...runs: RunSummary[]) => /<h1>(.*?)<\/h1>/.exec(renderComparison(compareRuns(runs)))![1];
  const controlled = [1, 2].map((seed) => summary('influence', seed, 4.9, { control: 5 }));
  expect(title(...controlled, summary('dsir', 1, 4.8))).toBe('3 runs, 2 of them with a control arm');
  expect(title(...controlled)).toBe('2 runs, each with a control arm');
  expect(title(controlled[0]!)).toBe('1 run, with a control arm');
  expect(title(summary('random', 1, 5), summary('dsir', 1, 4.8))).toBe('2 runs');
});

it('has the same columns on a page, in Markdown and in a terminal', () => {
  const comparison = compareRuns([1, 2].map((seed) => summary('influence', seed, 4.8 + seed / 10, { control: 5 })));
  const [influence] = comparedRows(comparison, 1);
  expect(influence).toHaveLength(COMPARED.length);
  expect(influence).toEqual(expect.arrayContaining(['4.950 \u00b1 0.050', '0.50', '2.40e+2']));
  expect(comparisonMarkdown(comparison)).toContain(`| ${COMPARED.join(' | ')} |`);
  expect(comparisonMarkdown(comparison)).toContain(`| ${influence!.join(' | ')} |`);
  const page = renderComparison(comparison).replace(/<span class="spread">([^<]*)<\/span>/g, '$1');
  for (const text of [...COMPARED, ...influence!]) expect(page).toContain(`>${text}</t`);
});

describe('the mean of paired differences', () => {
  it('lies within its interval, and has none for one pair', () => {
    expect(differenceOf([0.5])).toEqual({ seeds: 1, mean: 0.5 });
    fc.assert(
      fc.property(fc.array(fc.double({ min: -5, max: 5, noNaN: true }), { minLength: 2, maxLength: 8 }), (values) => {
        const { mean, bootstrap, student } = differenceOf(values);
        for (const [low, high] of [bootstrap!, student!]) {
          expect(low).toBeLessThanOrEqual(mean + 1e-9);
          expect(high).toBeGreaterThanOrEqual(mean - 1e-9);
        }
      }),
      { numRuns: 20 },
    );
  });

  it("has Student's interval: t(0.975, 4) = 2.776 standard errors of five values", () => {
    const values = [1, 2, 3, 4, 5];
    const [low, high] = differenceOf(values).student!;
    expect(low).toBeCloseTo(3 - 2.7764451 * Math.sqrt(2.5 / 5), 6);
    expect(high).toBeCloseTo(3 + 2.7764451 * Math.sqrt(2.5 / 5), 6);
  });
});
