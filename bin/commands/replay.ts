import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onGpu } from '../../core/config/runtimes.ts';
import { ConfigError, InputError, RunError } from '../../core/errors.ts';
import type { Manifest } from '../../core/formats.ts';
import { MANIFEST_FILE, RUN_FILE, stageLayout } from '../../core/layout.ts';
import { scoreItems } from '../../core/plan/stage-plan.ts';
import { counted, plural } from '../../core/plural.ts';
import { WARNING } from '../../core/progress.ts';
import { openRun, type Run, readPlan } from '../../core/run/open-run.ts';
import {
  beside,
  compareManifests,
  compareScores,
  type Replayed,
  replaySelection,
  selectedStages,
} from '../../core/run/replay.ts';
import { softwareVersions } from '../../core/run/versions.ts';
import { readScorer } from '../../core/selection/scorer-record.ts';
import {
  absolute,
  DirectoryStore,
  getJson,
  getJsonIfPresent,
  hashObject,
  isLocalPath,
  localPath,
  putJson,
  type Store,
  storeOpener,
} from '../../core/storage/index.ts';
import { runOrCorpus } from '../other-folders.ts';
import { withProgress } from '../with-progress.ts';

interface Options {
  from: 'selection' | 'scores' | 'start';
  stage?: number;
  work?: string;
  json?: boolean;
}

/**
 * `mates replay RUN`: makes parts of a run again from what it has recorded, and says whether the bytes are the same.
 */
export async function replay(path: string, options: Options): Promise<void> {
  const { stage } = options;
  if (stage !== undefined && options.from === 'start')
    throw new ConfigError('--stage: with --from start the whole run is made again; leave one of them out.');
  if (options.work === undefined && options.from === 'start')
    throw new ConfigError(
      '--from start: name a folder for the second run with --work; the same command resumes it there.',
    );
  if (options.work !== undefined && !isLocalPath(options.work))
    throw new ConfigError(`--work ${options.work}: the replay is kept on this machine's disk; name a folder.`);
  const run = await openRun(storeOpener(), absolute(path));
  for (const note of otherVersions(run)) console.log(note);
  const { runtime } = run.record.config.engine;
  if (options.from !== 'selection' && onGpu(runtime))
    console.log(
      `The run was computed by ${runtime}: a GPU adds in a different order each time, so only selections repeat to the byte.`,
    );
  const work = options.work === undefined ? await mkdtemp(join(tmpdir(), 'mates-replay-')) : absolute(options.work);
  let files: Replayed[];
  try {
    files = options.from === 'start' ? await replayRun(run, work) : await replayStages(run, work, options.from, stage);
  } finally {
    if (options.work === undefined) await rm(work, { recursive: true, force: true });
  }
  report(path, files, options);
}

/** Says which versions of this program and its libraries differ from the run's. */
function otherVersions({ record }: Run): string[] {
  const now = softwareVersions();
  return Object.entries(record.versions)
    .filter(([name, version]) => now[name] !== version)
    .map(([name, version]) => {
      const here = now[name] ? `but here it is ${now[name]}` : 'which is not used here';
      return `The run was made with ${name} ${version}, ${here}.`;
    });
}

async function replayStages(run: Run, work: string, from: 'selection' | 'scores', only?: number): Promise<Replayed[]> {
  const scratch = new DirectoryStore(work);
  await claimFor(run, scratch, work);
  const files: Replayed[] = [];
  for (const stage of await selectedStages(run, only)) {
    if (from === 'scores') files.push(...(await replayScores(run, scratch, stage)));
    files.push(...(await replaySelection(run, scratch, stage)));
  }
  return files;
}

/**
 * `replay.json` of a work folder names the run whose parts are in it, because a replay continues with what it finds.
 */
const CLAIM_FILE = 'replay.json';

