import { afterEach, describe, expect, it } from 'vitest';
import { ConfigError } from '../../core/errors.ts';
import { explained, visibleGpus } from '../../engine/runtime/cuda.ts';
import { createRuntime } from '../../engine/runtime/runtime.ts';

describe('onnx-cuda', () => {
  it('without its libraries or a driver is refused rather than run on the CPU', async () => {
    await expect(createRuntime('onnx-cuda')).rejects.toThrow(ConfigError);
    await expect(createRuntime('onnx-cuda')).rejects.toThrow(
      /^engine\.runtime is onnx-cuda, but ONNX Runtime's CUDA provider cannot be loaded: .* set engine\.runtime to onnx\.$/,
    );
  });

  it.each([
    'CUDA failure 100: no CUDA-capable device is detected',
    'CUDA failure 35: CUDA driver version is insufficient for CUDA runtime version',
  ])('says what to do about %s', (failure) => {
    const error = explained(new Error(`[ErrorCode:RuntimeException] provider.cc:167 ${failure} ; GPU=-1 ; expr=...`));
    expect(error).toBeInstanceOf(ConfigError);
    expect(error.message).toMatch(`no GPU can be used (${failure}). Check the driver (nvidia-smi)`);
  });

  it('passes on errors that have another reason', () => {
    const error = new Error('Could not find an implementation for Loop(16)');
    expect(explained(error)).toBe(error);
  });
});

describe('precision', () => {
  const before = process.env.NVIDIA_TF32_OVERRIDE;
  afterEach(() => {
    if (before === undefined) delete process.env.NVIDIA_TF32_OVERRIDE;
    else process.env.NVIDIA_TF32_OVERRIDE = before;
  });

  it.each([
    ['onnx', 'tf32', 'onnx-cuda or tfjs-gpu, not onnx'],
    ['tfjs-cpu', 'tf32', 'onnx-cuda or tfjs-gpu, not tfjs-cpu'],
    ['tfjs-cpu', 'mixed', 'onnx or onnx-cuda, not tfjs-cpu'],
    ['tfjs-gpu', 'mixed', 'onnx or onnx-cuda, not tfjs-gpu'],
  ] as const)('%s has no %s', async (name, precision, needs) => {
    await expect(createRuntime(name, { precision })).rejects.toThrow(
      `engine.precision "${precision}" needs engine.runtime ${needs}.`,
    );
  });

  it("turns NVIDIA's own rounding of float32 factors off unless it is asked for", async () => {
    const variable = async (precision: 'float32' | 'tf32' | 'mixed') => {
      await expect(createRuntime('onnx-cuda', { precision })).rejects.toThrow(ConfigError);
      return process.env.NVIDIA_TF32_OVERRIDE;
    };
    expect(await variable('float32')).toBe('0');
    expect(await variable('tf32')).toBeUndefined();
    expect(await variable('mixed')).toBe('0');
  });
});

describe('visible GPUs', () => {
  const files = ['null', 'nvidia-uvm', 'nvidia0', 'nvidia1', 'nvidia10', 'nvidiactl'];

  it('are those with a device file', () => {
    expect(visibleGpus(files, undefined)).toEqual([0, 1, 2]);
    expect(visibleGpus([], undefined)).toEqual([]);
  });

  it.each([
    ['0', [0]],
    ['2,0', [0, 1]],
    ['GPU-1a2b,GPU-3c4d', [0, 1]],
    ['', []],
    ['-1', []],
    ['1,-1,0', [0]],
    ['0,1,2,3,4', [0, 1, 2]],
  ])('with CUDA_VISIBLE_DEVICES=%s are numbered anew', (visible, expected) => {
    expect(visibleGpus(files, visible)).toEqual(expected);
  });
});
