import { describe, expect, it } from 'vitest';
import type { RunConfig } from '../../core/config/schema.ts';
import { InputError } from '../../core/errors.ts';
import type { Arm, Evaluation, InfluenceFit, RunRecord, SelectionSummary, StagePlan } from '../../core/formats.ts';
import { armLayout, PASSAGES_FILE, REPORT_FILE, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { type Method, methodTraits } from '../../core/selection/methods.ts';
import { getJson, putJson } from '../../core/storage/index.ts';
import { collectReportData } from '../../report/data.ts';
import { writeReport } from '../../report/index.ts';
import { renderReport } from '../../report/render.ts';
import { memoryOpener } from '../memory-store.ts';
import { type FixtureOptions, writeFixture } from './fixture.ts';
import { checkXml } from './xml.ts';

async function report(options: FixtureOptions = {}): Promise<string> {
  const open = memoryOpener();
  await writeFixture(open('memory:run'), options);
  return renderReport(await collectReportData(open, 'memory:run'));
}

const svgs = (page: string) => page.match(/<svg[\s\S]*?<\/svg>/g) ?? [];
const charts = (page: string) => svgs(page).filter((svg) => svg.includes('role="img"'));

describe('a finished run', () => {
  it('shows every section', async () => {
    const page = await report();
    for (const title of [
      'Stage by stage',
      'Loss',
      'Influence model',
      'Scores',
      'What was selected',
      'Loss by domain',
      'Best and worst documents',
      'Configuration',
    ])
      expect(page).toContain(`>${title}</h2>`);
    expect(page).toContain('0.153 lower than the random control');
    expect(page).toContain('one seed (7)');
    expect(page).not.toContain('Not there yet');
    expect(page).not.toContain('yet.</p>');
  });

  it('has no template fault: undefined, NaN, [object Object] or a Plot warning', async () => {
    const page = await report();
    expect(page).not.toMatch(/undefined|NaN|\[object|\u26a0/);
  });

  it('gives the same bytes each time', async () => {
    expect(await report()).toBe(await report());
  });

  it('makes no request and needs no script', async () => {
    const page = await report();
    expect(page).not.toMatch(/<script|<link|<iframe|<img|@import|url\(/);
    expect(page.match(/(?:src|href)="[^"#][^"]*"/g)).toBeNull();
    expect(page).toContain("default-src 'none'");
  });

  it('has charts that are well-formed XML with a label', async () => {
    const page = await report();
    expect(charts(page).length).toBeGreaterThan(10);
    for (const svg of svgs(page)) checkXml(svg);
    for (const svg of charts(page)) expect(svg).toMatch(/aria-label="[^"]{20,}"/);
  });
});

it.each([
  ['report-fixture', 'report-fixture'],
  ['report-fixture-7', 'report-fixture-7'],
  ['warmer', 'report-fixture \u00b7 warmer'],
])('gives the run %s of the configuration report-fixture the heading %s', async (id, title) => {
  const open = memoryOpener();
  const store = open('memory:run');
  await writeFixture(store, { stopAt: -1 });
  await putJson(store, RUN_FILE, { ...(await getJson<RunRecord>(store, RUN_FILE)), id });
  const page = renderReport(await collectReportData(open, 'memory:run'));
  expect(page).toContain(`<h1>${title}</h1>`);
  expect(page).toContain(`<title>${title} \u2013 MATES report</title>`);
});

it('draws the wide charts of the report for phones too, where text is not to be scaled down', async () => {
  const page = await report();
  for (const svg of charts(page.replaceAll(/<div class="wide">[\s\S]*?<div class="narrow">/g, '')))
    expect(Number(/ width="(\d+)"/.exec(svg)![1])).toBeLessThanOrEqual(360);
});

describe('axes', () => {
  it.each([{}, { poor: true }, { stages: 2 }, { stages: 12, stepsPerStage: 30 }] as FixtureOptions[])(
    'name no two ticks alike: %o',
    async (options) => {
      for (const svg of charts(await report(options)))
        for (const [axis] of svg.matchAll(/<g[^>]*aria-label="y-axis tick label".*?<\/g>/g)) {
          const ticks = [...axis.matchAll(/<text[^>]*>([^<]+)/g)].map(([, tick]) => tick);
          expect(new Set(ticks).size).toBe(ticks.length);
        }
    },
  );
});

it('tells the domain of joined rows from the loss over all domains', async () => {
  const open = memoryOpener();
  const store = open('memory:run');
  await writeFixture(store);
  const sectionsWith = async () => {
    const page = renderReport(await collectReportData(open, 'memory:run'));
    return [...page.matchAll(/<section id="([\w-]+)"[\s\S]*?<\/section>/g)]
      .filter(([section]) => section.includes('The domain mixed is made of the rows that join documents'))
      .map(([, id]) => id);
  };
  expect(await sectionsWith()).toEqual(['domains', 'domain-losses']);
  for (const stage of [1, 2, 3]) {
    const { selectionSummary } = armLayout(stage, 'main');
    const summary = await getJson<SelectionSummary>(store, selectionSummary);
    delete summary.poolDomains.mixed;
    await putJson(store, selectionSummary, summary);
  }
  expect(await sectionsWith()).toEqual(['domain-losses']);
});

describe('hostile text', () => {
  const hostile = {
    text: `<script>alert('1')</script> & "quoted" \u0000\u0008 \ud800 lone ${'long '.repeat(100)}</pre></details><img src=x onerror=y>`,
    domain: `a"b'c<svg onload="x">&amp;`,
  };

  it('is shown as text', async () => {
    const page = await report({ hostile });
    expect(page).toContain('&#60;script&#62;alert(&#39;1&#39;)&#60;/script&#62; &#38; &#34;quoted&#34;');
    expect(page).not.toMatch(/<script|<img|<svg onload|onload="/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: none may be left
    expect(page).not.toMatch(/[\u0000\u0008]|\p{Surrogate}/u);
  });

  it('leaves charts well-formed', async () => {
    for (const svg of svgs(await report({ hostile }))) checkXml(svg);
  });
});

it('tells long names of domains apart, and gives each in full as a title', async () => {
  const open = memoryOpener();
  const store = open('memory:run');
  await writeFixture(store);
  const { selectionSummary } = armLayout(1, 'main');
  const parts = [1, 2, 3].map((n) => `crawl-of-the-web-in-english/part-0000${n}-of-the-filtered.jsonl.gz`);
  const poolDomains = Object.fromEntries(parts.map((name) => [name, 100]));
  const before = await getJson<object>(store, selectionSummary);
  await putJson(store, selectionSummary, { ...before, poolDomains, selectedDomains: poolDomains });
  const page = renderReport(await collectReportData(open, 'memory:run'));
  const titled = [...page.matchAll(/>([^<]+)<title>(crawl-of-[^<]+)<\/title>/g)];
  expect(new Set(titled.map(([, , whole]) => whole)).size).toBe(3);
  expect(new Set(titled.map(([, label]) => label)).size).toBe(3);
  for (const n of [1, 2, 3]) {
    expect(titled.find(([, label]) => label!.includes(`0000${n}`))![2]).toBe(parts[n - 1]);
    expect(page).toContain(`<span title="${parts[n - 1]}">crawl-of-the-web-in-\u2026e-filtered.jsonl.gz</span>`);
  }
});

describe('a run in progress', () => {
  it('says what is missing', async () => {
    const page = await report({ stopAt: 2 });
    expect(page).toContain('The run is not finished');
    expect(page).toContain('stage 2: evaluation, control selection, control pretraining, control evaluation; stage 3.');
    expect(page).not.toMatch(/undefined|NaN/);
  });

  it('renders without error before anything is trained', async () => {
    const page = await report({ stopAt: -1 });
    expect(page).toContain('No stage has been evaluated yet.');
    expect(page).toContain('Nothing has been trained yet.');
    expect(charts(page)).toHaveLength(0);
  });

  it('shows the shared first stage without a comparison', async () => {
    const page = await report({ stopAt: 1 });
    expect(page).toContain('Both arms still share this stage');
  });
});

describe('the verdict', () => {
  it('warns of a doubtful influence model and of a run that selection made worse', async () => {
    const page = await report({ poor: true });
    expect(page).toContain('includes zero');
    expect(page).toContain('selection did not help');
    expect(page).toContain('class="verdict warn"');
  });

  /** The header and the last row of the first table, of a run whose last stage has these losses of both arms. */
  async function withLosses(main: Partial<Evaluation>, control: Partial<Evaluation>) {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    for (const [arm, losses] of Object.entries({ main, control })) {
      const { evaluation } = armLayout(3, arm as Arm);
      await putJson(store, evaluation, { ...(await getJson<Evaluation>(store, evaluation)), ...losses });
    }
    const page = renderReport(await collectReportData(open, 'memory:run'));
    const row = /<tr><th scope="row">3<\/th>[\s\S]*?<\/tr>/.exec(page)![0];
    const figures = [...page.matchAll(/<dt>[^<]*<\/dt><dd>([^<]*)<\/dd>/g)].map(([, value]) => value);
    return { header: /<header>[\s\S]*<\/header>/.exec(page)![0], row, figures };
  }

  it('subtracts the numbers as shown, and ignores a difference of a thousandth', async () => {
    const { header, row, figures } = await withLosses(
      { referenceLoss: 10.8284, heldOutLoss: 10.8264, mixedDomainLoss: 4.0021 },
      { referenceLoss: 10.8288, heldOutLoss: 10.8256, mixedDomainLoss: 4.0009 },
    );
    expect(figures).toEqual(['10.826', '10.826', '0.000', '\u22120.001']);
    expect(header).toContain('10.826 nats per token, the same as the random control');
    expect(header).toContain('class="verdict open"');
    expect(row).toContain('<td class="">\u22120.001</td>'); // reference: 10.828 and 10.829
    expect(header + row).not.toMatch(/did not help|carry over|trades breadth|class="(better|worse)"/);
  });

  it.each([
    [5, 5.004, '0.004 lower than the random control\u2019s 5.004: less than 0.05, which may as well be chance.'],
    [5.004, 5, '0.004 higher than the random control\u2019s 5.000: less than 0.05, which may as well be chance.'],
    [5, 5.05, '0.050 lower than the random control\u2019s 5.050.'],
    [5.05, 5, '0.050 higher than the random control\u2019s 5.000: in this run selection did not help.'],
  ])('says whether %f beside %f is a difference', async (main, control, said) => {
    const losses = (loss: number) => ({ referenceLoss: loss, heldOutLoss: loss, mixedDomainLoss: loss });
    const { header, row } = await withLosses(losses(main), losses(control));
    expect(header).toContain(said);
    expect(row.includes('class="better"') || row.includes('class="worse"')).toBe(Math.abs(main - control) > 0.04);
  });

  it.each([
    [-0.2, -0.2, 'good'],
    [-0.2, -0.04, 'warn'],
    [-0.2, 0.04, 'warn'],
    [0, -0.2, 'good'],
    [0.2, -0.2, 'warn'],
    [0.2, 0.2, 'warn'],
    [0.04, -0.04, 'open'],
  ])('praises no gain on the reference passages (%d) that is none on others (%d)', async (reference, heldOut, tone) => {
    const losses = (over: object) => ({
      referenceLoss: 5 + reference,
      heldOutLoss: 5 + heldOut,
      mixedDomainLoss: 4,
      ...over,
    });
    const { header } = await withLosses(losses({}), losses({ referenceLoss: 5, heldOutLoss: 5 }));
    expect(header).toContain(`class="verdict ${tone}"`);
    expect(header.includes('does not carry over')).toBe(reference < -0.1 && heldOut > -0.1);
  });

  it('warns of a probe that is not to be trusted, where rows are scored by it alone', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    for (const stage of [1, 2, 3]) await store.delete(stageLayout(stage).fit);
    const page = async () => renderReport(await collectReportData(open, 'memory:run'));
    expect(await page()).toContain('class="verdict good"');
    await putJson(store, stageLayout(2).scorer, { weak: 'its steps made the model worse' });
    expect(await page()).toContain('class="verdict warn"');
    expect(await page()).toContain('Stage 2: the probe is weak: its steps made the model worse.');
  });

  it('warns of labels that are not to be trusted, beside an interval that includes zero', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    const { fit: key } = stageLayout(2);
    const fit = await getJson<InfluenceFit>(store, key);
    const page = async () => renderReport(await collectReportData(open, 'memory:run'));
    expect(await page()).toContain('class="verdict good"');
    await putJson(store, key, { ...fit, weak: 'its steps made the model worse', weakLabels: true });
    expect(await page()).toContain('class="verdict warn"');
    expect(await page()).toContain('Stage 2: the labels are weak: its steps made the model worse.');
    const uncertain = { ...fit, spearmanInterval: [-0.1, 0.2] };
    await putJson(store, key, { ...uncertain, weak: 'its steps made the model worse', weakLabels: true });
    expect(await page()).toContain('Stage 2: the labels are weak: its steps made the model worse.');
    expect(await page()).toContain('Spearman interval includes zero (stage 2 ');
    await putJson(store, key, { ...uncertain, weak: 'its interval includes zero' });
    expect(await page()).not.toContain('weak: its interval includes zero');
  });

  it('says which stages were selected by what stood in for the method, and does not praise it for them', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    const key = armLayout(2, 'main').selectionSummary;
    await putJson(store, key, { ...(await getJson<SelectionSummary>(store, key)), method: 'dsir' });
    const page = renderReport(await collectReportData(open, 'memory:run'));
    expect(page).toContain('class="verdict warn"');
    expect(page).toContain(', except that rows were selected for stage 2 by dsir instead');
    expect(page).toContain('Stage 2: rows were selected by dsir instead of influence.');
  });

  it.each([
    [-0.2, 'trades breadth for the reference'],
    [0.2, 'is higher than the control\u2019s, too (+0.100).'],
  ])('speaks of a trade only where the reference has gained: %d', async (difference, expected) => {
    const losses = (by: number, mixed: number) => ({
      referenceLoss: 5 + by,
      heldOutLoss: 5 + by,
      mixedDomainLoss: 4 + mixed,
    });
    const { header } = await withLosses(losses(difference, 0.1), losses(0, 0));
    expect(header).toContain(expected);
    expect(header.includes('trades breadth')).toBe(difference < 0);
  });

  it('says how many of the selected rows were trained on', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    const page = async () => renderReport(await collectReportData(open, 'memory:run'));
    const take = async (stage: number, rows?: number) => {
      const { plan: key } = stageLayout(stage);
      const plan = await getJson<StagePlan>(store, key);
      await putJson(store, key, { ...plan, consumedRows: rows ?? plan.selectedRows });
    };
    for (const stage of [1, 2, 3]) await take(stage);
    expect(await page()).not.toContain('rows of the 20% of its candidate pool');
    await take(3, 123);
    expect(await page()).toContain('each later one on rows of the 20% of its candidate pool');
    expect(await page()).toMatch(/<td class="group">123 \/ [\d,]+ \/ [\d,]+<\/td>/);
  });

  it('repeats the warnings about the passages and the selection', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    await putJson(store, PASSAGES_FILE, { warnings: ['The passages are odd.'] });
    const { evaluation } = armLayout(1, 'main');
    const selection = { warnings: ['The selection is odd.'] };
    await putJson(store, evaluation, { ...(await getJson<object>(store, evaluation)), selection });
    const page = await renderReport(await collectReportData(open, 'memory:run'));
    expect(page).toContain('The passages are odd.');
    expect(page).toContain('Stage 1: The selection is odd.');
  });

  it('says what scores are added to the method\u2019s own', async () => {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    const record = await getJson<RunRecord>(store, RUN_FILE);
    record.config.selection.classifierWeight = 1;
    await putJson(store, RUN_FILE, record);
    const page = await renderReport(await collectReportData(open, 'memory:run'));
    expect(page).toContain('with the score of a quality classifier added');
    expect(await report()).not.toContain('with the score of');
  });

  /** The report of a run by this method, whose rows nothing has scored. */
  async function reportOf(method: Method, control: 'random' | 'none' = 'random') {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store, { control: method === 'random' ? 'none' : control });
    const record = await getJson<RunRecord>(store, RUN_FILE);
    Object.assign(record.config, { control, selection: { ...record.config.selection, method } });
    await putJson(store, RUN_FILE, record);
    for (const stage of [1, 2, 3]) {
      await store.delete(stageLayout(stage).fit);
      const plan = await getJson<StagePlan>(store, stageLayout(stage).plan);
      await putJson(store, stageLayout(stage).plan, { ...plan, scored: false, probes: 0 });
    }
    const page = renderReport(await collectReportData(open, 'memory:run'));
    const figures = [...page.matchAll(/<dt>([^<]*)<\/dt><dd>([^<]*)<\/dd>/g)].map(([, name, value]) => [name, value]);
    return { page, figures, header: /<header>[\s\S]*<\/header>/.exec(page)![0] };
  }

  it('goes by the held-out loss where the reference passages were trained on', async () => {
    const { page, figures, header } = await reportOf('train-on-reference');
    expect(figures).toEqual([
      ['Held-out loss', '4.927'],
      ['Random control', '5.080'],
      ['Difference', '\u22120.153'],
      ['On what was trained on', '\u22120.180'],
    ]);
    expect(header).toContain('the reference passages themselves were trained on');
    expect(header).toContain(
      'held-out loss is 4.927 nats per token, 0.153 lower than the random control\u2019s 5.080.',
    );
    expect(page).not.toMatch(/selected data|favours selection|what selection aims at|>selected<\/th>/i);
    const [row] = /<tr><th scope="row">3<\/th>[\s\S]*?<\/tr>/.exec(page)!;
    expect(row).toMatch(/<td class="">\u22120\.180<\/td>[\s\S]*<td class="better">\u22120\.153<\/td>/);
    const alone = await reportOf('train-on-reference', 'none');
    expect(alone.header).toContain('nothing here says whether the reference passages helped');
  });

  it('compares nothing in a run on random rows', async () => {
    const { page, figures, header } = await reportOf('random');
    expect(header).toContain('Nothing was selected in this run: it trained on random rows.');
    expect(figures.map(([name]) => name)).toEqual(['Reference loss', 'Held-out loss', 'Mixed-domain loss']);
    expect(page).not.toMatch(/whether selection helped|selected data|random control|what selection aims at/i);
    expect(await report({ stages: 1 })).toContain('Nothing was selected in this run');
  });

  it('claims nothing without a control', async () => {
    const page = await report({ control: 'none' });
    expect(page).toContain('There is no random control to compare with');
    expect(page).not.toContain('Random control');
  });
});

