/**
 * Small loops in WebAssembly SIMD, for which JavaScript has no instructions (a 32 x 32 -> 64 bit product, four lanes at
 * once). This is as much of an assembler as they need: a kernel is written in TypeScript as nested expressions, and
 * becomes bytes when it is first used, so that the repository holds its source and no binary.
 *
 * Encoding: WebAssembly core specification 2.0, chapter 5, with its names where ours do not say more. The arithmetic is
 * that of integers and IEEE 754, so results are the same everywhere.
 */

/** Instructions that leave one value on the stack, or none for a statement. */
export type Code = readonly number[];

export interface Local {
  readonly get: Code;
  set(value: Code): Code;
}

export interface Kernel {
  name: string;
  /** How many i32 arguments it takes; it returns nothing. */
  parameters: number;
  /** How many variables it has of each type; they start as zero. */
  variables: Record<Type, number>;
  body: Code;
}

type Type = 'i32' | 'v128';
const TYPES: Record<Type, number> = { i32: 0x7f, v128: 0x7b };

/** A kernel whose `body` is written with its parameters and variables by name. */
export function kernel<Parameter extends string, Variable extends string>(
  name: string,
  parameters: readonly Parameter[],
  variables: Record<Type, readonly Variable[]>,
  body: (locals: Record<Parameter | Variable, Local>) => Code,
): Kernel {
  const names = [...parameters, ...variables.i32, ...variables.v128];
  const locals = Object.fromEntries(names.map((local, index) => [local, localAt(index)]));
  return {
    name,
    parameters: parameters.length,
    variables: { i32: variables.i32.length, v128: variables.v128.length },
    body: body(locals as Record<Parameter | Variable, Local>),
  };
}

const localAt = (index: number): Local => ({
  get: [0x20, ...unsigned(index)],
  set: (value) => [...value, 0x21, ...unsigned(index)],
});

/** A module of kernels over one memory of `pages` times 64 KiB. */
function assemble(pages: number, kernels: readonly Kernel[]): Uint8Array {
  const types = kernels.map(({ parameters }) => [0x60, ...vector(new Array(parameters).fill([TYPES.i32])), 0]);
  const exports_ = kernels.map(({ name }, i) => [...nameOf(name), 0, ...unsigned(i)]);
  return Uint8Array.from([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...section(1, types),
    ...section(
      3,
      kernels.map((_, i) => unsigned(i)),
    ),
    ...section(5, [[0, ...unsigned(pages)]]),
    ...section(7, [[...nameOf('memory'), 2, 0], ...exports_]),
    ...section(10, kernels.map(functionBody)),
  ]);
}

/** The module's kernels by name, and its memory. */
export function instantiate(pages: number, kernels: readonly Kernel[]) {
  const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssemblyApi }).WebAssembly;
  const { memory, ...functions } = new Instance(new Module(assemble(pages, kernels))).exports;
  return {
    memory: (memory as { buffer: ArrayBuffer }).buffer,
    kernels: functions as Record<string, (...parameters: number[]) => void>,
  };
}

/** TypeScript declares it for browsers only. */
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object) => { exports: Record<string, unknown> };
}

function functionBody({ variables, body }: Kernel): Code {
  const locals = (['i32', 'v128'] as const).map((type) => [...unsigned(variables[type]), TYPES[type]]);
  const code = [...vector(locals), ...body, 0x0b];
  return [...unsigned(code.length), ...code];
}

const section = (id: number, items: Code[]): Code => {
  const content = vector(items);
  return [id, ...unsigned(content.length), ...content];
};
const vector = (items: Code[]): Code => [...unsigned(items.length), ...items.flat()];
const nameOf = (text: string): Code => vector(Array.from(new TextEncoder().encode(text), (byte) => [byte]));

/** LEB128 of an unsigned 32-bit number. */
function unsigned(value: number): Code {
  const bytes: number[] = [];
  do {
    bytes.push((value & 0x7f) | (value > 0x7f ? 0x80 : 0));
    value >>>= 7;
  } while (value !== 0);
  return bytes;
}

