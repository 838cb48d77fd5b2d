import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { run as evaluate } from '../../containers/evaluate/index.ts';
import { modelShape } from '../../containers/model.ts';
import { loadTasks } from '../../containers/passages.ts';
import { InputError, InterruptedError } from '../../core/errors.ts';
import type { ContinuationScore } from '../../core/evaluation/index.ts';
import type { Evaluation } from '../../core/formats.ts';
import { armLayout } from '../../core/layout.ts';
import type { Progress } from '../../core/progress.ts';
import { makeManifest } from '../../core/run/manifest.ts';
import { openRunCorpus } from '../../core/run/open-run.ts';
import { summarise } from '../../core/run/summary.ts';
import { getJson } from '../../core/storage/index.ts';
import { loadCheckpoint } from '../../engine/files/checkpoint.ts';
import { TASK_FILES, TinyRun, tinyConfig, tinyModel } from './support.ts';

const [quiz, names, words, lines] = TASK_FILES as [string, string, string, string];
const { evaluation: key, checkpoint } = armLayout(0, 'main');

/** No decay: the branch is the checkpoint, whose likelihoods are then computed anew. */
const config = tinyConfig({
  pretrain: { decaySteps: 0, stages: 1 },
  evaluation: {
    rowsPerDomain: 2,
    tasks: [{ file: quiz }, { file: names }, { file: words, name: 'last-words', limit: 2 }, { file: lines }],
  },
});

describe('zero-shot tasks of a run', () => {
  let tiny: TinyRun;
  let found: Evaluation;
  beforeAll(async () => {
    tiny = await TinyRun.create(config);
    await tiny.prepare();
    await tiny.stage(0);
    found = await getJson<Evaluation>(tiny.store, key);
  });

  it('are scored in the order of the configuration, with their mean', () => {
    expect(found.tasks).toMatchObject([
      { task: 'quiz', layout: 'choices', items: 4 },
      { task: 'names', layout: 'contexts', items: 3 },
      { task: 'last-words', layout: 'continuation', items: 2 },
      { task: 'lines', layout: 'text', items: 2 },
    ]);
    expect(found.taskMean?.tasks).toBe(2);
  });

  it("are scored by the checkpoint's likelihoods, with the tokens and the length of the corpus", async () => {
    const corpus = await openRunCorpus(tiny.run);
    const model = await tinyModel(modelShape(config, corpus.index));
    const { parameters } = await loadCheckpoint(tiny.store, checkpoint);
    const task = (await loadTasks(tiny.run, corpus))[2]!;
    expect(task.truncated).toBeGreaterThan(0); // rows have 32 tokens, the first context more
    let [nats, targets] = [0, 0];
    for (const { tokens, firstTarget } of task.requests) {
      expect(tokens.length).toBeLessThanOrEqual(33);
      const batch = { batch: 1, length: tokens.length, tokens: Int32Array.from(tokens) };
      const losses = [...(await model.tokenLosses(parameters, batch))].slice(firstTarget - 1);
      nats += losses.reduce((sum, loss) => sum + loss, 0);
      targets += losses.length;
    }
    const score = found.tasks![2] as ContinuationScore;
    expect(score.loss).toBeCloseTo(nats / targets, 5);
    expect(Math.log(score.perplexity)).toBeCloseTo(nats / 2, 5);
  });

  it('are in the summary without each answer, and their files in the manifest', async () => {
    const { stages } = await summarise(tiny.run);
    const { tasks, taskMean } = stages[0]!.main;
    expect(taskMean).toEqual(found.taskMean);
    expect(tasks!.map(({ task }) => task)).toEqual(found.tasks!.map(({ task }) => task));
    expect(JSON.stringify(tasks)).not.toContain('correct');
    const { inputs } = await makeManifest(tiny.run);
    expect(inputs.map(({ uri }) => uri)).toEqual(expect.arrayContaining(TASK_FILES));
  });

  it.each(['Evaluate', 'Evaluate: tasks'])(
    '%s stops before its next report when asked, with nothing written',
    async (step) => {
      await tiny.store.delete(key);
      const controller = new AbortController();
      const reports: Progress[] = [];
      const job = tiny.job(0, {
        signal: controller.signal,
        progress: (report) => {
          reports.push(report);
          if (report.step === step) controller.abort();
        },
      });
      await expect(evaluate(job)).rejects.toThrow(InterruptedError);
      expect(reports.filter((report) => report.step === step)).toHaveLength(1);
      expect(reports.at(-1)!.step).toBe(step);
      expect(await tiny.store.size(key)).toBeUndefined();
    },
  );

  it('report their progress, and give the same when they start over', async () => {
    await tiny.store.delete(key);
    const progress: Progress[] = [];
    await evaluate(tiny.job(0, { progress: (report) => progress.push(report) }));
    const tasks = await loadTasks(tiny.run, await openRunCorpus(tiny.run));
    const total = tasks.reduce((sum, { requests }) => sum + requests.length, 0);
    expect(progress.at(-1)).toEqual({ step: 'Evaluate: tasks', done: total, total, unit: 'requests' });
    expect(await getJson(tiny.store, key)).toEqual(found);
  });
});

it('a bad line of a task is refused before anything is trained', async () => {
  const tiny = await TinyRun.create(config);
  const file = join(tiny.directory, 'bad.jsonl');
  await writeFile(
    file,
    '{"query": "x", "choices": ["a", "b"], "gold": 0}\n{"query": "x", "choices": ["a"], "gold": 0}\n',
  );
  tiny.run.record.config.evaluation.tasks = [{ file }];
  await expect(tiny.prepare()).rejects.toThrow(InputError);
  await expect(tiny.prepare()).rejects.toThrow(/bad\.jsonl, line 2: choices is \["a"\]/);
});
