/** The values of `engine.runtime`. */
export const RUNTIMES = ['onnx', 'onnx-cuda', 'tfjs-cpu', 'tfjs-gpu'] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** The values of `engine.runtime` that compute on a GPU: parameters have to cross from the host to the device. */
export const GPU_RUNTIMES: readonly RuntimeName[] = ['onnx-cuda', 'tfjs-gpu'];

export const onGpu = (runtime: RuntimeName): boolean => GPU_RUNTIMES.includes(runtime);
