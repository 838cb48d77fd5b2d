import { afterEach, expect, it, vi } from 'vitest';
import type { Evaluation, SelectionSummary } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import { scoreItems } from '../../core/plan/stage-plan.ts';
import { getJson, putJson } from '../../core/storage/index.ts';
import { TinyRun, tinyConfig } from './support.ts';

afterEach(() => vi.restoreAllMocks());

it.each([
  ['what the noise of DSIR cannot do', {}, 'selection.fraction'],
  [
    'with more noise, where scores are in standard deviations',
    { classifierWeight: 1 },
    'selection.temperature or selection.fraction',
  ],
])(
  'an evaluation compares the selection of the main arm with its pool, and warns of one that has collapsed, now and in its result: %s',
  async (_, weights, remedy) => {
    vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const tiny = await TinyRun.create(tinyConfig({ selection: { method: 'dsir', ...weights } }));
    await tiny.prepare();
    await tiny.stage(0);
    const plan = await tiny.plan(1);
    await (await import('../../containers/fit-influence/index.ts')).run(tiny.job(1));
    const score = await import('../../containers/score/index.ts');
    for (const item of scoreItems(plan)) await score.run(tiny.job(1, { item }));
    await tiny.select(plan);
    for (const arm of plan.arms) await tiny.pretrain(1, arm);
    const key = armLayout(1, 'main').selectionSummary;
    const summary = await getJson<SelectionSummary>(tiny.store, key);
    const poolDomains = { logs: 1, dictionary: plan.poolRows - 1 };
    await putJson(tiny.store, key, { ...summary, selectedDomains: { logs: plan.selectedRows }, poolDomains });
    const warnings: string[] = [];
    const { run: evaluate } = await import('../../containers/evaluate/index.ts');
    for (const arm of plan.arms) await evaluate(tiny.job(1, { arm, warn: (warning) => warnings.push(warning) }));
    const { selection } = await getJson<Evaluation>(tiny.store, armLayout(1, 'main').evaluation);
    expect(selection).toMatchObject({ selected: { rows: plan.selectedRows }, pool: { rows: plan.poolRows } });
    expect(selection!.warnings).toEqual([expect.stringMatching(/^100 % of the selected rows are of the domain logs/)]);
    expect(selection!.warnings[0]).toContain(`; a higher ${remedy} keeps more of the others`);
    expect(warnings).toEqual([`stage 1: ${selection!.warnings[0]}`]);
    expect((await getJson<Evaluation>(tiny.store, armLayout(1, 'control').evaluation)).selection).toBeUndefined();
  },
);
