/** NVIDIA GPUs through ONNX Runtime's CUDA provider, which ONNX Runtime loads from the folder of its own library. */
import { readdirSync } from 'node:fs';
import type { InferenceSession } from 'onnxruntime-node';
import type { Precision } from '../../core/config/runtimes.ts';
import { ConfigError } from '../../core/errors.ts';

/**
 * NVIDIA's libraries round the factors of float32 products to TF32 unless the caller turns that off, which ONNX
 * Runtime's binding for Node cannot do. This variable turns it off for all of them; they read it when they are loaded.
 */
export function setTf32(precision: Precision): void {
  if (precision === 'tf32') delete process.env.NVIDIA_TF32_OVERRIDE;
  else process.env.NVIDIA_TF32_OVERRIDE = '0';
}

export function gpuOptions(device: number): InferenceSession.SessionOptions {
  return {
    executionProviders: [{ name: 'cuda', deviceId: device }],
    // An operator without a CUDA kernel is an error; otherwise it would run on the CPU, and its operands would be
    // copied.
    extra: { session: { disable_cpu_ep_fallback: '1' } },
    // A memory pattern would keep a second copy of the activations beside the first run's memory (npm run test:cuda
    // counts it).
    enableMemPattern: false,
  };
}

/**
 * Opens a session on the GPU.
 *
 * @throws ConfigError saying what is missing, if ONNX Runtime finds no GPU: it never runs on the CPU instead.
 */
export async function openOnGpu(open: () => Promise<InferenceSession>): Promise<InferenceSession> {
  try {
    return await open();
  } catch (error) {
    throw explained(error as Error);
  }
}

/** Explains ONNX Runtime's error when a session cannot be opened; returns it unchanged if the GPU is not the reason. */
export function explained(error: Error): Error {
  const { message } = error;
  const remedy = 'or set engine.runtime to onnx';
  // For example: "CUDA failure 100: no CUDA-capable device is detected ; GPU=-1 ; hostname=... ; file=... ; expr=..."
  const [failure] = /CUDA failure \d+: [^;]*[^; ]/.exec(message) ?? [];
  if (failure)
    return new ConfigError(
      `engine.runtime is onnx-cuda, but no GPU can be used (${failure}). Check the driver (nvidia-smi), and that the ` +
        `container was given a GPU, ${remedy}.`,
    );
  if (/Failed to load (shared )?library/.test(message))
    return new ConfigError(
      "engine.runtime is onnx-cuda, but ONNX Runtime's CUDA provider cannot be loaded: its libraries, or the driver's " +
        `libcuda.so.1, are missing. Run in the GPU image on a machine with a GPU, ${remedy}.`,
    );
  return error;
}

/**
 * The GPUs that this process may use, numbered from 0 as CUDA does: those that `CUDA_VISIBLE_DEVICES` names, or all if
 * it is not set. A container sees the device files of the GPUs that it was given.
 */
export function visibleGpus(files = deviceFiles(), visible = process.env.CUDA_VISIBLE_DEVICES): number[] {
  const present = files.filter((name) => /^nvidia\d+$/.test(name)).length;
  if (visible === undefined) return Array.from({ length: present }, (_, i) => i);
  const named = visible.split(',').map((name) => name.trim());
  // CUDA ignores the first invalid name and everything after it.
  const end = named.findIndex((name) => name === '' || name === '-1' || name === 'NoDevFiles');
  return Array.from({ length: Math.min(present, end < 0 ? named.length : end) }, (_, i) => i);
}

function deviceFiles(): string[] {
  try {
    return readdirSync('/dev');
  } catch {
    return [];
  }
}
