import { onGpu, type Precision, precisionRefusal, type RuntimeName } from '../../core/config/runtimes.ts';
import { ConfigError } from '../../core/errors.ts';
import { setTf32 } from './cuda.ts';
import type { Compiler, Executable, Program } from './program.ts';

export type { Precision, RuntimeName } from '../../core/config/runtimes.ts';
export type { Executable, InputSpec, Inputs, Program } from './program.ts';

/** An engine and its compiled programs, one for each key. */
export class Runtime {
  readonly name: RuntimeName;
  private readonly compiler: Compiler;
  private readonly executables = new Map<string, Promise<Executable>>();

  constructor(name: RuntimeName, compiler: Compiler) {
    this.name = name;
    this.compiler = compiler;
  }

  get onGpu(): boolean {
    return onGpu(this.name);
  }

  compile(program: Program): Promise<Executable> {
    let executable = this.executables.get(program.key);
    if (!executable) {
      executable = this.compiler.compile(program);
      this.executables.set(program.key, executable);
      // This caller gets the failure; the next one tries again.
      executable.catch(() => this.executables.delete(program.key));
    }
    return executable;
  }

  /** Frees one compiled program and its memory; it is compiled again when it is next needed. */
  async release(key: string): Promise<void> {
    const executable = this.executables.get(key);
    this.executables.delete(key);
    await (await executable)?.dispose();
  }

  /** Frees the compiled programs and their memory. */
  async dispose(): Promise<void> {
    const compiled = [...this.executables.values()];
    this.executables.clear();
    for (const executable of compiled) await (await executable).dispose();
  }
}

export interface RuntimeOptions {
  /** Threads of one computation; 0 is one for each core. The tfjs runtimes ignore it. */
  threads?: number;
  /** Number of the GPU, from 0, for `onnx-cuda`. @default 0 */
  device?: number;
  /** @default float32 */
  precision?: Precision;
}

/**
 * The engine called `name`. Its libraries are loaded only here, so that a job that needs one engine does not pay for
 * the others.
 * @throws ConfigError when a GPU is asked for and there is none, or its driver or libraries are missing: it never runs
 * silently on the CPU; and for a precision that the engine does not have.
 */
export async function createRuntime(name: RuntimeName, options: RuntimeOptions = {}): Promise<Runtime> {
  const { threads = 0, device = 0, precision = 'float32' } = options;
  const refusal = precisionRefusal(precision, name);
  if (refusal !== undefined) throw new ConfigError(`engine.precision ${refusal}.`);
  if (onGpu(name)) setTf32(precision);
  switch (name) {
    case 'onnx': {
      const { OnnxCompiler } = await loadOnnx(name);
      return new Runtime(name, new OnnxCompiler({ threads, precision }));
    }
    case 'onnx-cuda': {
      const { OnnxCompiler } = await loadOnnx(name);
      return new Runtime(name, await OnnxCompiler.forGpu({ threads, precision, device }));
    }
    case 'tfjs-cpu': {
      const { cpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await cpuCompiler());
    }
    case 'tfjs-gpu': {
      const { gpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await gpuCompiler());
    }
  }
}

/**
 * @param load tests replace it.
 * @throws ConfigError on a system that ONNX Runtime's package has no library for, such as Alpine or a Mac with an Intel
 *   processor.
 */
export async function loadOnnx(
  name: RuntimeName,
  load = () => import('./onnx.ts'),
): Promise<typeof import('./onnx.ts')> {
  try {
    return await load();
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    if (code !== 'ERR_DLOPEN_FAILED' && code !== 'MODULE_NOT_FOUND') throw error;
    const slower = name === 'onnx' ? ', or set engine.runtime to tfjs-cpu, which is many times slower' : '';
    throw new ConfigError(
      `engine.runtime is ${name}, but ONNX Runtime cannot be loaded on this system, ${process.platform} on ` +
        `${process.arch} (${message.split('\n')[0]}). It needs Linux with glibc 2.28 or newer on x64 or arm64, or macOS 14 ` +
        `or newer on Apple silicon: elsewhere, run in a container of such a Linux${slower}.`,
    );
  }
}
