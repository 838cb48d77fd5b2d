/** A whole run in this process, and models small enough to check by hand. */

import { join, resolve } from 'node:path';
import type { Job } from '../../containers/job.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { RunConfig } from '../../core/config/schema.ts';
import type { Passage } from '../../core/corpus/passages.ts';
import type { Arm, StagePlan } from '../../core/formats.ts';
import { sha256 } from '../../core/hash.ts';
import { stageLayout } from '../../core/layout.ts';
import { planStage, probeItems, scoreItems } from '../../core/plan/stage-plan.ts';
import { createRun } from '../../core/run/create-run.ts';
import { mergeFields } from '../../core/run/execution-input.ts';
import { openRun, openRunCorpus, type Run } from '../../core/run/open-run.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import { putJson, type Store, storeOpener } from '../../core/storage/index.ts';
import { AdamW } from '../../engine/adamw.ts';
import type { DecoderShape } from '../../engine/decoder/decoder.ts';
import { LanguageModel } from '../../engine/decoder/language-model.ts';
import type { Checkpoint } from '../../engine/files/checkpoint.ts';
import { ParameterSet } from '../../engine/parameters.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';
import { randomParameters, randomTokens, TINY_GPT } from '../engine/support.ts';
import { temporaryFolder } from '../support.ts';
import { TINY_BERT, TINY_CORPUS, TINY_SHAPE, TINY_STAGE } from '../tiny.ts';

const FIXTURES = resolve('test/fixtures/mini-corpus');

/** A task of each layout. */
export const TASK_FILES = ['quiz', 'names', 'words', 'lines'].map((name) =>
  resolve(`test/fixtures/tasks/${name}.jsonl`),
);

/** Three domains of 50 documents, rows of 32 tokens, stages of 8 steps: about two seconds for a stage. */
export function tinyConfig(over: Record<string, Record<string, unknown>> = {}): RunConfig {
  const fields: Record<string, Record<string, unknown>> = {
    corpus: {
      input: ['novels-austen', 'dictionary', 'logs'].map((name) => join(FIXTURES, `${name}.jsonl`)),
      ...TINY_CORPUS,
    },
    reference: { input: join(FIXTURES, 'reference.jsonl'), passages: 4 },
    heldOut: { input: join(FIXTURES, 'held-out.jsonl'), passages: 4 },
    model: TINY_SHAPE,
    pretrain: { stages: 2, ...TINY_STAGE },
    pools: { holdOut: 0.2 },
    probe: { method: 'exact', documents: 12, jobs: 2, flushEvery: 2 },
    influenceModel: { ...TINY_BERT, epochs: 1 },
    scoring: { jobs: 2, batchDocuments: 32 },
    selection: { fraction: 0.3 },
    evaluation: { rowsPerDomain: 2 },
    engine: { threads: 1 },
  };
  return parseConfig({ name: 'tiny', seed: 3, ...mergeFields(fields, over) }, 'test configuration');
}

/** A run whose jobs are called one after another, as the machine would start them. */
export class TinyRun {
  readonly directory: string;
  readonly run: Run;

  static async create(config = tinyConfig()): Promise<TinyRun> {
    const directory = await temporaryFolder();
    const open = storeOpener();
    await createRun(open(directory), 'tiny', config, softwareVersions());
    return new TinyRun(directory, await openRun(open, directory));
  }

  private constructor(directory: string, run: Run) {
    this.directory = directory;
    this.run = run;
  }

  get store(): Store {
    return this.run.store;
  }

  job(stage: number, over: Partial<Job> = {}): Job {
    const { signal } = new AbortController();
    const warn = (warning: string) => process.stderr.write(`Warning: ${warning}\n`);
    return { run: this.run, stage, arm: 'main', item: undefined, signal, progress: () => {}, warn, ...over };
  }

  async prepare(): Promise<void> {
    await (await import('../../containers/prepare/index.ts')).run(this.job(0));
  }

  /** Writes the plan of a stage as the planning function does. */
  async plan(stage: number): Promise<StagePlan> {
    const { index } = await openRunCorpus(this.run);
    const plan = planStage(this.run.record.config, index, stage);
    const layout = stageLayout(stage);
    if (plan.probes > 0) await this.store.put(layout.probeItems, JSON.stringify(probeItems(plan)));
    if (plan.scored) await this.store.put(layout.scoreItems, JSON.stringify(scoreItems(plan)));
    await putJson(this.store, layout.plan, plan);
    return plan;
  }

  async probe(stage: number, item: unknown, over: Partial<Job> = {}): Promise<void> {
    await (await import('../../containers/probe/index.ts')).run(this.job(stage, { item, ...over }));
  }

