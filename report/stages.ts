/** How many stages to show: a report of a hundred stages must stay readable. */
import type { StageReport } from './data.ts';

/** Numbers of the stages that get a tick: at most about ten. */
export function stageTicks(stages: StageReport[]): number[] {
  const every = Math.ceil(stages.length / 10);
  return stages.map(({ stage }) => stage).filter((stage) => stage % every === 0);
}

/** At most `limit` of the items, evenly spread, including the first and the last. */
export function spread<T>(items: readonly T[], limit: number): T[] {
  if (items.length <= limit) return [...items];
  return Array.from({ length: limit }, (_, i) => items[Math.round((i * (items.length - 1)) / (limit - 1))]!);
}

/** Most small-multiple panels of a chart. */
export const PANELS = 6;

/** Says that some stages are not shown; empty when all are. */
export const spreadNote = (shown: number, total: number) =>
  shown < total ? ` ${shown} of ${total} stages are shown, evenly spread.` : '';