/** LEB128 of a signed 32-bit number. */
function signed(value: number): Code {
  const bytes: number[] = [];
  value |= 0;
  for (;;) {
    const low = value & 0x7f;
    value >>= 7;
    const last = value === (low & 0x40 ? -1 : 0);
    bytes.push(low | (last ? 0 : 0x80));
    if (last) return bytes;
  }
}

const binary =
  (...opcode: number[]) =>
  (a: Code, b: Code): Code => [...a, ...b, ...opcode];
/** SIMD instructions have a prefix, then a number. */
const simd = (number: number): Code => [0xfd, ...unsigned(number)];
/** Reads and writes of memory say the alignment, as a power of two, and an offset to the address. */
const memory = (alignment: number, offset: number): Code => [alignment, ...unsigned(offset)];

export const i32 = {
  const: (value: number): Code => [0x41, ...signed(value)],
  lessUnsigned: binary(0x49),
  greaterUnsigned: binary(0x4b),
  notLessUnsigned: binary(0x4f),
  add: binary(0x6a),
  subtract: binary(0x6b),
  shiftLeft: binary(0x74),
  load: (address: Code, offset = 0): Code => [...address, 0x28, ...memory(2, offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0x36, ...memory(2, offset)],
  store16: (address: Code, value: Code, offset = 0): Code => [...address, ...value, 0x3b, ...memory(1, offset)],
};

type Lanes = [number, number, number, number];

/** Four lanes of 32 bits. */
export const v128 = {
  load: (address: Code, offset = 0): Code => [...address, ...simd(0x00), ...memory(4, offset)],
  store: (address: Code, value: Code, offset = 0): Code => [...address, ...value, ...simd(0x0b), ...memory(4, offset)],
  or: binary(...simd(0x50)),
  xor: binary(...simd(0x51)),
  /** 1 if any bit is set, as an i32. */
  any: (a: Code): Code => [...a, ...simd(0x53)],
  /** Lanes of two vectors: 0 to 3 of the first, 4 to 7 of the second. */
  pick: (a: Code, b: Code, lanes: Lanes): Code => [
    ...a,
    ...b,
    ...simd(0x0d),
    ...lanes.flatMap((lane) => [4 * lane, 4 * lane + 1, 4 * lane + 2, 4 * lane + 3]),
  ],
};

export const i32x4 = {
  /** Four values, or one for all lanes. */
  const: (...[first, ...others]: Lanes | [number]): Code => {
    const lanes = others.length ? [first, ...others] : [first, first, first, first];
    return [...simd(0x0c), ...new Uint8Array(Uint32Array.from(lanes).buffer)]; // little-endian (core/bytes.ts)
  },
  splat: (value: Code): Code => [...value, ...simd(0x11)],
  lane: (a: Code, lane: number): Code => [...a, ...simd(0x1b), lane],
  add: binary(...simd(0xae)),
  multiply: binary(...simd(0xb5)),
  minUnsigned: binary(...simd(0xb7)),
  shiftLeft: (a: Code, bits: number): Code => [...a, ...i32.const(bits), ...simd(0xab)],
  /** The 64-bit products of lanes 0 and 1, and of lanes 2 and 3. */
  productsLow: binary(...simd(0xde)),
  productsHigh: binary(...simd(0xdf)),
};

export const f32x4 = {
  /** All bits of a lane set where the two differ, as a NaN does from itself. */
  differ: binary(...simd(0x42)),
  squareRoot: (a: Code): Code => [...a, ...simd(0xe3)],
  add: binary(...simd(0xe4)),
  subtract: binary(...simd(0xe5)),
  multiply: binary(...simd(0xe6)),
  divide: binary(...simd(0xe7)),
  /** Rounded towards 0 and clamped to unsigned 32-bit numbers; 0 for NaN. */
  toUnsigned: (a: Code): Code => [...a, ...simd(0xf9)],
};

export const f64x2 = {
  add: binary(...simd(0xf0)),
  multiply: binary(...simd(0xf2)),
  /** Lanes 0 and 1 of four float32. */
  promoteLow: (a: Code): Code => [...a, ...simd(0x5f)],
};

/** Runs the body at least once, and again as long as the condition holds. */
export const doWhile = (body: Code, condition: Code): Code => [0x03, 0x40, ...body, ...condition, 0x0d, 0, 0x0b];
