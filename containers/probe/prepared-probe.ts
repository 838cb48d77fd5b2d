/**
 * The files that the probing jobs of a stage share, made once: the two copies of the checkpoint that `lookahead` and
 * `directional` compare, or the decayed checkpoint. They lie in the stage's `probe-model/`; `probe.json` is written
 * last.
 */
import type { RunConfig } from '../../core/config/schema.ts';
import { InputError } from '../../core/errors.ts';
import { stageLayout } from '../../core/layout.ts';
import type { Run } from '../../core/run/open-run.ts';
import { getRecord, putJson, type Store } from '../../core/storage/index.ts';
import {
  type CheckpointParts,
  loadCheckpoint,
  loadModel,
  saveCheckpoint,
  saveModel,
} from '../../engine/files/checkpoint.ts';
import { WEIGHTS_FILE } from '../../engine/files/hugging-face.ts';
import type { ProbeCopies } from './difference-probe.ts';

/** `probe.json`. */
export interface ProbeRecord {
  format: 'mates-probe/1';
  method: RunConfig['probe']['method'];
  /** Learning rate of the one step of `exact`, or of the steps that `lookahead` has made. */
  learningRate: number;
  /** Factor of the difference of the two copies' losses. */
  scale: number;
  /** Steps that `lookahead` has kept. */
  steps?: number;
  /**
   * Distinct rows that the control copy has learned in those steps; fewer than their batches hold if too few were free.
   */
  controlRows?: number;
  /**
   * For `lookahead`: the loss of the reference passages kept aside, before the steps and after those that were kept.
   */
  guard?: { before: number; after: number };
  /** SHA-256 of the copies' weights, by their place in this folder; absent in records older than this field. */
  sha256?: Record<string, string>;
  /** For `directional`: Spearman's correlation with products of gradients, on a sample of rows. */
  agreement?: number;
}

const file = (stage: number, name: string) => `${stageLayout(stage).probeModel}/${name}`;

export function hasPreparedProbe(store: Store, stage: number): Promise<boolean> {
  return store.size(file(stage, 'probe.json')).then((size) => size !== undefined);
}

export async function savePreparedProbe(
  store: Store,
  stage: number,
  record: Omit<ProbeRecord, 'format' | 'sha256'>,
  parts: CheckpointParts,
  copies?: ProbeCopies,
): Promise<void> {
  const sha256: Record<string, string> = {};
  if (copies)
    for (const name of ['first', 'second'] as const)
      sha256[`${name}/${WEIGHTS_FILE}`] = await saveModel(store, file(stage, name), {
        ...parts,
        parameters: copies[name],
      });
  else await saveCheckpoint(store, file(stage, 'checkpoint'), parts);
  const written: ProbeRecord = { format: 'mates-probe/1', ...record, ...(copies && { sha256 }) };
  await putJson(store, file(stage, 'probe.json'), written);
}

/** @throws RunError when the probe has not been prepared. */
export async function readProbeRecord({ store }: Run, stage: number): Promise<ProbeRecord> {
  return getRecord<ProbeRecord>(store, file(stage, 'probe.json'), 'mates-probe/1', 'the probe was not prepared');
}

/**
 * The guard of a lookahead whose steps did not lower the guard's loss, so that its labels come from a worse model; else
 * undefined.
 */
export const worsenedGuard = ({ guard }: ProbeRecord) => (guard && guard.after < guard.before ? undefined : guard);

/** @throws InputError when a copy's weights are not as they were written. */
export async function loadCopies(
  { store }: Run,
  stage: number,
  { scale, sha256 = {} }: Pick<ProbeRecord, 'scale' | 'sha256'>,
): Promise<ProbeCopies> {
  const load = async (name: string) => {
    const { parameters } = await loadModel(store, file(stage, name), (weights, found) => {
      const written = sha256[`${name}/${weights}`];
      if (written !== undefined && found !== written)
        throw new InputError(
          `${store.uri}/${file(stage, name)}/${weights} has other content than the probe was prepared with: ` +
            `delete ${stageLayout(stage).probeModel}, and run the step again.`,
        );
    });
    return parameters;
  };
  return { first: await load('first'), second: await load('second'), scale };
}

export function loadDecayedCheckpoint({ store }: Run, stage: number) {
  return loadCheckpoint(store, file(stage, 'checkpoint'));
}
