/** Makes parts of a finished run again, beside it, and compares their bytes with the run's. */
import { InputError } from '../errors.ts';
import type { Arm, FileRecord, Manifest, StagePlan } from '../formats.ts';
import { armLayout, RUN_FILE, SELECT_FILE, stageLayout } from '../layout.ts';
import { readParquet } from '../parquet.ts';
import { counted } from '../plural.ts';
import { readScorer } from '../selection/scorer-record.ts';
import { readUtilities } from '../selection/scores.ts';
import { selectionRequest, selectRows } from '../selection/select.ts';
import { hashObject, OverlayStore, type Store } from '../storage/index.ts';
import { openRunCorpus, type Run, readPlan } from './open-run.ts';

/** A file that was made again. */
export interface Replayed {
  stage: number;
  key: string;
  bytes: number;
  sha256: string;
  same: boolean;
  /** How it differs, in words; absent where it does not. */
  difference?: string;
}

/** A run whose reads come from the run itself, without what `isHidden` names, and whose writes go to `scratch`. */
export function beside(run: Run, scratch: Store, isHidden: (key: string) => boolean): Run {
  return { ...run, store: new OverlayStore(run.store, scratch, isHidden) };
}

/** The stages whose selections are there, of those asked for. */
export async function selectedStages(run: Run, only?: number): Promise<number[]> {
  const { stages } = run.record.config.pretrain;
  const asked = only === undefined ? Array.from({ length: stages }, (_, stage) => stage) : [only];
  const found: number[] = [];
  for (const stage of asked)
    if ((await run.store.size(armLayout(stage, 'main').selectionSummary)) !== undefined) found.push(stage);
  if (found.length > 0) return found;
  if (only !== undefined && only >= stages)
    throw new InputError(`${run.store.uri}: there is no stage ${only}; the run's last is ${stages - 1}.`);
  const what = only === undefined ? 'no stage has a selection yet' : `stage ${only} has no selection`;
  throw new InputError(`${run.store.uri}: ${what}; let the run go on first (mates run, the same command again).`);
}

/**
 * Makes the stage's selections of every arm again, from the scores (the run's, or those in `scratch`), the seed and the
 * corpus.
 */
export async function replaySelection(run: Run, scratch: Store, stage: number): Promise<Replayed[]> {
  const plan = await readPlan(run, stage);
  const files = (arm: Arm) => [armLayout(stage, arm).selection, armLayout(stage, arm).selectionSummary];
  const own = new Set(plan.arms.flatMap(files));
  const again = beside(run, scratch, (key) => own.has(key));
  const corpus = await openRunCorpus(again);
  const scorer = plan.scored ? await readScorer(again.store, plan) : undefined;
  // As mates select does, whose scores serve several temperatures.
  const inMemory = (await run.store.size(SELECT_FILE)) !== undefined;
  const found: Replayed[] = [];
  for (const arm of plan.arms) {
    for (const key of files(arm)) await scratch.delete(key); // what is there would be taken for this selection
    await selectRows({ ...selectionRequest(again.store, corpus, run.record.config, plan, arm, scorer), inMemory });
    for (const key of files(arm)) found.push(await compareFile(run.store, scratch, key, stage, selectionDifference));
  }
  return found;
}

/** Compares what scoring wrote anew to `scratch` with the run's scores; see containers/score. */
export async function compareScores(run: Run, scratch: Store, plan: StagePlan): Promise<Replayed[]> {
  const found: Replayed[] = [];
  // The keys of mates select may have been written for another temperature than its last.
  const ofSelect = (await run.store.size(SELECT_FILE)) !== undefined;
  for (let job = 0; job < plan.scoreItems; job++) {
    const prefix = stageLayout(plan.stage).score(job);
    for (const file of ofSelect ? ['scores.f32'] : ['scores.f32', 'keys.bin', 'index.json'])
      found.push(await compareFile(run.store, scratch, `${prefix}/${file}`, plan.stage, scoreDifference));
  }
  return found;
}

/** Compares the outputs of two manifests of the same configuration, in the order in which a run makes them. */
export function compareManifests(before: Manifest, again: Manifest): Replayed[] {
  const made = new Map<string, FileRecord>(again.outputs.map((file) => [file.key, file]));
  const files = before.outputs.filter(({ key }) => key !== RUN_FILE); // has paths and the version of Node in it
  const found = files.map(({ key, bytes, sha256 }): Replayed => {
    const now = made.get(key);
    made.delete(key);
    const same = now?.sha256 === sha256;
    const difference = same ? undefined : now ? 'other bytes' : 'it was not made again';
    return { stage: stageOf(key), key, bytes: now?.bytes ?? bytes, sha256: now?.sha256 ?? '', same, difference };
  });
  for (const { key, bytes, sha256 } of made.values())
    if (key !== RUN_FILE)
      found.push({ stage: stageOf(key), key, bytes, sha256, same: false, difference: 'the run has no such file' });
  return found.sort((a, b) => a.stage - b.stage || orderOf(a.key) - orderOf(b.key));
}

/** A file's stage; -1 for the corpus, which is made before any stage. */
const stageOf = (key: string) => Number(/^stages\/(\d+)\//.exec(key)?.[1] ?? -1);

/** The files and folders of a stage, as a run makes them. */
const ORDER = (
  'plan probe-items score-items probe-model probes influence-model dsir classifier scorer scores ' +
  'selection checkpoint metrics evaluation'
).split(' ');

function orderOf(key: string): number {
  const name = key.replace(/^stages\/\d+\/(control\/)?/, '').split(/[./]/)[0]!;
  return ORDER.indexOf(name);
}

type Differ = (before: Store, again: Store, key: string) => Promise<string>;

async function compareFile(
  before: Store,
  again: Store,
  key: string,
  stage: number,
  describe: Differ,
): Promise<Replayed> {
  if ((await before.size(key)) === undefined) throw new InputError(`${before.uri}/${key} is missing.`);
  const recorded = await hashObject(before, key);
  const { bytes, sha256 } = await hashObject(again, key);
  const same = sha256 === recorded.sha256;
  return { stage, key, bytes, sha256, same, ...(!same && { difference: await describe(before, again, key) }) };
}

const selectionDifference: Differ = async (before, again, key) => {
  if (!key.endsWith('.parquet')) return 'other bytes';
  const [old, now] = [await selectedRowsOf(before, key), await selectedRowsOf(again, key)];
  const [chosen, known] = [new Set(now), new Set(old)];
  const gone = old.filter((row) => !chosen.has(row));
  const added = now.filter((row) => !known.has(row));
  if (gone.length > 0) return `${gone.length} of its ${old.length} rows differ, the first ${gone[0]}`;
  if (added.length > 0) return `${counted(added.length, 'row')} more than its ${old.length}, the first ${added[0]}`;
  return 'the same rows with other utilities or keys';
};

const selectedRowsOf = async (store: Store, key: string) => (await readParquet({ store, key }, { row: 'INT64' })).row;

const scoreDifference: Differ = async (before, again, key) => {
  if (!key.endsWith('scores.f32')) return 'other bytes';
  const prefix = key.slice(0, key.lastIndexOf('/'));
  const [old, now] = [await readUtilities(before, prefix), await readUtilities(again, prefix)];
  if (old.length !== now.length) return `${now.length} scores in place of ${old.length}`;
  let [changed, most] = [0, 0];
  for (let i = 0; i < old.length; i++) {
    if (old[i] === now[i]) continue;
    changed++;
    most = Math.max(most, Math.abs(old[i]! - now[i]!));
  }
  return `${changed} of ${old.length} scores, by at most ${most.toPrecision(2)} standard deviations`;
};
