/** A tiny run that is ready for pretraining, copied for each check. */
import { textsOf } from '../../core/config/corpus-schema.ts';
import { parseConfig } from '../../core/config/load.ts';
import type { ModelFields, RunConfig, RunConfigInput } from '../../core/config/schema.ts';
import { openCorpus } from '../../core/corpus/corpus.ts';
import { prepareCorpus } from '../../core/corpus/prepare.ts';
import type { Arm, CorpusIndex, RunRecord } from '../../core/formats.ts';
import { CORPUS_FOLDER, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { planStage } from '../../core/plan/stage-plan.ts';
import { createRun } from '../../core/run/create-run.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { selectionRequest, selectRows } from '../../core/selection/select.ts';
import { copyObject, getJson, hashObject, putJson, type Store, type StoreOpener } from '../../core/storage/index.ts';

export interface Scene {
  store: Store;
  config: RunConfig;
  corpus: CorpusIndex;
}

/** Large enough to learn something and to be interrupted midway, small enough for the whole check to take a minute. */
const CONFIG = {
  name: 'conformance',
  corpus: {
    input: ['builtin:corpus/dictionary.jsonl.gz'],
    tokenizer: { train: 512 },
    sequenceLength: 64,
    shards: 12,
  },
  reference: { input: 'builtin:corpus/reference.jsonl', passages: 4 },
  heldOut: { input: 'builtin:corpus/held-out.jsonl', passages: 4 },
  model: { layers: 1, width: 32, heads: 2 },
  pretrain: {
    stages: 2,
    stepsPerStage: 60,
    batchRows: 4,
    microBatchRows: 2,
    learningRate: 3e-3,
    warmupSteps: 10,
    checkpointEverySteps: 10,
  },
  selection: { method: 'random' },
  engine: { threads: 1 },
};

/** What a GPT-NeoX may have otherwise than Pythia. */
export const OTHER_KIND = {
  mlpWidth: 48,
  activation: 'gelu-tanh',
  attentionBias: false,
  tiedEmbeddings: true,
  parallelResidual: false,
} satisfies Partial<ModelFields<'gpt-neox'>>;

/**
 * Prepares the corpus, and the plans and selections of both stages, for the main arm and for a control.
 *
 * @param changes what is otherwise in the configuration.
 */
export async function prepareScene(
  open: StoreOpener,
  uri: string,
  changes: Pick<RunConfigInput, 'pretrain' | 'model'> = {},
): Promise<Scene> {
  const model = { ...CONFIG.model, ...changes.model };
  const pretrain = { ...CONFIG.pretrain, ...changes.pretrain };
  const config = parseConfig({ ...CONFIG, model, pretrain }, 'conformance');
  const { seed } = config;
  const settings = textsOf(config.corpus)!;
  const store = open(uri);
  await createRun(store, 'conformance', config, softwareVersions());
  const target = open(`${uri}/${CORPUS_FOLDER}`);
  await prepareCorpus({
    opener: open,
    inputs: settings.input,
    tokenizer: settings.tokenizer,
    sequenceLength: settings.sequenceLength,
    shards: settings.shards,
    seed,
    fields: { text: 'text', domain: 'domain', id: 'id' },
    target,
    progress: () => undefined,
  });
  const corpus = await openCorpus(target);
  for (const stage of [0, 1]) {
    const plan = planStage(config, corpus.index, stage);
    await putJson(store, stageLayout(stage).plan, plan);
    const arms: Arm[] = stage === 0 ? ['main'] : ['main', 'control'];
    for (const arm of arms) await selectRows(selectionRequest(store, corpus, config, plan, arm));
  }
  return { store, config, corpus: corpus.index };
}

export async function copyScene({ store, config, corpus }: Scene, target: Store): Promise<Scene> {
  for (const key of await store.list('')) await copyObject(store, key, target, key);
  return { store: target, config, corpus };
}

/** The scene as one whose model differs; the plans and selections do not depend on it. */
export async function withModel(scene: Scene, model: Partial<ModelFields<'gpt-neox'>>): Promise<Scene> {
  const config = { ...scene.config, model: { ...scene.config.model, ...model } as RunConfig['model'] };
  const run = await getJson<RunRecord>(scene.store, RUN_FILE);
  await putJson(scene.store, RUN_FILE, { ...run, config });
  return { ...scene, config };
}

/** sha256 of every file of the run. */
export async function fingerprint({ store }: Scene): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for (const key of await store.list('')) files.set(key, (await hashObject(store, key)).sha256);
  return files;
}
