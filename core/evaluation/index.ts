export { taskName } from './conventions.ts';
export { type EncodedTask, encodeTask } from './encode.ts';
export type { Beginning } from './prompt.ts';
export {
  type ChoiceScore,
  type ContinuationScore,
  type Difference,
  isChoice,
  type MeanScore,
  meanScore,
  type PassageLosses,
  pairedDifference,
  pairedMeanDifference,
  type RequestResult,
  scoreTask,
  type TaskScore,
  type TextScore,
  textLosses,
} from './score.ts';
export { parseTask, readTask, type TaskOptions } from './task.ts';
