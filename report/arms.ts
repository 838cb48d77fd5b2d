/** The names of a run's arms, which depend on what the main arm was trained on. */
import type { RunConfig } from '../core/config/schema.ts';
import type { Method } from '../core/selection/methods.ts';
import type { StageReport } from './data.ts';

export interface ArmNames {
  main: string;
  control: string;
  /** The main arm as a column's heading. */
  column: string;
  /** What the loss on the reference passages stands for. */
  reference: string;
}

const CONTROL = 'Random control';

/** Whether the run selects any rows; the first stage never does. */
export const selects = ({ selection: { method }, pretrain }: RunConfig): boolean =>
  method !== 'random' && method !== 'train-on-reference' && pretrain.stages > 1;

export const trainsOnReferences = ({ selection, pretrain }: RunConfig): boolean =>
  selection.method === 'train-on-reference' && pretrain.stages > 1;

export function armNames(config: RunConfig): ArmNames {
  if (selects(config))
    return { main: 'Selected data', control: CONTROL, column: 'selected', reference: 'what selection aims at' };
  if (trainsOnReferences(config))
    return {
      main: 'With reference passages',
      control: CONTROL,
      column: 'with references',
      reference: 'the passages that were trained on',
    };
  return { main: 'Random rows', control: CONTROL, column: 'random', reference: 'passages of the desired kind' };
}

/** Stages whose rows were selected by another method than the configured one, which was not to be trusted. */
export function replacedStages(
  { selection: { method: configured } }: RunConfig,
  stages: readonly StageReport[],
): { stage: number; method: Method }[] {
  return stages.flatMap(({ stage, plan, main: { selection } }) =>
    plan?.scored && selection && selection.method !== configured ? [{ stage, method: selection.method }] : [],
  );
}

/** Whether a stage's steps use all of the rows that were selected for it, or nearly. Older files do not say. */
export const usesAll = ({ consumedRows, selectedRows }: { consumedRows?: number; selectedRows: number }): boolean =>
  consumedRows === undefined || consumedRows >= 0.99 * selectedRows;
