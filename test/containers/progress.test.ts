import { expect, it } from 'vitest';
import { run as evaluate } from '../../containers/evaluate/index.ts';
import { run as fitInfluence } from '../../containers/fit-influence/index.ts';
import { run as prepare } from '../../containers/prepare/index.ts';
import { armLayout, stageLayout } from '../../core/layout.ts';
import type { Progress } from '../../core/progress.ts';
import { TinyRun, tinyConfig } from './support.ts';

const tiny = await TinyRun.create(tinyConfig({ selection: { classifierWeight: 1, dsirWeight: 1 } }));

it('counts a single unit in each step, and reaches its end once', async () => {
  const reports: Progress[] = [];
  const progress = (report: Progress) => void reports.push(report);
  await prepare(tiny.job(0, { progress }));
  await tiny.stage(0);
  await tiny.stage(1);
  await tiny.store.delete(stageLayout(1).scorer);
  await fitInfluence(tiny.job(1, { progress }));
  await tiny.store.delete(armLayout(1, 'main').evaluation);
  await evaluate(tiny.job(1, { progress }));
  const steps = [...new Set(reports.map(({ step }) => step))];
  expect(steps).toEqual(
    expect.arrayContaining([
      'Hash the input files',
      'Read the documents',
      'Measure the scale of the scores',
      'Evaluate: decay branch',
      'Evaluate',
    ]),
  );
  for (const step of steps) {
    const of = reports.filter((report) => report.step === step);
    expect(new Set(of.map(({ unit, total }) => `${total} ${unit}`)).size, step).toBe(1);
    expect(
      of.map(({ done }) => done),
      step,
    ).toEqual(of.map(({ done }) => done).sort((a, b) => a - b));
    expect(of.filter(({ done, total }) => done === total).length, step).toBe(1);
  }
});
