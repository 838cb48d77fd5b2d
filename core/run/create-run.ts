import { withPaths } from '../config/paths.ts';
import { type RunConfig, runConfig } from '../config/schema.ts';
import { ConfigError } from '../errors.ts';
import type { RunRecord } from '../formats.ts';
import { CORPUS_FOLDER, RUN_FILE, stageLayout } from '../layout.ts';
import { isObject } from '../objects.ts';
import { getRecordIfPresent, putJson, type Store, splitUri } from '../storage/index.ts';
import { changedVersions } from './versions.ts';

/**
 * Writes `run.json`, or finds it there with the same configuration, in which case the run resumes. A run that has planned
 * no stage was refused or stopped before it began: it may begin with another configuration.
 *
 * @throws ConfigError as {@link checkRun} does, and when the run was begun with another version of the engine, or only one
 *   of then and now is with a trainer of the user's own.
 */
export async function createRun(
  store: Store,
  id: string,
  config: RunConfig,
  versions: Record<string, string>,
): Promise<RunRecord> {
  const record: RunRecord = {
    format: 'mates-run/1',
    id,
    config,
    corpus: config.corpus.prepared ?? CORPUS_FOLDER,
    versions,
  };
  const existing = await checkRun(store, id, config);
  if (existing) {
    refuseOtherVersions(existing, versions);
    return existing;
  }
  await putJson(store, RUN_FILE, record);
  return record;
}

/**
 * The run that is there under this id with this configuration, if there is one.
 *
 * @throws ConfigError when it has another configuration; the message names the first differences.
 */
export async function checkRun(store: Store, id: string, config: RunConfig): Promise<RunRecord | undefined> {
  const existing = await getRecordIfPresent<RunRecord>(store, RUN_FILE, 'mates-run/1');
  if (!existing) return undefined;
  // A configuration that was written before a field existed has the field's default.
  const before = runConfig.safeParse(existing.config);
  const changed = differences(before.success ? before.data : existing.config, config);
  if (changed.length === 0) return existing;
  if ((await store.size(stageLayout(0).plan)) !== undefined) {
    // A run keeps the paths that its files had when it began.
    const moved = before.success && differences(withoutFolders(before.data), withoutFolders(config)).length === 0;
    throw new ConfigError(
      `run ${id} is already there with another configuration: ${changed.slice(0, 5).join('; ')}. ` +
        (moved
          ? 'Only folders differ: if they were moved, move them back to go on with this run, or link to them from where they were. Otherwise give this one another id ' +
            '(--run-id, or runId in an execution).'
          : 'Give this one another id (--run-id, or runId in an execution), or delete the old run.'),
    );
  }
  return undefined;
}

/**
 * Refuses other versions of what results depend on. A trainer of the user's own may have been corrected since, but does not
 * take turns with our job.
 */
function refuseOtherVersions({ id, versions: begun }: RunRecord, now: Record<string, string>): void {
  const called = ({ trainer }: Record<string, string>) => (trainer ? `the trainer ${trainer}` : 'our own trainer');
  if ((begun.trainer === undefined) !== (now.trainer === undefined))
    throw new ConfigError(
      `run ${id} was begun with ${called(begun)}, and this is with ${called(now)}: its later stages would not be comparable ` +
        'with the earlier ones. Give the same one again (--trainer of mates run, trainerImage and trainerCommand of a deployment), ' +
        'or start another run with --run-id.',
    );
  const [other] = changedVersions(begun, now);
  if (other)
    throw new ConfigError(
      `run ${id} was begun with ${other.name} ${other.begun}, and this is ${other.now}: its later stages would not be ` +
        'comparable with the earlier ones. Finish it with that version, or start another run with --run-id.',
    );
}

const withoutFolders = (config: RunConfig) => withPaths(config, (path) => splitUri(path).name);

/** `path: old -> new` of each leaf that differs. */
function differences(before: unknown, after: unknown, path = ''): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isObject(before) && isObject(after)) {
    const names = [...new Set([...Object.keys(before), ...Object.keys(after)])];
    return names.flatMap((name) => differences(before[name], after[name], path ? `${path}.${name}` : name));
  }
  return [`${path} was ${JSON.stringify(before)} and is now ${JSON.stringify(after)}`];
}
