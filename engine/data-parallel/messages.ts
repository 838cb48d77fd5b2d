/**
 * The messages between the trainer and its workers. Gradients travel in arrays over shared memory, which are not
 * copied.
 */
import type { AdamWOptions } from '../adamw.ts';
import type { DecoderShape } from '../decoder/decoder.ts';
import type { RuntimeName, RuntimeOptions } from '../runtime/runtime.ts';

/** Arrays in shared memory, each with one element per parameter, in the parameters' order. */
export interface SharedState {
  parameters: Float32Array<SharedArrayBuffer>;
  /** AdamW's moments. */
  m: Float32Array<SharedArrayBuffer>;
  v: Float32Array<SharedArrayBuffer>;
  /** Each worker's gradient in the current round. */
  gradients: Float32Array<SharedArrayBuffer>[];
  /** The step's gradient. */
  sum: Float32Array<SharedArrayBuffer>;
}

/** What a worker is started with. */
export interface WorkerSetup {
  /** From 0. */
  worker: number;
  workers: number;
  shape: DecoderShape;
  runtime: { name: RuntimeName; options: RuntimeOptions };
  optimizer: AdamWOptions;
  state: SharedState;
}

export type Request =
  /** Computes the loss of rows, which is the reply, and their gradient, which goes to the worker's place. */
  | {
      kind: 'gradient';
      /** [rows * length] */
      tokens: Int32Array;
      length: number;
      microBatches: number;
      /** The weight of each predicted token. */
      weight: number;
    }
  /**
   * Adds the first `gradients` gradients to the worker's part of the sum; in the first round, the sum starts with them.
   */
  | { kind: 'reduce'; gradients: number; first: boolean }
  /** Makes AdamW's step on the worker's part of the parameters; `step` counts from 1. */
  | { kind: 'update'; step: number; learningRate: number; clip: number };
