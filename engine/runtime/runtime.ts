import { ConfigError } from '../../core/errors.ts';
import type { Compiler, Executable, Program } from './program.ts';

export type { Executable, InputSpec, Inputs, Program, Tensors } from './program.ts';

export type RuntimeName = 'onnx' | 'tfjs-cpu' | 'tfjs-gpu';

/** An engine with its compiled programs, one for each key. */
export class Runtime {
  readonly name: RuntimeName;
  private readonly compiler: Compiler;
  private readonly executables = new Map<string, Promise<Executable>>();

  constructor(name: RuntimeName, compiler: Compiler) {
    this.name = name;
    this.compiler = compiler;
  }

  compile(program: Program): Promise<Executable> {
    let executable = this.executables.get(program.key);
    if (!executable) {
      executable = this.compiler.compile(program);
      this.executables.set(program.key, executable);
      // A failure is reported to this caller and tried again for the next.
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
}

/**
 * The engine called `name`. Its libraries are loaded here and not before: a job that needs one does not pay for the
 * others.
 * @throws ConfigError when `tfjs-gpu` is asked for and its package or a GPU is missing: never a silent run on the CPU.
 */
export async function createRuntime(name: RuntimeName, { threads = 0 }: RuntimeOptions = {}): Promise<Runtime> {
  switch (name) {
    case 'onnx': {
      const { OnnxCompiler } = await import('./onnx.ts');
      return new Runtime(name, new OnnxCompiler(threads));
    }
    case 'tfjs-cpu': {
      const { cpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await cpuCompiler());
    }
    case 'tfjs-gpu': {
      const { gpuCompiler } = await import('./eager.ts');
      return new Runtime(name, await gpuCompiler());
    }
    default:
      throw new ConfigError(`engine.runtime: "${name}" is unknown; expected onnx, tfjs-cpu or tfjs-gpu.`);
  }
}
