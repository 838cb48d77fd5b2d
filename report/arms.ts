/** What the arms of a run are called, which depends on what the main one was trained on. */
import type { RunConfig } from '../core/config/schema.ts';

export interface ArmNames {
  main: string;
  control: string;
  /** The main arm over a column. */
  column: string;
  /** What the loss on the reference passages is. */
  reference: string;
}

const CONTROL = 'Random control';

/** Whether any rows of the run are chosen: the first stage's never are. */
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
      reference: 'of what was trained on',
    };
  return { main: 'Random rows', control: CONTROL, column: 'random', reference: 'passages of the kind that is wanted' };
}
