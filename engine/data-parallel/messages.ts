/** What passes between the trainer and its workers. Arrays over shared memory are not copied: they are how gradients travel. */
import type { AdamWOptions } from '../adamw.ts';
import type { GptNeoxShape } from '../gpt-neox/gpt-neox.ts';
import type { RuntimeName, RuntimeOptions } from '../runtime/runtime.ts';

/** In shared memory, each with one element a parameter, in the parameters' order. */
export interface SharedState {
  parameters: Float32Array<SharedArrayBuffer>;
  /** AdamW's moments. */
  m: Float32Array<SharedArrayBuffer>;
  v: Float32Array<SharedArrayBuffer>;
  /** Each worker's gradient of a round. */
  gradients: Float32Array<SharedArrayBuffer>[];
  /** The step's gradient. */
  sum: Float32Array<SharedArrayBuffer>;
}

/** What a worker is started with. */
export interface WorkerSetup {
  /** From 0. */
  worker: number;
  workers: number;
  shape: GptNeoxShape;
  runtime: { name: RuntimeName; options: RuntimeOptions };
  optimizer: AdamWOptions;
  state: SharedState;
}

export type Request =
  /** The loss and, in the worker's place, the gradient of rows; the reply is the loss. */
  | {
      kind: 'gradient';
      /** [rows * length] */
      tokens: Int32Array;
      length: number;
      microBatches: number;
      /** What each predicted token counts. */
      weight: number;
    }
  /** Adds the first so many gradients to the worker's part of the sum, which starts with them in the first round. */
  | { kind: 'reduce'; gradients: number; first: boolean }
  /** AdamW on the worker's part of the parameters; `step` counts from 1. */
  | { kind: 'update'; step: number; learningRate: number; clip: number };