/** @param place where in the work folder the results go. */
async function claimFor({ store }: Run, scratch: Store, work: string, place = scratch): Promise<void> {
  const { sha256 } = await hashObject(store, RUN_FILE);
  const claim = await getJsonIfPresent<{ run: string }>(scratch, CLAIM_FILE);
  if (claim && claim.run !== sha256)
    throw new ConfigError(`--work ${work}: the folder has parts of another run; name another folder, or delete it.`);
  const other = claim ? undefined : await runOrCorpus(scratch);
  if (other) throw new ConfigError(`--work ${work}: that is ${other.is}; name a folder of its own.`);
  if (!claim && (await runOrCorpus(place)))
    throw new ConfigError(
      `--work ${work}: a run is already there, which would be taken for the second one; name another folder.`,
    );
  await putJson(scratch, CLAIM_FILE, { run: sha256 });
}

/** Makes the stage's scores again from its scorer: the influence model, or whatever else it is made of. */
async function replayScores(run: Run, scratch: Store, stage: number): Promise<Replayed[]> {
  const plan = await readPlan(run, stage);
  if (!plan.scored || (await readScorer(run.store, plan)).parts.length === 0) return [];
  const layout = stageLayout(stage);
  const again = beside(run, scratch, (key) => key.startsWith(layout.scores) || key.startsWith(layout.timings));
  await withProgress(async (view, signal) => {
    const score = await import('../../containers/score/index.ts');
    view.heading(`Stage ${stage}`);
    for (const item of scoreItems(plan)) {
      await score.run({
        run: again,
        stage,
        arm: 'main',
        item,
        signal,
        progress: (at) => view.update(at.step, at),
        warn: (warning) => view.notice(`${WARNING}${warning}`),
      });
    }
  });
  return compareScores(run, scratch, plan);
}

/** Makes the whole run again on this machine from its configuration; with --work the same command resumes it. */
async function replayRun(run: Run, work: string): Promise<Replayed[]> {
  const { store, record } = run;
  const before = await getJsonIfPresent<Manifest>(store, MANIFEST_FILE);
  if (!before) throw new InputError(`${store.uri}: the run has not finished (no ${MANIFEST_FILE}); finish it first.`);
  const second = new DirectoryStore(join(work, 'runs', record.id));
  if ((await placeOf(second)) === (await placeOf(store)))
    throw new ConfigError(
      `--work ${work}: the run itself is there, and would be compared with itself; name another folder.`,
    );
  const { trainer } = record.versions;
  if (trainer !== undefined)
    throw new ConfigError(
      `--from start: the run was trained by ${trainer}, which does not run here; make its scores again (--from scores), ` +
        'or repeat it with mates run --trainer under another --run-id and compare the two.',
    );
  await claimFor(run, new DirectoryStore(work), work, second);
  const { runHere } = await import('./run.ts');
  const directory = await runHere(record.config, record.id, work);
  return compareManifests(before, await getJson<Manifest>(new DirectoryStore(directory), MANIFEST_FILE));
}

/** Where a folder is, with links followed. */
function placeOf({ uri }: Store): Promise<string> {
  return isLocalPath(uri) ? realpath(localPath(uri)).catch(() => uri) : Promise.resolve(uri);
}

/** @throws RunError that names the first file that differs. */
function report(path: string, files: Replayed[], { work, json }: Options): void {
  const different = files.filter(({ same }) => !same);
  const same = files.length - different.length;
  console.log(
    `${path}: ${same} of ${counted(files.length, 'file')} ${plural(same, 'has', 'have')} the same bytes again.`,
  );
  if (json) console.log(JSON.stringify({ run: absolute(path), files }));
  const [first] = different;
  if (!first) return;
  const kept = work === undefined ? 'Give --work DIR to keep what was made.' : `What was made is in ${work}.`;
  throw new RunError(
    `${path}/${first.key} differs: ${first.difference}. Scores and weights have the same bytes only on processors of one kind; ` +
      `selections, for given scores, have them everywhere. ${kept}`,
  );
}