describe('utility', () => {
  /** The report of a run with this selection, whose stages were chosen by their method or by what stood in for it. */
  async function reportOf(selection: Partial<RunConfig['selection']>, standIns: Record<number, Method> = {}) {
    const open = memoryOpener();
    const store = open('memory:run');
    await writeFixture(store);
    const record = await getJson<RunRecord>(store, RUN_FILE);
    Object.assign(record.config.selection, selection);
    await putJson(store, RUN_FILE, record);
    for (const stage of [1, 2, 3]) {
      const { selectionSummary } = armLayout(stage, 'main');
      const method = standIns[stage] ?? record.config.selection.method;
      const gumbel = methodTraits(method).hard ? 'none' : 'exact';
      await putJson(store, selectionSummary, { ...(await getJson<object>(store, selectionSummary)), method, gumbel });
    }
    const page = renderReport(await collectReportData(open, 'memory:run'));
    const [section] = /<section id="scores"[\s\S]*?<\/section>/.exec(page)!;
    const axes = [...section.matchAll(/>(utility[^<]*)</g)].map(([, label]) => label);
    return { axes: [...new Set(axes)], note: section.slice(section.lastIndexOf('<p class="note">')) };
  }

  it('is called what the method makes it, and rows drawn or kept as the method takes them', async () => {
    const drawn = await reportOf({ method: 'influence' });
    expect(drawn.axes).toEqual(['utility, in standard deviations']);
    expect(drawn.note).toContain(
      'Utility is minus predicted influence, in standard deviations. Rows are drawn by Gumbel-top-k',
    );
    const kept = await reportOf({ method: 'classifier' });
    expect(kept.axes).toEqual(['utility, in standard deviations']);
    expect(kept.note).toContain('The rows with the highest utility are kept.');
    expect(kept.note).not.toContain('Gumbel');
    expect((await reportOf({ method: 'perplexity' })).axes).toEqual(['utility, in standard deviations']);
    const dsir = await reportOf({ method: 'dsir' });
    expect(dsir.axes).toEqual(['utility (DSIR\u2019s log-weight)']);
    expect(dsir.note).toContain('Gumbel-top-k');
  });

  it('is a sum where scores are added', async () => {
    const { axes, note } = await reportOf({ method: 'influence', classifierWeight: 1, dsirWeight: 0.5 });
    expect(axes).toEqual(['utility, in standard deviations']);
    expect(note).toContain(
      'Utility is the sum of z-scores, divided by its own standard deviation: minus predicted influence, plus 0.5 times DSIR\u2019s log-weight, plus the classifier\u2019s score.',
    );
  });

  it('is that of what stood in for the method at a stage', async () => {
    const { axes, note } = await reportOf({ method: 'hard-top-k' }, { 2: 'dsir' });
    expect(axes).toEqual(['utility, in standard deviations', 'utility (DSIR\u2019s log-weight)']);
    expect(note).toContain('In stages 1, 3 the rows with the highest utility are kept. In stage 2 rows are drawn');
  });
});

