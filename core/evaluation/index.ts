export { taskName } from './conventions.ts';
export { type EncodedTask, encodeTask } from './encode.ts';
export {
  type ChoiceScore,
  type ContinuationScore,
  type Difference,
  isChoice,
  type MeanScore,
  meanScore,
  pairedDifference,
  pairedMeanDifference,
  type RequestResult,
  scoreTask,
  type TaskScore,
  type TextScore,
} from './score.ts';
export { parseTask, type TaskOptions } from './task.ts';