  async pretrain(stage: number, arm: Arm = 'main'): Promise<void> {
    await (await import('../../containers/pretrain/index.ts')).run(this.job(stage, { arm }));
  }

  async evaluate(stage: number, arm: Arm = 'main'): Promise<void> {
    await (await import('../../containers/evaluate/index.ts')).run(this.job(stage, { arm }));
  }

  async select(plan: StagePlan): Promise<void> {
    const corpus = await openRunCorpus(this.run);
    const scorer = plan.scored ? await readScorer(this.store, plan) : undefined;
    for (const arm of plan.arms)
      await selectRows(selectionRequest(this.store, corpus, this.run.record.config, plan, arm, scorer));
  }

  /** All steps of one stage. */
  async stage(stage: number): Promise<void> {
    const plan = await this.plan(stage);
    if (plan.preparesProbe) await (await import('../../containers/prepare-probe/index.ts')).run(this.job(stage));
    if (plan.scored) {
      for (const item of probeItems(plan)) await this.probe(stage, item);
      await (await import('../../containers/fit-influence/index.ts')).run(this.job(stage));
      const score = await import('../../containers/score/index.ts');
      for (const item of scoreItems(plan)) await score.run(this.job(stage, { item }));
    }
    await this.select(plan);
    for (const arm of plan.arms) {
      await this.pretrain(stage, arm);
      await this.evaluate(stage, arm);
    }
  }
}

/** The hash of every file under a prefix, by key, except those that record times. */
export async function filesOf(store: Store, prefix: string): Promise<Record<string, string>> {
  const files: Record<string, string> = {};
  for (const key of await store.list(prefix)) if (!key.includes('/timings/')) files[key] = sha256(await store.get(key));
  return files;
}

/** Training settings of which no test depends on a default. */
export const TRAINING: RunConfig['pretrain'] = {
  ...tinyConfig().pretrain,
  batchRows: 4,
  microBatchRows: 4,
  learningRate: 0.002,
  warmupSteps: 2,
  weightDecay: 0.1,
  clipNorm: 0.5,
};

export async function tinyModel(shape: DecoderShape = TINY_GPT): Promise<LanguageModel> {
  return new LanguageModel(await createRuntime('onnx', { threads: 1 }), shape);
}

/** A checkpoint in the middle of a training: moments that are not zero, five steps done. */
export function trainedCheckpoint(model: LanguageModel, config = TRAINING): Checkpoint {
  const parameters = randomParameters(model.specs);
  const optimizer = new AdamW(parameters.flat.length, config);
  for (let step = 0; step < 5; step++) {
    const gradient = randomParameters(model.specs, 10 + step).flat;
    for (let i = 0; i < gradient.length; i++) gradient[i]! *= 0.01;
    optimizer.apply(parameters.flat, gradient, config.learningRate);
  }
  return { shape: model.shape, contextLength: 16, parameters, optimizer, state: { step: 5, tokens: 0 } };
}

/** Hashes of everything that a training changes, by bits, so that NaN and minus 0 count. */
export function digests({ parameters, optimizer }: Pick<Checkpoint, 'parameters' | 'optimizer'>) {
  const digest = ({ buffer, byteOffset, byteLength }: Float32Array) =>
    sha256(new Uint8Array(buffer, byteOffset, byteLength));
  return {
    weights: digest(parameters.flat),
    m: digest(optimizer.m),
    v: digest(optimizer.v),
    step: optimizer.step,
  };
}

/** Passages of random tokens and different lengths; every second one counts its last tokens only. */
export function randomPassages(count: number, vocabularySize = TINY_GPT.vocabularySize): Passage[] {
  return Array.from({ length: count }, (_, i) => {
    const tokens = Array.from(randomTokens(3 + ((5 * i) % 11), vocabularySize, 100 + i));
    return { tokens, firstTarget: i % 2 === 0 ? 1 : tokens.length - 1 - (i % 3 === 0 ? 1 : 0) };
  });
}

/** The mean over passages of the mean loss of each one's targets, by the plainest loop: one passage at a time. */
export async function plainPassageLoss(
  model: LanguageModel,
  parameters: ParameterSet,
  passages: readonly Passage[],
): Promise<number> {
  let sum = 0;
  for (const { tokens, firstTarget } of passages) {
    const batch = { batch: 1, length: tokens.length, tokens: Int32Array.from(tokens) };
    const losses = await model.tokenLosses(parameters, batch); // of tokens 1, 2, ...
    const targets = Array.from(losses).slice(firstTarget - 1);
    sum += targets.reduce((total, loss) => total + loss, 0) / targets.length;
  }
  return sum / passages.length;
}

/** A gradient set of a model, all zero. */
export function emptyGradient(model: LanguageModel): ParameterSet {
  return new ParameterSet(model.specs);
}