it('stays small for many stages', async () => {
  const page = await report({ stages: 20, stepsPerStage: 60 });
  expect(page).toContain('6 of 19 stages are shown, evenly spread.');
  expect(page.length).toBeLessThan(1_000_000);
});

it('copes with a single stage', async () => {
  const page = await report({ stages: 1 });
  expect(page).toContain('trained for 1 stage of 120 steps');
  expect(page).not.toMatch(/undefined|NaN|\u26a0/);
});

it('writes the file into the run, and refuses a folder that is no run', async () => {
  const open = memoryOpener();
  const store = open('memory:run');
  await writeFixture(store);
  await writeReport(store, open);
  expect(new TextDecoder().decode(await store.get(REPORT_FILE))).toMatch(/^<!doctype html>\n<html lang="en">/);
  await expect(writeReport(open('memory:none'), open)).rejects.toThrow(InputError);
});

it('draws of many domains those that gained most and those that lost most, and says so', async () => {
  const open = memoryOpener();
  const store = open('memory:run');
  await writeFixture(store);
  const domains = Array.from({ length: 30 }, (_, i) => `part-${String(i).padStart(2, '0')}`);
  for (const [arm, step] of [
    ['main', 0.01],
    ['control', 0],
  ] as const) {
    const { evaluation } = armLayout(3, arm);
    const before = await getJson<Evaluation>(store, evaluation);
    const domainLoss = Object.fromEntries(domains.map((name, i) => [name, { rows: 5, loss: 3 + step * i }]));
    await putJson(store, evaluation, { ...before, domainLoss });
  }
  const page = renderReport(await collectReportData(open, 'memory:run'));
  const section = /<section id="domain-losses"[\s\S]*?<\/section>/.exec(page)![0];
  expect(section).toContain('The first and the last 10 of 30 are drawn; all are in the table.');
  const [chart] = charts(section);
  const drawn = domains.filter((name) => chart!.includes(name));
  expect(drawn).toEqual([...domains.slice(0, 10), ...domains.slice(-10)]);
});
