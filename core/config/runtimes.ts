/** The values of `engine.runtime`. */
export const RUNTIMES = ['onnx', 'onnx-cuda', 'tfjs-cpu', 'tfjs-gpu'] as const;
export type RuntimeName = (typeof RUNTIMES)[number];

/** The values of `engine.runtime` that compute on a GPU: parameters have to cross from the host to the device. */
export const GPU_RUNTIMES: readonly RuntimeName[] = ['onnx-cuda', 'tfjs-gpu'];

/** The values of `engine.precision`, and which runtimes have them. */
export const PRECISION_RUNTIMES = {
  float32: RUNTIMES,
  tf32: GPU_RUNTIMES,
  mixed: ['onnx', 'onnx-cuda'],
} as const satisfies Record<string, readonly RuntimeName[]>;
export type Precision = keyof typeof PRECISION_RUNTIMES;

/** Why a runtime cannot compute in a precision; undefined where it can. */
export function precisionRefusal(precision: Precision, runtime: RuntimeName): string | undefined {
  const has: readonly RuntimeName[] = PRECISION_RUNTIMES[precision];
  return has.includes(runtime) ? undefined : `"${precision}" needs engine.runtime ${has.join(' or ')}, not ${runtime}`;
}

export const onGpu = (runtime: RuntimeName): boolean => GPU_RUNTIMES.includes(runtime);
