/** What two contenders must share to compute the same thing: shape, weights and tokens, in a folder that both can read. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gptNeoxSpecs } from '../engine/gpt-neox.ts';
import { initialParameters } from '../engine/parameters.ts';
import { type DecoderCase, zipfTokens } from './shapes.ts';

export interface Case extends DecoderCase {
  /** [batch, length + 1]. */
  tokens: Int32Array;
  /** All parameters in the order of Hugging Face's state dict. */
  weights: Float32Array;
}

/** Calls `use` with a folder that describes the case: `case.json`, `tokens.i32` and `weights.f32`, little-endian. */
export async function withCase<T>(of: DecoderCase, use: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'mates-bench-'));
  try {
    writeFileSync(join(folder, 'case.json'), JSON.stringify(of));
    writeFileSync(join(folder, 'tokens.i32'), zipfTokens(of.batch * (of.length + 1), of.shape.vocabularySize));
    writeFileSync(join(folder, 'weights.f32'), initialParameters(gptNeoxSpecs(of.shape), 1).flat);
    return await use(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function readCase(folder: string): Case {
  const bytes = (file: string) => {
    const { buffer, byteOffset, byteLength } = readFileSync(join(folder, file));
    return buffer.slice(byteOffset, byteOffset + byteLength) as ArrayBuffer;
  };
  return {
    ...JSON.parse(readFileSync(join(folder, 'case.json'), 'utf8')),
    tokens: new Int32Array(bytes('tokens.i32')),
    weights: new Float32Array(bytes('weights.f32')),
  };
}
