import { type Corpus, openCorpus } from '../corpus/corpus.ts';
import { InputError } from '../errors.ts';
import type { RunRecord, StagePlan } from '../formats.ts';
import { CORPUS_FOLDER, RUN_FILE, stageLayout } from '../layout.ts';
import { getJson, getRecordIfPresent, requireFormat, type Store, type StoreOpener } from '../storage/index.ts';

/** A run as jobs and handlers see it. */
export interface Run {
  store: Store;
  record: RunRecord;
  open: StoreOpener;
}

export async function openRun(open: StoreOpener, runUri: string): Promise<Run> {
  const store = open(runUri);
  const record = await getRecordIfPresent<RunRecord>(store, RUN_FILE, 'mates-run/1');
  if (!record)
    throw new InputError(
      `${runUri}: no ${RUN_FILE} there, so this is no run; name the folder of one, such as out/runs/quickstart.`,
    );
  return { store, record, open };
}

/** The store of the run's corpus: a folder of the run, or a corpus prepared beforehand. */
export function corpusStore(run: Run): Store {
  const { corpus } = run.record;
  return run.open(corpus === CORPUS_FOLDER ? `${run.store.uri}/${CORPUS_FOLDER}` : corpus);
}

export function openRunCorpus(run: Run): Promise<Corpus> {
  return openCorpus(corpusStore(run));
}

/** @throws NotFoundError when the stage was not planned. */
export async function readPlan({ store }: Run, stage: number): Promise<StagePlan> {
  const key = stageLayout(stage).plan;
  const plan = await getJson<StagePlan>(store, key);
  requireFormat(plan, 'mates-stage-plan/1', `${store.uri}/${key}`);
  if (plan.stage !== stage)
    throw new InputError(
      `${store.uri}/${key} is of stage ${JSON.stringify(plan.stage)}: it was changed or moved. Restore it from a copy.`,
    );
  return plan;
}
