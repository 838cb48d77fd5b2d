/**
 * Arrays over a model's parameters (weights, gradient, moments) in one WebAssembly memory, where the kernels reach them
 * without a copy. ONNX Runtime reads and writes the same memory through the arrays, which are ordinary views of it.
 */
import { instantiate } from '../../core/wasm/assemble.ts';
import { KERNELS, LANES } from './kernels.ts';

const FLOAT = 4;
const PAGE = 65_536;
/**
 * The most that a 32-bit WebAssembly memory can address, less a page: the end of the last array must be an address too.
 */
const LARGEST = 65_535 * PAGE;

/** Bytes for the scalars of a kernel, at the start of the memory. */
const SCALARS = 1024;
/** Floats of each array that are staged at a time: all five stages fit in a core's second-level cache. */
const STAGE = 8192;
const STAGES = 5;
const HEADER = SCALARS + STAGES * STAGE * FLOAT;

/**
 * Arrays that fit in one memory: weights, gradient, both moments, and a sum or a trial. Untouched room costs nothing.
 */
const ROOM = 5;

/** The memory that an array lies in. */
const memories = new WeakMap<ArrayBufferLike, ParameterMemory>();

/** An array that a kernel works on. Operands are given in the order of the kernel's arguments. */
export interface Operand {
  array: Float32Array;
  /** Whether the kernel reads the array, writes it, or does both. */
  use: 'read' | 'write' | 'update';
}

export class ParameterMemory {
  /** Floats in each array. */
  readonly length: number;
  private readonly buffer: ArrayBuffer;
  private readonly kernels: Record<string, (...pointers: number[]) => void>;
  private readonly stages: Float32Array[];
  private readonly stride: number;
  private readonly room: number;
  private taken = 0;

  /** Makes room for arrays of this many floats: as many arrays as fit in 4 GiB, and at most {@link ROOM}. */
  constructor(length: number) {
    this.length = length;
    this.stride = Math.ceil(length / LANES) * LANES * FLOAT;
    this.room = Math.min(ROOM, Math.floor((LARGEST - HEADER) / Math.max(1, this.stride)));
    const { memory, kernels } = instantiate(Math.ceil((HEADER + this.room * this.stride) / PAGE), KERNELS);
    this.buffer = memory;
    this.kernels = kernels;
    this.stages = Array.from(
      { length: STAGES },
      (_, i) => new Float32Array(memory, SCALARS + i * STAGE * FLOAT, STAGE),
    );
    memories.set(memory, this);
  }

  /** An array of zeros, in this memory as long as it has room, else separate. */
  allocate(): Float32Array<ArrayBuffer> {
    if (this.taken >= this.room) return new Float32Array(this.length);
    return new Float32Array(this.buffer, HEADER + this.stride * this.taken++, this.length);
  }

  /** The memory that the array was allocated in. */
  static of(array: Float32Array): ParameterMemory | undefined {
    return memories.get(array.buffer);
  }

  /**
   * Runs a kernel over arrays of equal length. Arrays that lie in this memory are used in place, others are copied one
   * stage at a time; the results are the same.
   */
  run(kernel: string, scalars: readonly number[], operands: readonly Operand[]): void {
    const call = this.kernels[kernel]!;
    this.setScalars(scalars);
    const length = operands[0]!.array.length;
    if (length === 0) return;
    const inPlace = operands.map(({ array }) => this.holds(array));
    const last = operands.length - 1; // its end is the kernel's end
    const step = inPlace.every(Boolean) ? length : STAGE;
    for (let begin = 0; begin < length; begin += step) {
      const size = Math.min(step, length - begin);
      const part = (i: number) => operands[i]!.array.subarray(begin, begin + size);
      operands.forEach(({ use }, i) => {
        if (inPlace[i] || use === 'write') return;
        this.stages[i]!.set(part(i));
        this.stages[i]!.fill(0, size, Math.ceil(size / LANES) * LANES);
      });
      const pointers = operands.map(({ array }, i) =>
        inPlace[i] ? array.byteOffset + begin * FLOAT : this.stages[i]!.byteOffset,
      );
      call(...pointers, pointers[last]! + size * FLOAT);
      operands.forEach(({ use }, i) => {
        if (!inPlace[i] && use !== 'read') part(i).set(this.stages[i]!.subarray(0, size));
      });
    }
  }

  /** The float64 values that the last kernel left in place of its scalars. */
  doubles(count: number): Float64Array {
    return new Float64Array(this.buffer, 0, count).slice();
  }

  /** Whether the array is a whole array of this memory: a part of one need not begin or end at a vector. */
  private holds({ buffer, byteOffset, length }: Float32Array): boolean {
    return buffer === this.buffer && length === this.length && (byteOffset - HEADER) % this.stride === 0;
  }

  private setScalars(scalars: readonly number[]): void {
    const values = new Float32Array(this.buffer, 0, SCALARS / FLOAT).fill(0);
    scalars.forEach((value, i) => {
      values.fill(value, i * LANES, (i + 1) * LANES);
    });
  }
}

/** An array of zeros of the same length, in the same memory if that has room. */
export function allocateBeside(array: Float32Array): Float32Array<ArrayBuffer> {
  return ParameterMemory.of(array)?.allocate() ?? new Float32Array(array.length);
}

let shared: ParameterMemory | undefined;

/** The memory of the first operand that has one; if none has, a memory that is used only for staging. */
function memoryFor(operands: readonly Operand[]): ParameterMemory {
  for (const { array } of operands) {
    const memory = ParameterMemory.of(array);
    if (memory) return memory;
  }
  shared ??= new ParameterMemory(0);
  return shared;
}

/** Runs a kernel in the memory that suits its operands. */
export function runKernel(kernel: string, scalars: readonly number[], operands: readonly Operand[]): ParameterMemory {
  const memory = memoryFor(operands);
  memory.run(kernel, scalars, operands);
  return memory;
}
