export { taskName } from './conventions.ts';
export { type EncodedTask, encodeTask, type TaskRequest } from './encode.ts';
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
export { type Layout, parseTask, type Task, type TaskOptions } from './task.ts';
