import type { RunConfig } from './schema.ts';

export type RuntimeName = RunConfig['engine']['runtime'];

/** The values of `engine.runtime` that compute on a GPU: parameters have to cross from the host to the device. */
export const GPU_RUNTIMES: readonly RuntimeName[] = ['onnx-cuda', 'tfjs-gpu'];

export const onGpu = (runtime: RuntimeName): boolean => GPU_RUNTIMES.includes(runtime);
