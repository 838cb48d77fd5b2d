export { type EncodedTask, encodeTask, type TaskRequest } from './encode.ts';
export {
  type ChoiceScore,
  type ContinuationScore,
  isChoice,
  type MeanScore,
  meanScore,
  pairedDifference,
  type RequestResult,
  scoreTask,
  type TaskScore,
  type TextScore,
} from './score.ts';
export { type Layout, parseTask, type Task, type TaskOptions, taskName } from './task.ts';
