/**
 * The inputs that two contenders share to compute the same thing: shape, weights and tokens, in a folder that both
 * read.
 */
import { closeSync, mkdtempSync, openSync, readFileSync, readSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decoderSpecs } from '../engine/decoder/decoder.ts';
import { initialParameters, type ParameterSet } from '../engine/parameters.ts';
import { type DecoderCase, zipfTokens } from './shapes.ts';

export interface Case extends DecoderCase {
  /** [batch, length + 1]. */
  tokens: Int32Array;
}

/** Calls `use` with a folder that describes the case: `case.json`, `tokens.i32` and `weights.f32`, little-endian. */
export async function withCase<T>(of: DecoderCase, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'mates-bench-'));
  try {
    writeFileSync(join(folder, 'case.json'), JSON.stringify(of));
    writeFileSync(join(folder, 'tokens.i32'), zipfTokens(of.batch * (of.length + 1), of.shape.vocabularySize));
    // All parameters in the order of Hugging Face's state dict.
    writeFileSync(join(folder, 'weights.f32'), initialParameters(decoderSpecs(of.shape), 1).flat);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function readCase(folder: string): Case {
  const { buffer, byteOffset, byteLength } = readFileSync(join(folder, 'tokens.i32'));
  return {
    ...JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')),
    tokens: new Int32Array(buffer.slice(byteOffset, byteOffset + byteLength)),
  };
}

/**
 * Reads the case's weights straight into these parameters, since an intermediate copy would count in the peak memory.
 */
export function readWeights(folder: string, { flat }: ParameterSet): void {
  const bytes = new Uint8Array(flat.buffer, flat.byteOffset, flat.byteLength);
  const file = openSync(join(folder, 'weights.f32'), 'r');
  for (let at = 0; at < bytes.length; ) at += readSync(file, bytes, at, Math.min(bytes.length - at, 2 ** 26), null);
  closeSync(file);
}
